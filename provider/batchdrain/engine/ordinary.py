"""Reads records that are as nearly all of them are, many at a time.

What it says of a record is what `classify` would say after a closer look; what it leaves out gets
that look.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from batchdrain.engine.json_text import is_text
from batchdrain.engine.keys import Key, KeyIdentity, KeyReader
from batchdrain.engine.layout import Layout, Layouts
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Malformed, Operation, Record, Refusal
from batchdrain.json_lines import as_lines

TOGETHER = 64
"""Records that are read in one go; if one of them is unusual, the others go a slower way, too."""

UNNAMEABLE = re.compile(r'[\\"\x00-\x1f]')
"""What msgspec allows in no field's name."""

_QUOTE = ord('"')
_KEPT = 100
"""Sets of members for which a decoder is kept; making one takes as long as reading some chunks."""

_T = TypeVar("_T")


class OrdinaryReader:
    """Reads the records of one table; `layouts` and `keys` are the table's."""

    def __init__(self, layouts: Layouts, keys: KeyReader) -> None:
        self._layouts = layouts
        self._keys = keys
        self._decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode_lines
        self._alike: _Alike | None = None
        self._known: dict[int, _Alike] = {}

    def read(self, first: int, records: Sequence[Record | Malformed]) -> Sequence[Ready | None]:
        """Return each record ready for a set statement, None where it takes a closer look.

        `first` is the first one's ordinal. To be called with TOGETHER records at most.
        """
        given = [record for record in records if isinstance(record, Record)]
        lines = _lines(given) if len(given) == len(records) else None
        found: Sequence[Ready | None] | None = None
        if lines is not None:
            if self._alike is not None:
                found = self._alike.read(first, given, lines)
            found = found or self._read_each(first, given, lines)
        return found or [None] * len(records)

    def _read_each(
        self, first: int, records: Sequence[Record], lines: bytes
    ) -> Sequence[Ready | None] | None:
        """Read records whose members may differ; where they don't, expect the same of the next."""
        decoded = _values(self._decode, lines, len(records))
        if decoded is None:
            return None
        out: list[Ready | None] = []
        layouts: list[Layout] = []
        for ordinal, (record, values) in enumerate(zip(records, decoded, strict=True), first):
            layout = self._layouts.of(record.operation, tuple(values))
            if isinstance(layout, Refusal) or layout.own_scope or not layout.key_known:
                out.append(None)
                continue
            layouts.append(layout)
            data = record.data
            if layout.added_scope:
                start = layout.start_of(record.members)
                data = start and start + data[1:]
            key, identity = self._keys.read(values, record.members)
            plain = data and b"null" not in key
            out.append(Ready(ordinal, layout.shape, data, key, identity) if plain else None)
        if len(layouts) == len(records) and all(layout is layouts[0] for layout in layouts):
            self._expect(records[0].operation, tuple(decoded[0]), layouts[0])
        return out

    def _expect(self, operation: Operation, names: tuple[str, ...], layout: Layout) -> None:
        if any(map(UNNAMEABLE.search, names)):
            return
        alike = self._known.get(id(layout))
        if alike is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            alike = self._known[id(layout)] = _Alike(operation, names, layout, self._keys)
        self._alike = alike


class _Alike:
    """Reads records of one operation whose members have the same names."""

    def __init__(
        self, operation: Operation, names: tuple[str, ...], layout: Layout, keys: KeyReader
    ) -> None:
        self._operation = operation
        self.layout = layout
        self._keys = keys
        fields = {name: f"value_{number}" for number, name in enumerate(names)}
        key_fields = {name: field for name, field in fields.items() if name in keys.names}
        self._key_fields = key_fields
        self._only: Callable[[Any], Any] | None = (
            attrgetter(*key_fields.values()) if len(keys.names) == 1 == len(key_fields) else None
        )
        struct = msgspec.defstruct(
            "Values",
            [(field, msgspec.Raw) for field in fields.values()],
            rename={field: name for name, field in fields.items()},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode: Callable[[bytes], list[Any]] = msgspec.json.Decoder(struct).decode_lines

    def read(
        self, first: int, records: Sequence[Record], lines: bytes
    ) -> list[Ready | None] | None:
        """Return the records, None where they are not all alike."""
        operation, shape = self._operation, self.layout.shape
        if [record.operation for record in records].count(operation) != len(records):
            return None
        rows = _values(self._decode, lines, len(records))
        data = None if rows is None else self._scoped(records)
        found = None if rows is None or data is None else self._read_keys(records, rows)
        if data is None or found is None:
            return None
        keys, identities = found
        return [
            Ready(ordinal, shape, each, key, identity)
            for ordinal, (each, key, identity) in enumerate(
                zip(data, keys, identities, strict=True), first
            )
        ]

    def _scoped(self, records: Sequence[Record]) -> list[bytes] | None:
        """Return the records with their scope, None where one lacks a part of it."""
        if not self.layout.added_scope:
            return [record.data for record in records]
        scoped: list[bytes] = []
        members: Mapping[str, bytes] | None = None
        start = b""
        for record in records:
            # Records of one scope share its mapping, as a rule.
            if record.members is not members:
                members = record.members
                start = self.layout.start_of(members)
                if not start:
                    return None
            scoped.append(start + record.data[1:])
        return scoped

    def _read_keys(
        self, records: Sequence[Record], rows: Sequence[Any]
    ) -> tuple[Sequence[Key], Sequence[KeyIdentity | None]] | None:
        """Return keys and identities, None where a key is null."""
        if self._only is not None:
            return self._keys.read_rows(b"\n".join(map(self._only, rows)))
        fields = self._key_fields.items()
        found = [
            self._keys.read({name: getattr(row, field) for name, field in fields}, record.members)
            for row, record in zip(rows, records, strict=True)
        ]
        keys = [key for key, _ in found]
        if any(b"null" in key for key in keys):
            return None
        return keys, [identity for _, identity in found]


def _lines(records: Sequence[Record]) -> bytes | None:
    """Return records as lines, None unless each is an object that has members.

    One without members would get a comma too many with its scope.
    """
    texts = [record.data for record in records]
    lines = as_lines(texts)
    if lines is None or not is_text(lines):
        return None
    return lines if {text[1] for text in texts} == {_QUOTE} else None


def _values(decode: Callable[[bytes], list[_T]], lines: bytes, count: int) -> list[_T] | None:
    try:
        values = decode(lines)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return values if len(values) == count else None
