"""Reads messages for those who bind values: quicker than json.loads, to nobody's disadvantage.

Text stays text, so that the drivers have the least to convert, and `details` the JSON it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from benchmarks.table import COLUMNS

INSERT = f"INSERT INTO {{table}} ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
UPDATE = """UPDATE {table} SET note = %s, amount = %s, active = %s, details = %s
WHERE _id = %s AND _client_id = %s AND _ver = %s"""
DELETE = "DELETE FROM {table} WHERE _id = %s AND _client_id = %s AND _ver = %s"

Values = tuple[Any, ...]

_T = TypeVar("_T")


class _Message(msgspec.Struct, Generic[_T], gc=False):
    client_id: str
    ver: str
    record: _T


class _Row(msgspec.Struct, gc=False, rename={"id": "_id"}):
    id: str
    quantity: int | str
    note: str | None
    amount: float
    active: bool
    noted_at: str
    details: msgspec.Raw


class _TypedRow(msgspec.Struct, gc=False, rename={"id": "_id"}):
    id: str
    quantity: int
    note: str
    amount: Decimal
    active: bool
    noted_at: datetime
    details: msgspec.Raw


class _Change(msgspec.Struct, gc=False, rename={"id": "_id"}):
    id: str
    note: str
    amount: float
    active: bool
    details: msgspec.Raw


class _Key(msgspec.Struct, gc=False, rename={"id": "_id"}):
    id: str


_rows = msgspec.json.Decoder(_Message[_Row]).decode
_typed_rows = msgspec.json.Decoder(_Message[_TypedRow]).decode
_changes = msgspec.json.Decoder(_Message[_Change]).decode
_keys = msgspec.json.Decoder(_Message[_Key]).decode


def inserted(messages: Iterable[bytes]) -> list[Values]:
    """Return the values that INSERT binds, in the order of COLUMNS."""
    return [_values(_rows(message)) for message in messages]


def inserted_typed(messages: Iterable[bytes]) -> list[Values]:
    """Return the same with a datetime and a Decimal, for drivers that insist on them."""
    return [_values(_typed_rows(message)) for message in messages]


def updated(messages: Iterable[bytes]) -> list[Values]:
    """Return the values that UPDATE binds."""
    out = []
    for message in messages:
        read = _changes(message)
        new = read.record
        details = bytes(new.details).decode()
        out.append((new.note, new.amount, new.active, details, new.id, read.client_id, read.ver))
    return out


def deleted(messages: Iterable[bytes]) -> list[Values]:
    """Return the values that DELETE binds."""
    return [
        (read.record.id, read.client_id, read.ver) for read in (_keys(each) for each in messages)
    ]


def _values(read: _Message[_Row] | _Message[_TypedRow]) -> Values:
    row = read.record
    return (
        row.id,
        read.client_id,
        read.ver,
        row.quantity,
        row.note,
        row.amount,
        row.active,
        row.noted_at,
        bytes(row.details).decode(),
    )
