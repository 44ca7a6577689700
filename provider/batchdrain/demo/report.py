"""The demo's report: what became of the records, read from `batch_log` and the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

_PROGRESS = """
SELECT split_part(queue, ':', 2), sum(applied)::bigint, sum(refused)::bigint,
       min(started_at), max(finished_at), count(*) FILTER (WHERE messages > 0)
  FROM batchdrain.batch_log
 GROUP BY queue"""

_REFUSED = """
SELECT operation, error_type, count(*) FROM {} GROUP BY operation, error_type ORDER BY 3 DESC, 1, 2
"""


@dataclass(frozen=True, slots=True)
class Drained:
    """What the batches of one table add up to; times are the server's."""

    applied: int
    refused: int
    started_at: datetime
    finished_at: datetime
    batches: int

    @property
    def seconds(self) -> float:
        """Seconds from the first batch's begin to the last one's end."""
        return (self.finished_at - self.started_at).total_seconds()


def drained(connection: psycopg.Connection[Any]) -> dict[str, Drained]:
    """Return what has been drained so far, by table; nothing before the first drain."""
    known = connection.execute("SELECT to_regclass('batchdrain.batch_log') IS NOT NULL")
    if known.fetchone() != (True,):
        return {}
    return {table: Drained(*rest) for table, *rest in connection.execute(_PROGRESS)}


def report(
    connection: psycopg.Connection[Any],
    pushed: Mapping[str, int],
    found: Mapping[str, Drained],
) -> list[str]:
    """Return the report's lines; `pushed` are the records sent, by table."""
    lines = [f"{'table':<10}{'sent':>8}{'applied':>9}{'refused':>9}{'rows':>8}"]
    for table, records in pushed.items():
        applied = found[table].applied if table in found else 0
        refused = found[table].refused if table in found else 0
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        rows = (connection.execute(query).fetchone() or (0,))[0]
        lines.append(f"{table:<10}{records:>8,}{applied:>9,}{refused:>9,}{rows:>8,}")
    for table, totals in found.items():
        if totals.refused:
            lines += ["", f"refused, from {table}_errors:", *_refused(connection, table)]
    flights = found.get("flights")
    if flights is not None and flights.seconds > 0:
        records = flights.applied + flights.refused
        lines += [
            "",
            f"drain of flights: {records:,} records in {flights.batches} batches, "
            f"{flights.seconds:.2f} s, {records / flights.seconds:,.0f} records/s",
        ]
    return lines


def _refused(connection: psycopg.Connection[Any], table: str) -> list[str]:
    query = sql.SQL(_REFUSED).format(sql.Identifier(f"{table}_errors"))
    return [
        f"  {count:>6,}  {operation} {error_type}"
        for operation, error_type, count in connection.execute(query)
    ]
