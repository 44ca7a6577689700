"""A table twice: the engine and the oracle get the same records, each for its own copy."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.records import BatchResult, Operation, Record, RecordResult
from batchdrain.engine.settings import EngineSettings
from oracle import ANY, Change, Oracle, Verdict

POISON = r'"a\u0000b"'
"""JSON that jsonb refuses, whatever the column's type."""

UNSAID = Verdict(ANY, ANY)
"""What happens to the record is left to the oracle."""


@dataclass(frozen=True)
class Sent:
    """One record: columns and the JSON texts of their values, the same of its envelope.

    `verdict` is what must become of it: None where it must be applied.
    """

    operation: str
    record: Mapping[str, str]
    verdict: Verdict | None = UNSAID
    members: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def data(self) -> str:
        """The record's JSON."""
        members = (
            f"{json.dumps(name, ensure_ascii=False)}: {text}" for name, text in self.record.items()
        )
        return f"{{{', '.join(members)}}}"

    @property
    def change(self) -> Change:
        """The record as the oracle takes it."""
        members = {name: text.encode() for name, text in self.members.items()}
        return Change(self.operation, self.data.encode(), members)


class Twins:
    """Two copies of a table, in two schemas with odd names.

    In the DDL `{s}` stands for the schema. `key` has the key columns in the primary key's order,
    `shown` is an expression over the row `t` for what is compared of it. Of the connections,
    which stay open, one is the engine's.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        engines: psycopg.Connection[Any],
        style: str,
        number: int,
        ddl: str,
        *,
        key: Sequence[str],
        table: str = "t",
        shown: str = "t",
    ) -> None:
        self._connection = connection
        self._key = key
        self._shown = shown
        ours, theirs = f'Óurs "{number}"', f'Théirs "{number}"'
        for schema in (ours, theirs):
            name = Identifier(schema).as_string(connection)
            connection.execute(f"CREATE SCHEMA {name}".encode())
            connection.execute(ddl.replace("{s}", name).encode())
        self._engine = BatchEngine(
            lambda: engines,
            f"{ours}.{table}",
            settings=EngineSettings(statement_style=style),
        )
        self._engine.open()
        self._oracle = Oracle(connection, theirs, table)
        self._tables = [
            Identifier(schema, table).as_string(connection) for schema in (ours, theirs)
        ]
        self._errors = Identifier(ours, f"{table}_errors").as_string(connection)

    def check(self, batch: Sequence[Sent]) -> BatchResult:
        """Apply the same records to both, and compare all that the contract determines."""
        changes = [one.change for one in batch]
        verdicts = self._oracle.apply(changes)
        self._connection.execute(f"DELETE FROM {self._errors}".encode())
        result = self._engine.apply(
            [
                Record(Operation(change.operation), change.data, change.members, str(ordinal))
                for ordinal, change in enumerate(changes)
            ]
        )
        for one, entry, theirs in zip(batch, result.results, verdicts, strict=True):
            ours = _verdict(entry)
            assert _meets(ours, theirs), f"{one} is {ours}, and not {theirs}"
            assert _meets(ours, one.verdict), f"{one} is {ours}"
        assert result.refused == sum(verdict is not None for verdict in verdicts)
        assert self._rows(0) == self._rows(1)
        self._check_errors(batch, result)
        return result

    def values(self, expressions: str) -> list[tuple[Any, ...]]:
        """Return expressions over the rows that the engine left, ordered by the first of them."""
        query = f"SELECT {expressions} FROM {self._tables[0]} AS t ORDER BY 1"
        return self._connection.execute(query.encode()).fetchall()

    def _rows(self, copy: int) -> list[str]:
        query = f"SELECT ({self._shown})::text FROM {self._tables[copy]} AS t"
        return sorted(row for (row,) in self._connection.execute(query.encode()))

    def _check_errors(self, batch: Sequence[Sent], result: BatchResult) -> None:
        """`<table>_errors` has a row for every refused record, which holds the record itself."""
        refused = [
            (one, entry)
            for one, entry in zip(batch, result.results, strict=True)
            if entry.refusal is not None
        ]
        found = self._connection.execute(
            f"""
SELECT message_id, operation, error_type, field_id, client_id, record_id, record_data::text
  FROM {self._errors} ORDER BY message_id::integer""".encode()
        ).fetchall()
        shown = self._shown_by_jsonb([one for one, _ in refused])
        for (one, entry), row, (client, key, data) in zip(refused, found, shown, strict=True):
            assert row[:4] == (entry.message_id, entry.operation, *(_verdict(entry) or ())), one
            if not any(self._part(one, name) == POISON for name in self._key):
                assert row[5] == key, one
            assert (row[4], row[6]) == (client, data), one

    def _shown_by_jsonb(self, refused: Sequence[Sent]) -> list[tuple[Any, ...]]:
        """The client_id, record_id and record_data that the records must have left."""
        one, many = "key ->> 0", "CASE WHEN NOT key @> '[null]' THEN key::text END"
        query = SQL("SELECT left(client #>> '{{}}', 50), {}, data::text FROM {}").format(
            SQL(one if len(self._key) == 1 else many),
            SQL("unnest(%s::jsonb[], %s::jsonb[], %s::jsonb[]) AS r(client, key, data)"),
        )
        columns: tuple[list[str], ...] = ([], [], [])
        for sent in refused:
            parts = [self._part(sent, name) for name in self._key]
            poisoned = POISON in sent.data
            encoded = {"batchdrain_base64": base64.b64encode(sent.data.encode()).decode()}
            columns[0].append(sent.members.get("client_id", "null"))
            columns[1].append("[null]" if POISON in parts else f"[{', '.join(parts)}]")
            columns[2].append(json.dumps(encoded) if poisoned else sent.data)
        return self._connection.execute(query, columns).fetchall()

    def _part(self, sent: Sent, name: str) -> str:
        if name == "_client_id" and name not in sent.record:
            return sent.members.get("client_id", "null")
        return sent.record.get(name, "null")


def _verdict(entry: RecordResult) -> Verdict | None:
    if entry.refusal is None:
        return None
    return Verdict(entry.refusal.error_type, entry.refusal.field)


def _meets(ours: Verdict | None, said: Verdict | None) -> bool:
    """Whether a verdict is the one that is said, where that says anything."""
    if said == UNSAID:
        return True
    if ours is None or said is None:
        return ours is said
    return ours.error_type == said.error_type and said.field in (ANY, ours.field)
