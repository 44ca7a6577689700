"""Single values as parameters, converted as jsonb_to_recordset converts them."""

from __future__ import annotations

from batchdrain.engine.catalog import Column, Conversion
from batchdrain.engine.json_text import shown
from batchdrain.engine.statements.quoting import definition

_NUL = "\0"
_STAND_IN = "\N{REPLACEMENT CHARACTER}"
"""No parameter can hold NUL; a statement with one is only ever sent to fail at its JSON."""


def parameter(column: Column, value: bytes | None) -> str | None:
    """Return what to send for a value's JSON (None: the record leaves it out, and it is NULL)."""
    value = value or b"null"
    if column.conversion is Conversion.RECORD:
        return f'{{"x":{value.decode()}}}'
    if column.conversion is Conversion.JSONB:
        return None if value == b"null" else value.decode()
    text = shown(value)
    return text and text.replace(_NUL, _STAND_IN)


def converted(column: Column, number: int) -> str:
    """Return the expression that turns parameter `number` into the column's value."""
    match column.conversion:
        case Conversion.TEXT | Conversion.JSONB:
            return f"${number}::{column.type}"
        case Conversion.LIMITED:
            return _of_record(column, f"jsonb_build_object('x', ${number}::text)")
        case Conversion.RECORD:
            return _of_record(column, f"${number}::jsonb")


def assigned(column: Column, number: int) -> str:
    """Return the same for a VALUES row of an INSERT, which refuses what is too long by itself."""
    return f"${number}" if column.conversion is Conversion.LIMITED else converted(column, number)


def _of_record(column: Column, document: str) -> str:
    return f"(SELECT x FROM jsonb_to_record({document}) AS r({definition(column, 'x')}))"
