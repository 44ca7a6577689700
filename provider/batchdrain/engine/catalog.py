"""A table as PostgreSQL's catalog describes it, and what makes its rows disturb one another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class KeyRule(StrEnum):
    """When Python may tell by itself that two JSON values are the same key (SEMANTICS, cutting)."""

    INTEGER = "integer"
    UUID = "uuid"
    TEXT = "text"
    ASK = "ask"


class Cutting(StrEnum):
    """How a batch for the table is cut into set statements."""

    WAVES = "waves"
    RUNS = "runs"
    RECORD_BY_RECORD = "record by record"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` is what format_type() prints, `max_length` the n of varchar(n) or None.

    `default` tells that an INSERT that leaves the column out gets something other than NULL
    (a default, an identity, a domain's default), `fresh_default` that each row gets another one
    (a sequence, an identity, a random uuid). `always` marks GENERATED ALWAYS AS IDENTITY,
    `computed` a generated column. `insertable` is the role's INSERT privilege on it.
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


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A scope column and the envelope member that carries its value."""

    column: str
    member: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `key` is the primary key in its own order, `scope` the scope columns it has.

    `unique_columns` are the columns of secondary unique indexes and exclusion constraints,
    `constraints` maps each constraint and unique index to its columns, `row_security` tells
    whether policies apply to this role.
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
    row_security: bool
