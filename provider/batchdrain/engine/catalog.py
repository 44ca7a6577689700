"""A table as PostgreSQL's catalog describes it, and what makes its rows disturb one another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

from batchdrain.engine import catalog_query, disturbance_query
from batchdrain.engine.catalog_version import VERSION
from batchdrain.engine.settings import DEFAULT_SCOPE
from batchdrain.errors import ConfigurationError

_INTEGERS = frozenset({20, 21, 23})
_UUID = 2950
_TEXTS = frozenset({25, 1043})
"""Object ids of the types int8, int2, int4; uuid; text, varchar (catalog/pg_type.dat)."""

_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
    "I": "an index",
    "c": "a composite type",
    "t": "a TOAST table",
}

# A bare call (a cast around it at most): an expression around it may give one value twice.
_FRESH = re.compile(
    r"\(?(?:\w+\.|\"[^\"]+\"\.)?"
    r"(?:nextval\('[^()]*'::regclass\)"
    r"|(?:gen_random_uuid|uuidv4|uuidv7|uuid_generate_v1|uuid_generate_v1mc|uuid_generate_v4)\(\))"
    r"\)?(?:::[\w ]+)?"
)


class KeyRule(StrEnum):
    """When Python may tell by itself that two JSON values are the same key (SEMANTICS, cutting)."""

    INTEGER = "integer"
    UUID = "uuid"
    TEXT = "text"
    ASK = "ask"


class Conversion(StrEnum):
    """How a JSON value, as a parameter, becomes what jsonb_to_recordset would make of it.

    TEXT: a cast of its text. LIMITED: a text, too, but a cast would cut what is too long instead
    of refusing it. JSONB: a cast of its JSON. RECORD: only jsonb_to_record knows (arrays,
    composite types, json).
    """

    TEXT = "text"
    LIMITED = "limited"
    JSONB = "jsonb"
    RECORD = "record"


class Cutting(StrEnum):
    """How a batch for the table is cut into set statements."""

    WAVES = "waves"
    RUNS = "runs"
    RECORD_BY_RECORD = "record by record"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` is what format_type() prints, `max_length` the n of varchar(n).

    `default` tells that an INSERT that leaves the column out gets something other than NULL
    (a default, an identity, a domain's default), `fresh_default` that each row gets another one
    (a sequence, an identity, a random uuid). `always` marks GENERATED ALWAYS AS IDENTITY,
    `computed` a generated column. `insertable` is the role's INSERT privilege on it.
    `max_length` is the n of char(n) and of a domain over either, too. A string longer than it may
    still be the same key as a shorter one: trailing blanks beyond n are cut off. `collation` is the
    quoted name of a collation other than the type's own. `conversion` tells how a parameter becomes
    a value of the type.
    """

    name: str
    type: str
    not_null: bool
    default: bool
    fresh_default: bool
    always: bool
    computed: bool
    insertable: bool
    key_rule: KeyRule
    max_length: int | None
    collation: str | None
    conversion: Conversion


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A scope column and the envelope member that carries its value."""

    column: str
    member: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `key` is the primary key in its own order, `scope` the scope columns it has.

    `unique_columns` are the columns of secondary unique indexes and exclusion constraints that
    can make rows with different keys disturb one another (those that their expressions and
    generated columns are computed from, too). `constraints` maps each constraint and unique index
    of the table and its partitions, constraints of its domains, and foreign keys that point at it,
    to the columns here; `references` does so for those foreign keys alone, by schema and name of
    the table that has them, too. `partitioned` tells whether rows may be in other tables, which
    partition it or inherit from it, `row_security` whether policies apply to this role, `rules`
    whether the table has any (WITH and RETURNING do not go with them), `privileges` what the role
    may do to the table or to some column of it (SELECT, INSERT, UPDATE, DELETE). `version` is what
    catalog_version.VERSION told just before the rest was read.
    """

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    scope: tuple[ScopeColumn, ...]
    cutting: Cutting
    cutting_reason: str
    unique_columns: frozenset[str]
    constraints: dict[str, tuple[str, ...]]
    references: dict[tuple[str, str, str], tuple[str, ...]]
    partitioned: bool
    row_security: bool
    rules: bool
    privileges: frozenset[str]
    version: str = field(default="", compare=False)

    @property
    def qualified_name(self) -> str:
        """`schema.table`, unquoted, for messages."""
        return f"{self.schema}.{self.name}"


