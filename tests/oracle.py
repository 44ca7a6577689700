"""What a batch must leave: its records applied one at a time, each in a savepoint of its own.

Written from CONTRACT alone. It shares no code with the engine, asks PostgreSQL about everything
but JSON's outermost shape, and is as slow as that sounds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier

ANY = "?"
"""The field of a verdict where CONTRACT leaves it open."""


class Change(NamedTuple):
    """One record as it arrives: `data` is its JSON, `members` the envelope's scope members."""

    operation: str
    data: bytes
    members: Mapping[str, bytes]


class Verdict(NamedTuple):
    """Why a record is refused: its error_type, and its field_id or ANY."""

    error_type: str
    field: str | None


class RefusedError(Exception):
    """Raised inside a record's savepoint."""

    def __init__(self, error_type: str, field: str | None = None) -> None:
        super().__init__(error_type)
        self.verdict = Verdict(error_type, field)


class UnconvertedError(Exception):
    """One of the columns does not convert from the document."""

    def __init__(self, columns: Sequence[str], document: str, error_type: str) -> None:
        super().__init__(error_type)
        self.columns = columns
        self.document = document
        self.error_type = error_type


_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attidentity = 'a' OR a.attgenerated <> '',
       CASE WHEN NOT l.collisdeterministic THEN l.oid::regcollation::text END
  FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation
 WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

_KEY = """
SELECT a.attname
  FROM pg_constraint c CROSS JOIN unnest(c.conkey) WITH ORDINALITY k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
 WHERE c.conrelid = %s::regclass AND c.contype = 'p' ORDER BY k.place"""

_RELATIONS = """
SELECT relname FROM pg_class
 WHERE oid = %(table)s::regclass
    OR oid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass))"""

_SCOPE = {"_client_id": "client_id", "_ver": "ver"}


