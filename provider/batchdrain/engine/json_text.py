"""JSON values as jsonb shows them, worked out without asking the server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import msgspec

_PLAIN_INTEGER = re.compile(rb"0|-?[1-9][0-9]*")

_MOST_BEFORE_POINT, _MOST_AFTER_POINT = 131072, 16383
"""Digits that numeric holds (PostgreSQL documentation, Numeric Types)."""


def is_text(data: bytes) -> bool:
    """Whether PostgreSQL could take the bytes as a text at all."""
    if b"\0" in data:
        return False
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def shown(value: bytes) -> str | None:
    """Return the JSON `value` as `jsonb ->> …` shows it: strings as they are, null as None.

    Objects and arrays are shown as jsonb writes them. What jsonb would not take is returned as
    it arrived.
    """
    if value[:1] == b'"':
        return _text_of(value)
    if value == b"null":
        return None
    if value[:1] in (b"[", b"{"):
        return _nested_or_raw(value.decode())
    return _number_or_raw(value)


def shown_key(key: Sequence[bytes | None] | None) -> str | None:
    """Return a primary key as `record_id` holds it.

    A single column is shown alone, a composite key as a JSON array in primary key order. None
    when a part is missing or null.
    """
    if not key:
        return None
    parts = [None if value is None else shown(value) for value in key]
    if any(part is None for part in parts):
        return None
    if len(parts) == 1:
        return parts[0]
    elements = (
        json.dumps(part, ensure_ascii=False) if raw[:1] == b'"' else part
        for raw, part in zip(key, parts, strict=True)
        if raw is not None and part is not None
    )
    return f"[{', '.join(elements)}]"


def _text_of(value: bytes) -> str:
    if b"\\" not in value:
        return value[1:-1].decode()
    try:
        return msgspec.json.decode(value, type=str)
    except msgspec.MsgspecError:
        return value[1:-1].decode()


def _number_or_raw(value: bytes) -> str:
    text = value.decode()
    if _PLAIN_INTEGER.fullmatch(value) or text in ("true", "false"):
        return text
    try:
        return _number(text)
    except ValueError:
        return text


def _number(text: str) -> str:
    """Return a number as numeric writes it; ValueError when numeric doesn't hold it."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_MOST_AFTER_POINT:
        raise ValueError
    if number == 0:
        return format(number, "f").lstrip("-")
    if number.adjusted() >= _MOST_BEFORE_POINT:
        raise ValueError
    return format(number, "f")


class _Number(str):
    """A JSON number in its own spelling."""


class _Members(list[tuple[str, object]]):
    """An object as its members in order, also those that a later one of the same name overrides."""


def _nested_or_raw(text: str) -> str:
    try:
        found = json.loads(
            text,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
            object_pairs_hook=_Members,
        )
        return _nested(found)
    except (ValueError, RecursionError):
        return text


def _refuse(_: str) -> object:
    raise ValueError


def _nested(value: object) -> str:
    """Return a value as jsonb writes it inside another; ValueError when jsonb doesn't hold it.

    A lone surrogate is such a case: UnicodeEncodeError is a ValueError.
    """
    if isinstance(value, _Members):
        # Those that are overridden are written too: one that jsonb refuses spoils the whole.
        members = {name.encode(): f"{_nested(name)}: {_nested(value)}" for name, value in value}
        names = sorted(members, key=lambda name: (len(name), name))
        return f"{{{', '.join(members[name] for name in names)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_nested, value))}]"
    if isinstance(value, _Number):
        return _number(value)
    if isinstance(value, str) and b"\0" in value.encode():
        raise ValueError
    return json.dumps(value, ensure_ascii=False)


def all_members(data: bytes) -> list[tuple[str, bytes]]:
    """Return names and JSON of an object's members, also of those that a later one overrides.

    The JSON is ASCII, with numbers as they were spelled. Empty when it is no object, or nothing
    reads it.
    """
    try:
        found = json.loads(data, parse_int=_Number, parse_float=_Number, object_pairs_hook=_Members)
        if not isinstance(found, _Members):
            return []
        return [(name, _written(value).encode()) for name, value in found]
    except (ValueError, RecursionError):
        return []


def tolerant_members(data: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object that msgspec does not read (lone surrogates, say).

    Empty when it is no object, or nothing reads it.
    """
    return dict(all_members(data))


def _written(value: object) -> str:
    """Return a value's JSON in ASCII, with its numbers as they were spelled."""
    if isinstance(value, _Members):
        return f"{{{', '.join(f'{json.dumps(n)}: {_written(v)}' for n, v in value)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return value if isinstance(value, _Number) else json.dumps(value)