def read_table(
    connection: psycopg.Connection[Any],
    name: str,
    scope: Mapping[str, str] = DEFAULT_SCOPE,
) -> Table:
    """Read the table `name` (`table` or `schema.table`, case-sensitive, unquoted).

    `scope` maps scope columns to envelope members; those that the table has count. Raises
    ConfigurationError when there is no such table, it has no primary key, or the role lacks what
    no drain can do without: USAGE on the schema, one of INSERT, UPDATE and DELETE, and, unless it
    may only INSERT, SELECT on key and scope columns.
    """
    version = _version(connection, _relation(connection, name)[0])
    oid, schema, table, partitioned, row_security, rules, key, privileges = _relation(
        connection, name
    )
    described = _rows(connection, catalog_query.COLUMNS, {"oid": oid})
    columns = tuple(_column(row) for row in described)
    scopes = tuple(
        ScopeColumn(column, member)
        for column, member in scope.items()
        if any(column == c.name for c in columns)
    )
    needed = {*key, *(s.column for s in scopes)}
    unreadable = [row[0] for row in described if row[0] in needed and not row[7]]
    _check_privileges(connection, f"{schema}.{table}", privileges, unreadable)
    unique = _rows(connection, catalog_query.UNIQUE, {"oid": oid})
    computed_key = next((c.name for c in columns if c.computed and c.name in key), None)
    named = _rows(connection, catalog_query.CONSTRAINTS, {"oid": oid})
    cutting, reason = _cutting(connection, oid, row_security, computed_key, unique)
    return Table(
        oid=oid,
        schema=schema,
        name=table,
        columns=columns,
        key=tuple(key),
        scope=scopes,
        cutting=cutting,
        cutting_reason=reason,
        unique_columns=frozenset(c for row in unique if row[1] for c in row[5]),
        constraints=_constraints(named, unique),
        references={(row[3], row[4], row[0]): tuple(row[2]) for row in named if row[3]},
        partitioned=partitioned,
        row_security=row_security,
        rules=rules,
        privileges=frozenset(privileges),
        version=version,
    )


def _version(connection: psycopg.Connection[Any], oid: int) -> str:
    cursor = psycopg.RawCursor(connection, row_factory=tuple_row)
    # Prepared, since it will be in every batch: psycopg takes a statement that it has seen before,
    # and that is first prepared in a pipeline which fails, for one that the server knows.
    cursor.execute(VERSION.encode(), (oid,), prepare=True)
    (version,) = cursor.fetchone() or ("",)
    return str(version)


def _relation(connection: psycopg.Connection[Any], name: str) -> tuple[Any, ...]:
    """Return what read_table needs of a drainable table's own entry in the catalog."""
    schema, table = _split(name)
    found = _rows(connection, catalog_query.RELATION, {"table": table, "schema": schema})
    if not found:
        raise ConfigurationError(_unknown(connection, name, table))
    oid, schema, table, kind, usage, partitioned, *others = found[0]
    row_security, rules, key, privileges = others
    if kind not in ("r", "p"):
        raise ConfigurationError(
            f'"{schema}.{table}" is {_KINDS.get(kind, "no table")}; '
            "a queue needs an ordinary or a partitioned table"
        )
    if not usage:
        raise ConfigurationError(
            f'role "{_role(connection)}" may not use schema "{schema}"; '
            f'GRANT USAGE ON SCHEMA "{schema}" to it'
        )
    if not key:
        raise ConfigurationError(
            f'table "{schema}.{table}" has no primary key; a drain finds rows by it, so add one'
        )
    return oid, schema, table, partitioned, row_security, rules, key, privileges


def missing_privilege(table: Table, operations: Iterable[str]) -> str | None:
    """The sentence to fail with when the role may not do one of `operations` to the table at all.

    `operations` are values of records.Operation; an UPSERT needs INSERT and UPDATE. None if it may.
    """
    needed: set[str] = set()
    for operation in operations:
        needed |= {"INSERT", "UPDATE"} if operation == "UPSERT" else {str(operation)}
    missing = sorted(needed - table.privileges)
    if not missing:
        return None
    return _grant(f"may not {' and '.join(missing)}", missing, table.qualified_name)


