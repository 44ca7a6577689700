"""JSON values as jsonb shows them, worked out without asking the server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import msgspec

_PLAIN_INTEGER = re.compile(rb"0|-?[1-9][0-9]*")
_LARGEST_EXPONENT = 131072
"""Digits before the decimal point that numeric holds (PostgreSQL documentation, Numeric Types)."""


def shown(value: bytes) -> str | None:
    """Return the JSON scalar `value` as `jsonb ->> …` shows it: strings as they are, null as None.

    What jsonb would not take (and objects and arrays) is returned as it arrived.
    """
    if value[:1] == b'"':
        return _text_of(value)
    if value == b"null":
        return None
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
        number = Decimal(text)
    except InvalidOperation:
        return text
    if abs(number.adjusted()) > _LARGEST_EXPONENT:
        return text
    plain = format(number, "f")
    return plain.lstrip("-") if number == 0 else plain


class _Number(str):
    """A JSON number in its own spelling."""


def tolerant_members(data: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object that msgspec does not read (lone surrogates, say).

    Empty when it is no object, or nothing reads it.
    """
    try:
        found = json.loads(data, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: _written(value) for name, value in found.items()}


def _written(value: object) -> bytes:
    return value.encode() if isinstance(value, _Number) else json.dumps(value).encode()
