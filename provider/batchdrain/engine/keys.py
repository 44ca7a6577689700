"""Which records have the same key: what Python may decide alone (SEMANTICS, cutting)."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from batchdrain.engine.catalog import Column, KeyRule, Table

Key: TypeAlias = tuple[bytes | None, ...]
"""The JSON of a key's parts, None for a part that is left out."""

KeyIdentity: TypeAlias = Hashable
"""Equal for equal keys of one table, and only for them."""

Identify: TypeAlias = Callable[[bytes], Hashable | None]
"""Turns the JSON of a key's part into its identity, None where PostgreSQL has to be asked."""

_ONE_INTEGER = rb"(?:0|-?[1-9][0-9]*)"
_ONE_UUID = rb'"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"'
_INTEGER, _UUID = re.compile(_ONE_INTEGER), re.compile(_ONE_UUID)
_THEMSELVES = {
    rule: re.compile(rb"%b(?:\n%b)*" % (one, one))
    for rule, one in ((KeyRule.INTEGER, _ONE_INTEGER), (KeyRule.UUID, _ONE_UUID))
}
"""Lines of keys that are their own identities."""


class Alone:
    """The identity of a key that equals no other: it is left to a fresh default, or is refused."""


class KeyReader:
    """Reads the primary key out of the records of one table."""

    def __init__(self, table: Table) -> None:
        columns = {column.name: column for column in table.columns}
        scope = {entry.column: entry.member for entry in table.scope}
        self._parts = [
            (name, scope.get(name), _RULES[columns[name].key_rule](columns[name]))
            for name in table.key
        ]
        self.names = frozenset(table.key)
        self._only = self._parts[0] if len(self._parts) == 1 else None
        self._themselves = _THEMSELVES.get(columns[table.key[0]].key_rule) if self._only else None

    def json_of(
        self, values: Mapping[str, msgspec.Raw | bytes], members: Mapping[str, bytes]
    ) -> tuple[bytes | None, ...]:
        """Return the key's parts as JSON, None for a part that is left out."""
        return tuple([_part(name, member, values, members) for name, member, _ in self._parts])

    def read(
        self, values: Mapping[str, msgspec.Raw], members: Mapping[str, bytes]
    ) -> tuple[tuple[bytes | None, ...], KeyIdentity | None]:
        """Return the key's parts as JSON, and its identity (None: ask PostgreSQL).

        A key with a part that is left out or null is `Alone`.
        """
        if self._only is not None:
            name, member, identify = self._only
            only = _part(name, member, values, members)
            if only is None or only == b"null":
                return (only,), Alone()
            part = identify(only)
            return (only,), None if part is None else (part,)
        key = self.json_of(values, members)
        identity: list[Hashable] = []
        asked = False
        for value, (_, _, identify) in zip(key, self._parts, strict=True):
            if value is None or value == b"null":
                return key, Alone()
            part = identify(value)
            if part is None:
                asked = True
            identity.append(part)
        return key, None if asked else tuple(identity)

    def read_rows(self, parts: bytes) -> tuple[Sequence[Key], Sequence[KeyIdentity | None]] | None:
        """Return what `read` says of keys that have one part each; None if one of them is null.

        `parts` has the JSON of each on a line of its own, without a break behind the last. Only
        for a table whose key is one column.
        """
        values = parts.split(b"\n")
        keys: list[Key] = [(value,) for value in values]
        (_, _, identify), themselves = self._parts[0], self._themselves
        if themselves is not None and themselves.fullmatch(parts):
            return keys, keys
        if b"null" in values:
            return None
        return keys, [None if part is None else (part,) for part in map(identify, values)]


def _part(
    name: str,
    member: str | None,
    values: Mapping[str, msgspec.Raw | bytes],
    members: Mapping[str, bytes],
) -> bytes | None:
    value = values.get(name)
    if value is not None:
        return bytes(value)
    return None if member is None else members.get(member)


def _integer(_: Column) -> Identify:
    return lambda value: value if _INTEGER.fullmatch(value) else None


def _uuid(_: Column) -> Identify:
    return lambda value: value if _UUID.fullmatch(value) else None


def _text(column: Column) -> Identify:
    """Strings on a text column; one too long for varchar(n) may lose its trailing blanks."""
    longest = column.max_length

    def _identify(value: bytes) -> Hashable | None:
        if value[:1] != b'"':
            return None
        text = _characters(value)
        return None if text is None or (longest is not None and len(text) > longest) else text

    return _identify


def _asked(_: Column) -> Identify:
    return lambda _value: None


_RULES: Mapping[KeyRule, Callable[[Column], Identify]] = {
    KeyRule.INTEGER: _integer,
    KeyRule.UUID: _uuid,
    KeyRule.TEXT: _text,
    KeyRule.ASK: _asked,
}


def _characters(value: bytes) -> str | None:
    if b"\\" not in value:
        return value[1:-1].decode()
    try:
        return msgspec.json.decode(value, type=str)
    except msgspec.MsgspecError:
        return None
