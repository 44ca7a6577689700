"""Style `values`: one parameter for each value, in statements that any server and proxy knows.

INSERT with many VALUES rows, UPDATE with a CASE for each column, DELETE with an IN list. It is
slower than `recordset` (the text grows with the batch, and a CASE is searched from its beginning
for every row), and gives the same results: each value is converted as jsonb_to_recordset does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from batchdrain.engine.catalog import Table
from batchdrain.engine.json_doubts import DOUBTFUL_JSON
from batchdrain.engine.records import Operation
from batchdrain.engine.statements.conditions import report, same_key
from batchdrain.engine.statements.converted import assigned, converted, parameter
from batchdrain.engine.statements.questions import ALL_JSONB
from batchdrain.engine.statements.quoting import listed, qualified, quoted, unused_name
from batchdrain.engine.statements.recordset import Recordset
from batchdrain.engine.statements.shape import (
    UPDATED_AT,
    BoundStatement,
    SetStatement,
    Shape,
)

MOST_PARAMETERS = 65_535
"""What a statement may have: the protocol counts parameters in 16 bits (Bind, in PostgreSQL's
documentation of message formats)."""

LONGEST_CASE = 1_000
"""Records in one UPDATE: its time grows with their square."""

_Read = Mapping[int, Mapping[str, msgspec.Raw]]
"""Members of records, by the records' places."""

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Values:
    """The style of multi-row VALUES, CASE and IN, for one table."""

    name = "values"

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns = {column.name: column for column in table.columns}
        self._whole = Recordset(table)

    def bind(self, shape: Shape, records: Sequence[bytes]) -> list[BoundStatement]:
        """Return statements of at most MOST_PARAMETERS each, one scope in each of them.

        Rules rule out WITH and RETURNING; tables that have any get the statements of `recordset`.
        """
        if self._table.rules:
            return self._whole.bind(shape, records)
        doubtful = [record for record in records if DOUBTFUL_JSON.search(record)]
        bound = [_check(doubtful)] if doubtful else []
        rows = {place: row for place, row in enumerate(map(_members, records)) if row is not None}
        unread = [place for place in range(len(records)) if place not in rows]
        if unread:
            whole = self._whole.bind(shape, [records[place] for place in unread])
            bound += [_elsewhere(each, unread) for each in whole]
        # Locking takes the privilege to update, deleting does not.
        lockable = shape.operation is not Operation.INSERT and "UPDATE" in self._table.privileges
        for places in self._cut(shape, rows):
            if lockable and len(places) > 1:
                bound.append(self._locking(shape, rows, places))
            bound.append(self._bound(shape, rows, places))
        return bound

    def _cut(self, shape: Shape, rows: _Read) -> Iterator[list[int]]:
        most = MOST_PARAMETERS // max(1, len(shape.carried))
        if not shape.carried:
            most = 1
        elif shape.operation in (Operation.UPDATE, Operation.UPSERT):
            most = min(most, LONGEST_CASE)
        for places in self._by_scope(shape, rows):
            for begin in range(0, len(places), most):
                yield places[begin : begin + most]

    def _by_scope(self, shape: Shape, rows: _Read) -> Iterator[list[int]]:
        """Group the records by scope, each group in key order, so that locks are taken in it."""
        groups: dict[tuple[bytes, ...], list[int]] = {}
        for place, row in rows.items():
            scope: tuple[bytes, ...] = ()
            if shape.operation is not Operation.INSERT:
                scope = tuple(bytes(row[entry.column]) for entry in self._table.scope)
            groups.setdefault(scope, []).append(place)
        key = [name for name in self._table.key if name in shape.carried]
        for places in groups.values():
            yield sorted(
                places, key=lambda place: [bytes(rows[place].get(name, b"")) for name in key]
            )

    def _locking(self, shape: Shape, rows: _Read, places: list[int]) -> BoundStatement:
        """Return what locks the records' rows in key order, as an IN list by itself does not."""
        keys = replace(shape, carried=self._table.key)
        scope = [e.column for e in self._table.scope if e.column not in self._table.key]
        statement = SetStatement(_lock(_Rows(self._table, keys, len(places), scope)), reports=False)
        common = replace(shape, carried=tuple(scope))
        parameters = self._parameters(keys, rows, places)
        parameters += self._parameters(common, rows, places[:1])
        return BoundStatement(statement, parameters, (), prepare=None)

    def _bound(self, shape: Shape, rows: _Read, places: list[int]) -> BoundStatement:
        statement = _written(_Rows(self._table, shape, len(places)))
        return BoundStatement(statement, self._parameters(shape, rows, places), places, None)

    def _parameters(self, shape: Shape, rows: _Read, places: list[int]) -> tuple[str | None, ...]:
        columns = [self._columns[name] for name in shape.carried]
        return tuple(
            parameter(column, _json_of(rows[place], column.name))
            for place in places
            for column in columns
        )


