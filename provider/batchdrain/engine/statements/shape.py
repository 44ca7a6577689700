"""What decides the text of a set statement, and the protocol of the styles that write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from batchdrain.engine.records import Operation

UPDATED_AT = "_updated_at"
"""The column that an UPDATE sets by itself (CONTRACT, Messages)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Records of one shape can share a set statement.

    `insert` lists the columns that an INSERT (or UPSERT) writes, `update` those that an UPDATE
    (or UPSERT) sets, both in the table's order; `touch` tells that it sets `_updated_at` besides;
    `carried` are the columns that the records' values are converted for.
    """

    operation: Operation
    insert: tuple[str, ...]
    update: tuple[str, ...]
    touch: bool
    carried: tuple[str, ...]

    def __hash__(self) -> int:
        """Cheaper than over all fields: shapes are looked up once per record."""
        return hash(self.carried)

    @property
    def changed(self) -> tuple[str, ...]:
        """The columns that an existing row gets another value in."""
        return (*self.update, UPDATED_AT) if self.touch else self.update


@dataclass(frozen=True, slots=True)
class SetStatement:
    """One statement that applies many records.

    `text` uses PostgreSQL's own placeholders ($1 …). Where `reports` is true it returns one row
    of three arrays: the 1-based positions of the records whose key does not exist, of those whose
    key exists outside their scope, and of those whose row another session has changed meanwhile
    (each NULL when there is none). Where `leaves` is true it returns one array: the positions of
    the records that it left out, NULL when there is none.

    Rules rule out WITH and RETURNING, so on a table with rules the statement is in parts, for one
    record at a time: `question` returns the report, `text` (empty when there is nothing to set)
    changes the row that exists in scope, `insert` (of an UPSERT) adds the row that does not exist.
    """

    text: str
    reports: bool
    question: str | None = None
    insert: str | None = None
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class BoundStatement:
    """A set statement with its parameters.

    `places` are the places (from 0) that its records have among those it was made for: what it
    reports as 1 is `places[0]`. `prepare` keeps it prepared; None lets psycopg decide when it has
    seen the same text a few times.
    """

    statement: SetStatement
    parameters: tuple[Any, ...]
    places: Sequence[int]
    prepare: bool | None = True


class StatementStyle(Protocol):
    """How records become set statements; made for one table."""

    @property
    def name(self) -> str:
        """The style's name in configuration and in `batch_log`."""
        ...

    def bind(self, shape: Shape, records: Sequence[bytes]) -> Sequence[BoundStatement]:
        """Return the statements that together apply records (JSON objects) of one shape.

        Each record is in one of them; they may run in any order.
        """
        ...
