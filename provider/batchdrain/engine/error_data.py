"""What `<table>_errors` keeps of a refused record: its JSON, or its bytes encoded.

`record_data` holds the record itself wherever jsonb can. Otherwise it is an object with one member
of ours: ENCODED with the bytes as they arrived in base64, or FIELDS with the fields of a stream
entry that had no message (field names or values that jsonb can't hold are encoded the same way).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg

from batchdrain.engine.failures import FailureClass, failure_of
from batchdrain.engine.json_doubts import DOUBTFUL_JSON
from batchdrain.engine.statements.questions import ALL_JSONB

ENCODED = "batchdrain_base64"
"""Member whose value is the base64 of bytes that jsonb can't hold."""

FIELDS = "batchdrain_fields"
"""Member whose value is an object of a stream entry's fields."""

_OURS = b'"batchdrain_'
"""A record that has such a member itself is encoded, so that decoding is never ambiguous."""

_ESCAPE = b"\\u"
"""How JSON begins a character that the database's encoding may lack, also in ASCII."""

_DEEP = 500
"""Brackets from which nesting may exceed the server's stack."""


def storable(connection: psycopg.Connection[Any], bodies: Sequence[bytes]) -> list[str]:
    """Return for each body the text of the jsonb that keeps it.

    Asks PostgreSQL, in savepoints of the transaction at hand, only about bodies that Python is
    not sure of.
    """
    every_character = connection.info.parameter_status("server_encoding") == "UTF8"
    texts: list[str] = []
    doubtful: list[int] = []
    for body in bodies:
        if _OURS in body or b"\0" in body or not (every_character or body.isascii()):
            texts.append(encoded(body))
            continue
        try:
            texts.append(body.decode())
        except UnicodeDecodeError:
            texts.append(encoded(body))
            continue
        if _is_doubtful(body) or (_ESCAPE in body and not every_character):
            doubtful.append(len(texts) - 1)
    for index in _not_jsonb(connection, texts, doubtful):
        texts[index] = encoded(bodies[index])
    return texts


def encoded(body: bytes) -> str:
    """Return the JSON object that keeps bytes which jsonb can't hold."""
    return json.dumps({ENCODED: base64.b64encode(body).decode()})


def stream_fields(fields: Mapping[bytes, bytes], every_character: bool) -> str:
    """Return the JSON object that keeps the fields of a stream entry.

    `every_character` is as for `storable_text`.
    """
    kept = {
        _name(name, every_character): _value(value, every_character)
        for name, value in fields.items()
    }
    return json.dumps({FIELDS: kept})


def storable_text(text: str | None, every_character: bool) -> str | None:
    """Return a text as a text column can hold it: what it can't is written as an escape.

    `every_character` tells that the database's encoding is UTF-8; else only ASCII is safe.
    """
    if text is None or (text.isascii() and "\0" not in text):
        return text
    charset = "utf-8" if every_character else "ascii"
    return text.replace("\0", "\\u0000").encode(charset, "backslashreplace").decode()


def _is_doubtful(body: bytes) -> bool:
    if DOUBTFUL_JSON.search(body) or body.count(b"[") + body.count(b"{") > _DEEP:
        return True
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return True
    return False


def _not_jsonb(
    connection: psycopg.Connection[Any], texts: Sequence[str], doubtful: Sequence[int]
) -> list[int]:
    refused: list[int] = []
    pieces = [list(doubtful)] if doubtful else []
    while pieces:
        piece = pieces.pop()
        if _all_jsonb(connection, [texts[index] for index in piece]):
            continue
        middle = len(piece) // 2
        if middle:
            pieces += [piece[:middle], piece[middle:]]
        else:
            refused += piece
    return refused


def _all_jsonb(connection: psycopg.Connection[Any], texts: list[str]) -> bool:
    try:
        with connection.transaction():
            psycopg.RawCursor(connection).execute(ALL_JSONB, (texts,))
    except psycopg.Error as error:
        if failure_of(error) is not FailureClass.REFUSED:
            raise
        return False
    return True


def _plain(data: bytes, every_character: bool) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text or not (every_character or text.isascii()) else text


def _name(name: bytes, every_character: bool) -> str:
    plain = _plain(name, every_character)
    return f"{ENCODED}:{base64.b64encode(name).decode()}" if plain is None else plain


def _value(value: bytes, every_character: bool) -> str | dict[str, str]:
    plain = _plain(value, every_character)
    return {ENCODED: base64.b64encode(value).decode()} if plain is None else plain
