"""A case's table twice: in one schema for the oracle, in another for batchdrain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import psycopg

from batchdrain.engine.catalog import read_table
from batchdrain.engine.records import RecordResult
from oracle import ANY, Change, Oracle, Verdict
from table_case import TableCase

Connection = psycopg.Connection[Any]


class Copies:
    """Two copies of a table, and a role that may work on both.

    `ours` and `theirs` are the schemas; the tables are named t.
    """

    def __init__(self, connection: Connection, case: TableCase, url: str) -> None:
        self._connection = connection
        self._url = url
        self.case = case
        self.ours, self.theirs = f"ours_{case.name}", f"theirs_{case.name}"
        self._role = f"r{uuid4().hex}"
        connection.execute(f"CREATE ROLE {self._role}".encode())
        for schema in (self.ours, self.theirs):
            connection.execute(f"CREATE SCHEMA {schema}".encode())
            connection.execute(case.ddl.replace("{s}", schema).encode())
            connection.execute(
                f"""
GRANT USAGE, CREATE ON SCHEMA {schema} TO {self._role};
GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {self._role}""".encode()
            )
        self._asked = self.connect()
        assert read_table(self._asked, f"{self.ours}.t").cutting == case.cutting
        self._oracle = Oracle(self._asked, self.theirs, "t")

    def connect(self) -> Connection:
        """Open a connection that acts as the role."""
        return psycopg.connect(self._url, autocommit=True, options=f"-c role={self._role}")

    def close(self) -> None:
        """Close the connection and drop the role."""
        self._asked.close()
        self._connection.execute(f"DROP OWNED BY {self._role}; DROP ROLE {self._role}".encode())

    def begin_anew(self) -> None:
        """Give both copies the rows that the case begins with, and forget refused records."""
        for schema in (self.ours, self.theirs):
            self._connection.execute(
                f"TRUNCATE {schema}.t CASCADE; {self.case.seed.replace('{s}', schema)}".encode()
            )
        self._connection.execute(f"TRUNCATE {self.ours}.t_errors".encode())

    def verdicts(self, batch: Sequence[Change]) -> list[Verdict | None]:
        """Have the oracle apply the records."""
        return self._oracle.apply(batch)

    def check_rows(self) -> None:
        """Compare all that the contract determines of the rows."""
        assert self._rows(self.ours) == self._rows(self.theirs)

    def refusals(self) -> list[tuple[str, str, str | None]]:
        """Message id, error type and field of all refused records, in queue order."""
        kept = f"SELECT message_id, error_type, field_id FROM {self.ours}.t_errors ORDER BY id"
        rows = self._connection.execute(kept.encode())
        return [(str(message_id), str(error_type), field) for message_id, error_type, field in rows]

    def _rows(self, schema: str) -> list[tuple[Any, ...]]:
        """The rows as text; what the clock or a sequence gave only tells that it did."""
        beside = self.case.beside
        tables = [f"{schema}.t", *([f"{schema}.{beside}"] if beside else ())]
        rows = []
        for table in tables:
            for (row,) in self._connection.execute(f"SELECT to_jsonb(t) FROM {table} t".encode()):
                if str(row.get("_updated_at")) > "2010":
                    row["_updated_at"] = "now"
                if self.case.undetermined and row[self.case.undetermined] >= 1000:
                    row[self.case.undetermined] = "next"
                rows.append((table.removeprefix(schema), sorted(row.items(), key=repr)))
        return sorted(rows, key=repr)


def agreed(ours: RecordResult, theirs: Verdict | None) -> Verdict | None:
    """What the engine says of a record, the field left open where the oracle leaves it open."""
    if ours.refusal is None:
        return None
    open_field = theirs is not None and theirs.field == ANY
    return Verdict(ours.refusal.error_type, ANY if open_field else ours.refusal.field)