def _members(record: bytes) -> Mapping[str, msgspec.Raw] | None:
    """Return a record's members; None for JSON that PostgreSQL has to judge."""
    try:
        return _decode(record)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _elsewhere(bound: BoundStatement, places: Sequence[int]) -> BoundStatement:
    """Return a statement for a part of the records, told in places among all of them."""
    return replace(bound, places=[places[place] for place in bound.places])


def _json_of(row: Mapping[str, msgspec.Raw], name: str) -> bytes | None:
    return bytes(row[name]) if name in row else None


def _check(doubtful: Sequence[bytes]) -> BoundStatement:
    """A statement that fails as jsonb does, for JSON that jsonb may not take."""
    texts = [record.decode() for record in doubtful]
    return BoundStatement(SetStatement(ALL_JSONB, reports=False), (texts,), ())


class _Rows:
    """The values of so many records as expressions over the parameters of one statement.

    The columns in `common` have one parameter each, behind all the others.
    """

    def __init__(self, table: Table, shape: Shape, count: int, common: Sequence[str] = ()) -> None:
        self.table = table
        self.shape = shape
        self._places = {name: place for place, name in enumerate(shape.carried, 1)}
        self._columns = {column.name: column for column in table.columns}
        self.numbers = range(count)
        behind = count * len(shape.carried)
        self._common = {name: place for place, name in enumerate(common, behind + 1)}

    def value(self, record: int, name: str) -> str:
        """The value of a column, converted."""
        return converted(self._columns[name], self._number(record, name))

    def assigned(self, record: int, name: str) -> str:
        """The value of a column for a row that is inserted as it is."""
        return assigned(self._columns[name], self._number(record, name))

    def key(self, record: int) -> str:
        """The condition that a row of `t` has the record's key."""
        return " AND ".join(
            f"t.{quoted(name)} = {self.value(record, name)}" for name in self.table.key
        )

    def _number(self, record: int, name: str) -> int:
        common = self._common.get(name)
        return common or record * len(self._places) + self._places[name]


def _written(rows: _Rows) -> SetStatement:
    table, shape = rows.table, rows.shape
    if shape.operation is Operation.INSERT:
        return SetStatement(_insert(rows), reports=False)
    number = unused_name(table, "n")
    found = _unapplied(table)
    missing = "here IS NULL"
    parts = [_records(rows, number)]
    if shape.operation is Operation.DELETE:
        parts.append(
            f"u AS (DELETE FROM {qualified(table)} AS t {_where(rows)} {_returning(table)})"
        )
    else:
        parts.append(f"u AS ({_update(rows)})")
    if shape.operation is Operation.UPSERT:
        missing = "false"
        parts.append(f"i AS ({_insert_missing(table, shape)})")
    text = f"""WITH {f",{chr(10)}".join(parts)}
{report(table, number, "", found, missing)}"""
    return SetStatement(text, reports=True)


