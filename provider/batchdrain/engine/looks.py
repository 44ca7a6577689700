"""Guesses from their looks which records PostgreSQL will not take: a word for a number, say.

A guess only decides in which statement a record is applied, never whether. So a type that is not
known here has no looks, and a rare spelling that PostgreSQL would take may look bad.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from functools import reduce
from operator import or_
from typing import Annotated, Any
from uuid import UUID

import msgspec

from batchdrain.engine.catalog import Column, Table
from batchdrain.engine.ordinary import TOGETHER, UNNAMEABLE
from batchdrain.engine.statements.shape import Shape

_DIGITS = Annotated[str, msgspec.Meta(pattern=r"^\s*[+-]?[0-9]+\s*$")]
_NUMERAL = Annotated[
    str, msgspec.Meta(pattern=r"^\s*[+-]?(?:[0-9.]+(?:[eE][+-]?[0-9]+)?|Infinity|NaN)\s*$")
]
_TRUTH = Annotated[str, msgspec.Meta(pattern=r"^(?:t|true|f|false|y|yes|n|no|on|off|0|1)$")]


def _integer(bits: int) -> tuple[Any, ...]:
    return Annotated[int, msgspec.Meta(ge=-(2**bits), le=2**bits - 1)], _DIGITS


_NUMBER = (int, float, _NUMERAL)
_TEXT = (str, int, float, bool)

_LOOKS: dict[str, tuple[Any, ...]] = {
    "smallint": _integer(15),
    "integer": _integer(31),
    "bigint": _integer(63),
    "numeric": _NUMBER,
    "real": _NUMBER,
    "double precision": _NUMBER,
    "boolean": (bool, _TRUTH),
    "uuid": (UUID,),
    "date": (date,),
    "time without time zone": (time,),
    "timestamp without time zone": (datetime,),
    "timestamp with time zone": (datetime,),
    "text": _TEXT,
    "character varying": _TEXT,
}
"""What JSON values of a column look like, by what format_type() prints, the modifier left out."""

_KEPT = 1_000
"""Shapes for which a decoder is kept: producers that invent columns must not fill the memory."""

_MODIFIER = re.compile(r"\([0-9,-]+\)")


class Looks:
    """What good records of one table look like."""

    def __init__(self, table: Table) -> None:
        self._columns = {column.name: column for column in table.columns}
        self._decoders: dict[Shape, msgspec.json.Decoder[Any]] = {}

    def suspects(self, shape: Shape, records: Sequence[bytes]) -> list[int]:
        """Return the places of the records (JSON objects of one shape) that look bad."""
        decoder = self._decoders.get(shape)
        if decoder is None:
            if len(self._decoders) >= _KEPT:
                self._decoders.clear()
            decoder = self._decoders[shape] = msgspec.json.Decoder(self._struct(shape))
        found: list[int] = []
        for first in range(0, len(records), TOGETHER):
            chunk = records[first : first + TOGETHER]
            if not _fits(decoder.decode_lines, b"\n".join(chunk)):
                bad = (n for n, each in enumerate(chunk, first) if not _fits(decoder.decode, each))
                found.extend(bad)
        return found

    def _struct(self, shape: Shape) -> type[msgspec.Struct]:
        names = [name for name in shape.carried if not UNNAMEABLE.search(name)]
        fields = {f"value_{number}": name for number, name in enumerate(names)}
        # What an object leaves out is NULL, and a field without default must be there.
        typed = sorted(
            ((field, *_field(self._columns[name])) for field, name in fields.items()), key=len
        )
        return msgspec.defstruct("Good", typed, rename=fields, gc=False)


def _field(column: Column) -> tuple[Any, ...]:
    """Return the type of a column's field and, where the column can be NULL, its default."""
    looks = _LOOKS.get(_MODIFIER.sub("", column.type))
    if looks is None:
        return msgspec.Raw, msgspec.Raw()
    if looks is _TEXT and column.max_length is not None:
        looks = (Annotated[str, msgspec.Meta(max_length=column.max_length)], *_TEXT[1:])
    kind = reduce(or_, looks)
    return (kind,) if column.not_null else (kind | None, None)


def _fits(decode: Callable[[bytes], object], data: bytes) -> bool:
    try:
        decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