class Oracle:
    """Applies records to one table, one at a time."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str, table: str) -> None:
        self._connection = connection
        self._table = Identifier(schema, table)
        name = self._table.as_string(connection)
        columns = connection.execute(_COLUMNS, (name,)).fetchall()
        self._types = {
            column: SQL(type_ if collation is None else f"{type_} COLLATE {collation}")
            for column, type_, _, collation in columns
        }
        self._always = {column for column, _, always, _ in columns if always}
        self._key = [row[0] for row in connection.execute(_KEY, (name,)).fetchall()]
        self._relations = {
            row[0] for row in connection.execute(_RELATIONS, {"table": name}).fetchall()
        }
        self._scope = {c: m for c, m in _SCOPE.items() if c in self._types}

    def apply(self, changes: Sequence[Change]) -> list[Verdict | None]:
        """Apply the records in one transaction and commit it; None for each that was applied."""
        verdicts: list[Verdict | None] = []
        with self._connection.transaction():
            self._connection.execute("SET LOCAL timezone = 'UTC'")
            self._connection.execute("SET LOCAL datestyle = 'ISO, MDY'")
            self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for change in changes:
                try:
                    with self._connection.transaction():
                        self._apply(change)
                except UnconvertedError as error:
                    verdicts.append(self._first_unconverted(error.columns, error.document))
                except RefusedError as refused:
                    verdicts.append(refused.verdict)
                else:
                    verdicts.append(None)
        return verdicts

    def _apply(self, change: Change) -> None:
        record, document = self._read(change)
        self._check_names(change.operation, record)
        self._check_key(change.operation, record)
        self._check_own_scope(change, record)
        if change.operation == "DELETE":
            given = [*self._key, *self._scope]
        else:
            given = [*record, *(column for column in self._scope if column not in record)]
        given = [column for column in self._types if column in given]
        self._convert(given, document)
        if change.operation == "INSERT":
            self._insert(given, document)
        elif self._exists([*self._key, *self._scope], document):
            if change.operation == "DELETE":
                self._delete(document)
            else:
                self._update(given, document)
        elif self._exists(self._key, document):
            outside = [column for column in self._scope if column not in self._key]
            raise RefusedError("scope_mismatch", ", ".join(outside) or None)
        elif change.operation == "UPSERT":
            self._insert(given, document)
        else:
            raise RefusedError("not_found")

    def _read(self, change: Change) -> tuple[dict[str, Any], str]:
        """The record, and its JSON with the scope columns that it leaves out."""
        for column, member in self._scope.items():
            if member not in change.members:
                raise RefusedError("scope_missing", column)
        record = json.loads(change.data, parse_int=str, parse_float=str)
        if not isinstance(record, dict):
            raise RefusedError("malformed_message")
        added = [
            f"{json.dumps(column)}: {change.members[member].decode()}"
            for column, member in self._scope.items()
            if column not in record
        ]
        merged = self._run(
            SQL("SELECT (%s::jsonb || %s::jsonb)::text"),
            (change.data.decode(), f"{{{', '.join(added)}}}"),
            field=ANY,
        )
        return record, str(merged[0])

    def _check_names(self, operation: str, record: Mapping[str, Any]) -> None:
        for name in record:
            if name not in self._types:
                raise RefusedError("undefined_column", name)
        for name in record:
            as_key = operation == "UPDATE" and name in self._key
            if name in self._always and not as_key and operation != "DELETE":
                raise RefusedError("generated_always", name)

    def _check_key(self, operation: str, record: Mapping[str, Any]) -> None:
        key = self._key if operation != "INSERT" else []
        left_out = [name for name in key if name not in record and name not in self._scope]
        null = [name for name in key if name in record and record[name] is None]
        if left_out or null:
            raise RefusedError("malformed_message", [*left_out, *null][0])

    def _check_own_scope(self, change: Change, record: Mapping[str, Any]) -> None:
        for column, member in self._scope.items():
            if column not in record:
                continue
            if record[column] is None:
                raise RefusedError("scope_mismatch", column)
            own, envelope = change.data.decode(), change.members[member].decode()
            pair = self._run(
                SQL("SELECT (%s::jsonb -> %s)::text = %s::jsonb::text"),
                (own, column, envelope),
                field=column,
            )
            if pair[0]:
                continue
            values = self._run(
                SQL("SELECT a.{c} = b.{c} FROM {a}, {b}").format(
                    c=Identifier(column),
                    a=self._values([column], "a"),
                    b=self._values([column], "b"),
                ),
                (own, f"{{{json.dumps(column)}: {envelope}}}"),
                field=column,
            )
            if not values[0]:
                raise RefusedError("scope_mismatch", column)

    def _convert(self, columns: Sequence[str], document: str) -> None:
        counts = SQL(", ").join(SQL("count({})").format(Identifier(c)) for c in columns)
        if columns:
            try:
                self._run(
                    SQL("SELECT {} FROM {}").format(counts, self._values(columns)), (document,)
                )
            except RefusedError as refused:
                error_type = refused.verdict.error_type
                raise UnconvertedError(columns, document, error_type) from refused

    def _first_unconverted(self, columns: Sequence[str], document: str) -> Verdict:
        for column in columns:
            try:
                with self._connection.transaction():
                    self._convert([column], document)
            except UnconvertedError as unconverted:
                return Verdict(unconverted.error_type, column)
        raise AssertionError("every column converts by itself, but not all of them together")

    def _exists(self, columns: Sequence[str], document: str) -> bool:
        columns = list(dict.fromkeys(columns))
        row = self._run(
            SQL("SELECT count(*) FROM {} AS t JOIN {} ON {}").format(
                self._table, self._values(columns), _equal(columns)
            ),
            (document,),
        )
        return bool(row[0])

    def _insert(self, given: Sequence[str], document: str) -> None:
        if not given:
            self._run(SQL("INSERT INTO {} DEFAULT VALUES").format(self._table), ())
            return
        listed = SQL(", ").join(map(Identifier, given))
        self._run(
            SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
                self._table, listed, listed, self._values(given)
            ),
            (document,),
        )

    def _update(self, given: Sequence[str], document: str) -> None:
        fixed = {*self._key, *self._scope}
        changes: list[Composed | SQL] = [
            SQL("{} = r.{}").format(Identifier(column), Identifier(column))
            for column in given
            if column not in fixed
        ]
        if "_updated_at" in self._types and "_updated_at" not in {*given, *fixed}:
            changes.append(SQL("_updated_at = CURRENT_TIMESTAMP"))
        if not changes:
            return
        columns = list(dict.fromkeys([*given, *self._key, *self._scope]))
        self._run(
            SQL("UPDATE {} AS t SET {} FROM {} WHERE {}").format(
                self._table, SQL(", ").join(changes), self._values(columns), self._found()
            ),
            (document,),
        )

    def _delete(self, document: str) -> None:
        values = self._values(list(dict.fromkeys([*self._key, *self._scope])))
        self._run(
            SQL("DELETE FROM {} AS t USING {} WHERE {}").format(self._table, values, self._found()),
            (document,),
        )

    def _found(self) -> Composed:
        return _equal(list(dict.fromkeys([*self._key, *self._scope])))

    def _values(self, columns: Sequence[str], alias: str = "r") -> Composed:
        definitions = SQL(", ").join(
            SQL("{} {}").format(Identifier(column), self._types[column]) for column in columns
        )
        return SQL("jsonb_to_record(%s::jsonb) AS {}({})").format(Identifier(alias), definitions)

    def _run(
        self, query: SQL | Composed, values: Sequence[str], field: str | None = None
    ) -> tuple[Any, ...]:
        """Run a statement and return its row, if any.

        Raises RefusedError for an error, which is the record's own; `field` names what it is about
        where PostgreSQL does not.
        """
        try:
            cursor = self._connection.execute(query, values)
        except psycopg.Error as error:
            # A constraint's columns, and which column has the domain, are not told.
            unnamed = error.diag.constraint_name or error.diag.datatype_name
            own = error.diag.table_name in {None, *self._relations}
            column = error.diag.column_name if own else None
            field = column or field or (ANY if unnamed else None)
            raise RefusedError(condition(error.sqlstate or ""), field) from error
        return cursor.fetchone() or () if cursor.description else ()


def _equal(columns: Sequence[str]) -> Composed:
    return SQL(" AND ").join(
        SQL("t.{} = r.{}").format(Identifier(column), Identifier(column)) for column in columns
    )


def condition(sqlstate: str) -> str:
    """PostgreSQL's name of a condition, the code itself where it has none."""
    try:
        name = errors.lookup(sqlstate).__name__
    except KeyError:
        return sqlstate
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip("_")