def _records(rows: _Rows, number: str) -> str:
    """The records themselves: a value is converted even where its record finds no row."""
    lines = ",\n".join(
        f"({record + 1}, {', '.join(rows.value(record, name) for name in rows.shape.carried)})"
        for record in rows.numbers
    )
    return f"r({quoted(number)}, {listed(rows.shape.carried)}) AS MATERIALIZED (VALUES {lines})"


def _insert(rows: _Rows) -> str:
    table, names = rows.table, rows.shape.insert
    if not names:
        return f"INSERT INTO {qualified(table)} DEFAULT VALUES"
    lines = ",\n".join(
        f"({', '.join(rows.assigned(record, name) for name in names)})" for record in rows.numbers
    )
    text = f"INSERT INTO {qualified(table)} ({listed(names)}) VALUES {lines}"
    # A role that may only INSERT need not be able to read the key, and a policy may allow to insert
    # rows that another one hides: returning them is an error.
    readable = table.privileges & {"UPDATE", "DELETE"} and not table.row_security
    return f"{text} RETURNING {listed(table.key)}" if readable else text


def _update(rows: _Rows) -> str:
    table, shape = rows.table, rows.shape
    assignments = [f"{quoted(name)} = {_case(rows, name)}" for name in shape.update]
    if shape.touch:
        assignments.append(f"{quoted(UPDATED_AT)} = CURRENT_TIMESTAMP")
    if not assignments:
        keys = ", ".join(f"t.{quoted(name)}" for name in table.key)
        return f"SELECT {keys} FROM {qualified(table)} AS t {_where(rows)}"
    return f"""UPDATE {qualified(table)} AS t SET {", ".join(assignments)}
{_where(rows)} {_returning(table)}"""


def _delete(rows: _Rows) -> str:
    table = rows.table
    return f"DELETE FROM {qualified(table)} AS t {_where(rows)} {_returning(table)}"


def _lock(rows: _Rows) -> str:
    keys = ", ".join(f"t.{quoted(name)}" for name in rows.table.key)
    strength = "UPDATE" if rows.shape.operation is Operation.DELETE else "NO KEY UPDATE"
    return f"""SELECT FROM {qualified(rows.table)} AS t {_where(rows)}
ORDER BY {keys} FOR {strength}"""


def _case(rows: _Rows, name: str) -> str:
    branches = " ".join(
        f"WHEN {rows.key(record)} THEN {rows.value(record, name)}" for record in rows.numbers
    )
    return f"CASE {branches} ELSE t.{quoted(name)} END"


def _where(rows: _Rows) -> str:
    """Restrict `t` to the records' keys and, since that is the same for all, the first's scope."""
    key = rows.table.key
    keys = ", ".join(f"t.{quoted(name)}" for name in key)
    values = (", ".join(rows.value(record, name) for name in key) for record in rows.numbers)
    if len(key) > 1:
        keys, values = f"({keys})", (f"({value})" for value in values)
    scope = "".join(
        f" AND t.{quoted(entry.column)} = {rows.value(0, entry.column)}"
        for entry in rows.table.scope
        if entry.column not in key
    )
    return f"WHERE {keys} IN ({', '.join(values)}){scope}"


def _returning(table: Table) -> str:
    names = [*table.key, *(c.name for c in table.columns if c.name == UPDATED_AT)]
    return f"RETURNING {', '.join(f't.{quoted(name)}' for name in dict.fromkeys(names))}"


def _insert_missing(table: Table, shape: Shape) -> str:
    return f"""INSERT INTO {qualified(table)} ({listed(shape.insert)})
SELECT {listed(shape.insert)} FROM r
WHERE NOT EXISTS (SELECT FROM {qualified(table)} AS t WHERE {same_key(table)}) RETURNING 1"""


def _unapplied(table: Table) -> str:
    ours, changed = (", ".join(f"{t}.{quoted(name)}" for name in table.key) for t in "ru")
    return f"({ours}) NOT IN (SELECT {changed} FROM u)"
