"""Which records have the same key: what Python may decide alone (SEMANTICS, cutting)."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import TypeAlias

import msgspec

from batchdrain.engine.catalog import Column, KeyRule, Table

KeyIdentity: TypeAlias = Hashable
"""Equal for equal keys of one table, and only for them."""

_INTEGER = re.compile(rb"0|-?[1-9][0-9]*")
_UUID = re.compile(rb'"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"')


class Alone:
    """The identity of a key that equals no other: it is left to a fresh default, or is refused."""


class KeyReader:
    """Reads the primary key out of the records of one table."""

    def __init__(self, table: Table) -> None:
        columns = {column.name: column for column in table.columns}
        scope = {entry.column: entry.member for entry in table.scope}
        self._parts = [(columns[name], scope.get(name)) for name in table.key]

    def json_of(
        self, values: Mapping[str, msgspec.Raw | bytes], members: Mapping[str, bytes]
    ) -> tuple[bytes | None, ...]:
        """Return the key's parts as JSON, None for a part that is left out."""
        parts: list[bytes | None] = []
        for column, member in self._parts:
            value = values.get(column.name)
            if value is not None:
                parts.append(bytes(value))
            else:
                parts.append(members.get(member) if member is not None else None)
        return tuple(parts)

    def read(
        self, values: Mapping[str, msgspec.Raw], members: Mapping[str, bytes]
    ) -> tuple[tuple[bytes | None, ...], KeyIdentity | None]:
        """Return the key's parts as JSON, and its identity (None: ask PostgreSQL).

        A key with a part that is left out or null is `Alone`.
        """
        key = self.json_of(values, members)
        identity: list[Hashable] = []
        asked = False
        for (column, _), value in zip(self._parts, key, strict=True):
            if value is None or value == b"null":
                return key, Alone()
            part = _identity(column, value)
            asked |= part is None
            identity.append(part)
        return key, None if asked else tuple(identity)


def _identity(column: Column, value: bytes) -> Hashable | None:
    match column.key_rule:
        case KeyRule.INTEGER if _INTEGER.fullmatch(value):
            return value
        case KeyRule.UUID if _UUID.fullmatch(value):
            return value
        case KeyRule.TEXT if value[:1] == b'"':
            return _text(column, value)
        case _:
            return None


def _text(column: Column, value: bytes) -> Hashable | None:
    """A string on a text column; one too long for varchar(n) may lose its trailing blanks."""
    if b"\\" in value:
        try:
            text = msgspec.json.decode(value, type=str)
        except msgspec.MsgspecError:
            return None
    else:
        text = value[1:-1].decode()
    if column.max_length is not None and len(text) > column.max_length:
        return None
    return text