def _rows(
    connection: psycopg.Connection[Any], query: LiteralString, parameters: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _role(connection: psycopg.Connection[Any]) -> str:
    return str(_rows(connection, catalog_query.WHERE_ELSE, {"table": ""})[0][2])


def _split(name: str) -> tuple[str | None, str]:
    schema, dot, table = name.rpartition(".")
    if not table or (dot and not schema) or "." in schema or ":" in name:
        raise ConfigurationError(
            f'"{name}" names no table; write "table" or "schema.table", without quotes'
        )
    return (schema or None), table


def _unknown(connection: psycopg.Connection[Any], name: str, table: str) -> str:
    database, search_path, _, schemas = _rows(
        connection, catalog_query.WHERE_ELSE, {"table": table}
    )[0]
    where = f'database "{database}" has no table "{name}"'
    if "." not in name:
        where += f" in the search_path ({search_path})"
    if schemas:
        return f'{where}; write "{schemas[0]}.{table}" for the one in schema "{schemas[0]}"'
    return f"{where}; create it, or mend the name (it is case-sensitive and unquoted)"


def _grant(what: str, privileges: Sequence[str], table: str) -> str:
    quoted = ".".join(f'"{part}"' for part in table.split(".", 1))
    return (
        f'the connection\'s role {what} on table "{table}"; '
        f"GRANT {', '.join(privileges)} ON {quoted} to it"
    )


def _check_privileges(
    connection: psycopg.Connection[Any],
    table: str,
    privileges: Sequence[str],
    unreadable: Sequence[str],
) -> None:
    writing = {"INSERT", "UPDATE", "DELETE"} & set(privileges)
    role = _role(connection) if not writing or unreadable else ""
    quoted = ".".join(f'"{part}"' for part in table.split(".", 1))
    if not writing:
        raise ConfigurationError(
            f'role "{role}" may not write to table "{table}"; '
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {quoted} to it"
        )
    if unreadable and writing != {"INSERT"}:
        columns = ", ".join(f'"{column}"' for column in unreadable)
        raise ConfigurationError(
            f'role "{role}" may not read the key and scope columns of table "{table}"; '
            f"GRANT SELECT ({columns}) ON {quoted} to it"
        )


def _column(row: Sequence[Any]) -> Column:
    (
        name,
        type_,
        not_null,
        identity,
        generated,
        default,
        insertable,
        _,
        oid,
        fixed,
        length,
        collation,
        conversion,
    ) = row
    return Column(
        name=name,
        type=type_,
        not_null=not_null,
        default=bool(identity or generated or default is not None),
        fresh_default=bool(
            identity or (not generated and default is not None and _FRESH.fullmatch(default))
        ),
        always=identity == "a",
        computed=generated != "",
        insertable=insertable,
        key_rule=_key_rule(oid, fixed),
        max_length=length,
        collation=collation,
        conversion=Conversion(conversion),
    )


def _key_rule(type_oid: int, deterministic: bool) -> KeyRule:
    if type_oid in _INTEGERS:
        return KeyRule.INTEGER
    if type_oid == _UUID:
        return KeyRule.UUID
    if type_oid in _TEXTS and deterministic:
        return KeyRule.TEXT
    return KeyRule.ASK


def _cutting(
    connection: psycopg.Connection[Any],
    oid: int,
    row_security: bool,
    computed_key: str | None,
    unique: Sequence[Sequence[Any]],
) -> tuple[Cutting, str]:
    parameters = {"oid": oid, "extensions": disturbance_query.HARMLESS_EXTENSIONS}
    disturbance = _rows(connection, disturbance_query.DISTURBANCE, parameters)
    if disturbance:
        return Cutting.RECORD_BY_RECORD, disturbance[0][0]
    if row_security:
        return Cutting.RECORD_BY_RECORD, "row security"
    if computed_key is not None:
        # An UPDATE of what it is computed from gives the row another key.
        return Cutting.RECORD_BY_RECORD, f'generated key column "{computed_key}"'
    for name, disturbs, excludes, partition, *_ in unique:
        if disturbs:
            what = "exclusion constraint" if excludes else "unique index"
            where = f' on partition "{partition}"' if partition else ""
            return Cutting.RUNS, f'{what} "{name}"{where}'
    return Cutting.WAVES, "primary key only"


def _constraints(
    named: Sequence[Sequence[Any]], unique: Sequence[Sequence[Any]]
) -> dict[str, tuple[str, ...]]:
    constraints: dict[str, tuple[str, ...]] = {}
    for name, *_, columns, _ in unique:
        constraints.setdefault(name, tuple(columns))
    for name, _, columns, *_ in named:
        constraints.setdefault(name, tuple(columns))
    return constraints
