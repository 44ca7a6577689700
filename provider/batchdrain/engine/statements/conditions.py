"""What set statements of every style share: how records meet rows, and what they report.

In these fragments `t` is the table and `r` the records, each numbered from 1 in one more column.
"""

from __future__ import annotations

from collections.abc import Iterable

from batchdrain.engine.catalog import Cutting, Table
from batchdrain.engine.statements.quoting import qualified, quoted


def same_key(table: Table) -> str:
    """The condition that a row has a record's key."""
    return _equal(table.key)


def in_scope(table: Table) -> str:
    """The condition that a row has a record's key and scope."""
    return _equal(dict.fromkeys([*table.key, *(scope.column for scope in table.scope)]))


def report(
    table: Table, number: str, into: str, unapplied: str, missing: str = "here IS NULL"
) -> str:
    """Tell which of the `unapplied` records found no row at all, or only one out of their scope.

    A row that is there, in scope and yet was not changed was swallowed by a trigger. On a table
    that has none another session changed it while the statement waited for it: that is told, too.
    `into` is put behind the list of what is returned (PL/pgSQL's INTO).
    """
    n = quoted(number)
    scope = _equal([entry.column for entry in table.scope]) or "true"
    disturbed = table.cutting is Cutting.RECORD_BY_RECORD
    overtaken = "NULL::bigint[]" if disturbed else f"array_agg({n}) FILTER (WHERE here)"
    return f"""SELECT array_agg({n}) FILTER (WHERE {missing}),
  array_agg({n}) FILTER (WHERE NOT here), {overtaken} {into}
FROM (SELECT r.{n}, (SELECT bool_or(({scope}) IS TRUE) FROM {qualified(table)} AS t
    WHERE {same_key(table)}) AS here
  FROM r WHERE {unapplied}) AS r"""


def _equal(names: Iterable[str]) -> str:
    return " AND ".join(f"t.{quoted(name)} = r.{quoted(name)}" for name in names)
