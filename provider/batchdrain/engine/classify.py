"""The first look at a batch: what each record is, without asking the server.

Everything here follows from the record's bytes and the catalog. What only PostgreSQL can tell is
left as a doubt, which `questions` settles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from batchdrain.engine.catalog import ScopeColumn, Table
from batchdrain.engine.json_doubts import DOUBTFUL_JSON, DOUBTFUL_STRING
from batchdrain.engine.json_text import all_members, is_text, tolerant_members
from batchdrain.engine.keys import KeyReader
from batchdrain.engine.layout import Layout, Layouts, missing_key
from batchdrain.engine.ordinary import TOGETHER, OrdinaryReader
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Malformed, Operation, Record, Refusal


class ScopeDoubt(msgspec.Struct, frozen=True):
    """A scope column that the record carries in another spelling than its envelope."""

    ordinal: int
    scope: ScopeColumn
    own: bytes
    envelope: bytes


@dataclass(slots=True)
class Classified:
    """A batch after the first look; every ordinal is in `ready` or in `refused`.

    `unread` holds records whose JSON Python cannot read, `doubtful` refused records whose JSON
    jsonb might refuse before (that check comes first), `scope_doubts` ready records that may
    turn out to be refused. `keys_known` is False when a key stays unknown until it is inserted.
    """

    ready: list[Ready] = field(default_factory=list)
    refused: dict[int, Refusal] = field(default_factory=dict)
    unread: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    scope_doubts: list[ScopeDoubt] = field(default_factory=list)
    keys_known: bool = True

    @property
    def settled(self) -> bool:
        """Whether nothing is left to ask PostgreSQL."""
        if self.unread or self.doubtful or self.scope_doubts or self.undefined_columns:
            return False
        return not self.keys_known or all(ready.identity is not None for ready in self.ready)

    @property
    def undefined_columns(self) -> bool:
        """Whether a record names a column that the catalog, as last read, does not have."""
        return any(refusal.error_type == "undefined_column" for refusal in self.refused.values())


class Classifier:
    """Classifies the records of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._layouts = Layouts(table)
        self._keys = KeyReader(table)
        self._ordinary = OrdinaryReader(self._layouts, self._keys)
        self._decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

    def classify(self, records: Sequence[Record | Malformed]) -> Classified:
        """Look at every record of a batch."""
        found = Classified()
        for first in range(0, len(records), TOGETHER):
            chunk = records[first : first + TOGETHER]
            plain = self._ordinary.read(first, chunk)
            ordinary = [ready for ready in plain if ready is not None]
            if len(ordinary) == len(chunk):
                found.ready += ordinary
                continue
            for ordinal, (record, ready) in enumerate(zip(chunk, plain, strict=True), first):
                if ready is not None:
                    found.ready.append(ready)
                elif isinstance(record, Malformed):
                    found.refused[ordinal] = Refusal("malformed_message", record.reason)
                else:
                    self._add(found, ordinal, record, record.data)
        return found

    def reclassify(self, found: Classified, ordinal: int, record: Record, data: bytes) -> None:
        """Look again at a record that PostgreSQL has rewritten in its own words."""
        self._add(found, ordinal, record, data)

    def refuse(
        self, found: Classified, ordinal: int, record: Record | Malformed, refusal: Refusal
    ) -> None:
        """Refuse a record, unless jsonb turns out to refuse it before."""
        self._refuse(found, ordinal, record.data if isinstance(record, Record) else b"", refusal)

    def key_of(self, record: Record) -> tuple[bytes | None, ...]:
        """Return the JSON of a refused record's key, empty where it cannot be read."""
        return self._keys.json_of(self._members(record), record.members)

    def doubtful_field(self, record: Record) -> str | None:
        """Return the member whose JSON jsonb might refuse, None where it cannot be told."""
        own = self._members(record).items()
        of_envelope = [
            (scope.column, record.members[scope.member])
            for scope in self._table.scope
            if scope.member in record.members
        ]
        for name, value in (*own, *of_envelope, *all_members(record.data)):
            doubtful = DOUBTFUL_STRING if value[:1] == b'"' else DOUBTFUL_JSON
            if doubtful.search(value):
                return name
        return None

    def _members(self, record: Record) -> dict[str, bytes]:
        if not is_text(record.data):
            return {}
        try:
            return {name: bytes(raw) for name, raw in self._decode(record.data).items()}
        except (msgspec.MsgspecError, RecursionError):
            return tolerant_members(record.data)

    def _add(self, found: Classified, ordinal: int, record: Record, data: bytes) -> None:
        if not is_text(data):
            found.refused[ordinal] = Refusal("malformed_message", "the record is no UTF-8 text")
            return
        for scope in self._table.scope:
            if scope.member not in record.members:
                found.refused[ordinal] = _scope_missing(scope)
                return
        if data.lstrip()[:1] != b"{":
            found.refused[ordinal] = Refusal("malformed_message", "the record is no JSON object")
            return
        try:
            values = self._decode(data)
        except (msgspec.MsgspecError, RecursionError):
            found.unread.append(ordinal)
            return
        self._add_object(found, ordinal, record, data, values)

    def _add_object(
        self,
        found: Classified,
        ordinal: int,
        record: Record,
        data: bytes,
        values: dict[str, msgspec.Raw],
    ) -> None:
        layout = self._layouts.of(record.operation, tuple(values))
        if isinstance(layout, Refusal):
            self._refuse(found, ordinal, data, layout)
            return
        key, identity = self._keys.read(values, record.members)
        if layout.own_scope or b"null" in key:
            refusal = self._value_refusal(found, ordinal, record, values, layout, key)
            if refusal is not None:
                self._refuse(found, ordinal, data, refusal)
                return
        if not layout.key_known:
            found.keys_known = False
        scoped = _scoped(data, record, layout) if layout.added_scope else data
        found.ready.append(Ready(ordinal, layout.shape, scoped, key, identity))

    def _value_refusal(
        self,
        found: Classified,
        ordinal: int,
        record: Record,
        values: dict[str, msgspec.Raw],
        layout: Layout,
        key: tuple[bytes | None, ...],
    ) -> Refusal | None:
        if record.operation is not Operation.INSERT and b"null" in key:
            return missing_key(record.operation, self._table.key[key.index(b"null")])
        doubts = []
        for scope in layout.own_scope:
            own, envelope = bytes(values[scope.column]), record.members[scope.member]
            if own == b"null":
                return scope_mismatch(scope)
            if own != envelope:
                doubts.append(ScopeDoubt(ordinal, scope, own, envelope))
        found.scope_doubts.extend(doubts)
        return None

    def _refuse(self, found: Classified, ordinal: int, data: bytes, refusal: Refusal) -> None:
        found.refused[ordinal] = refusal
        if DOUBTFUL_JSON.search(data):
            found.doubtful.append(ordinal)


def _scoped(data: bytes, record: Record, layout: Layout) -> bytes:
    """Put the envelope's scope in front of the record's own members."""
    members = record.members
    added = b",".join([start + members[member] for start, member in layout.added_scope])
    rest = data.lstrip()[1:]
    comma = b"" if rest.lstrip()[:1] == b"}" else b","
    return b"{%b%b%b" % (added, comma, rest)


def scope_mismatch(scope: ScopeColumn) -> Refusal:
    """Return the refusal of a record that carries another scope than its envelope."""
    return Refusal(
        error_type="scope_mismatch",
        message=f'the record\'s "{scope.column}" differs from its envelope\'s "{scope.member}"',
        field=scope.column,
    )


def _scope_missing(scope: ScopeColumn) -> Refusal:
    return Refusal(
        error_type="scope_missing",
        message=f'the envelope has no "{scope.member}", which column "{scope.column}" needs',
        field=scope.column,
    )
