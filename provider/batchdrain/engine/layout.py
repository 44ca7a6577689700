"""What follows from a record's operation and the names of its members alone.

Producers send few different sets of columns, so this is worked out once per set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from batchdrain.engine.catalog import Column, ScopeColumn, Table
from batchdrain.engine.records import Operation, Refusal
from batchdrain.engine.statements.shape import UPDATED_AT, Shape


@dataclass(frozen=True)
class Layout:
    """How records with one set of members are applied.

    `own_scope` lists the scope columns that the record itself carries, `added_scope` those that
    its envelope supplies: each the start of a JSON member and the envelope's member. `key_known`
    is False where an INSERT leaves a key column to a default that other rows may get too.
    """

    shape: Shape
    own_scope: tuple[ScopeColumn, ...]
    added_scope: tuple[tuple[bytes, str], ...]
    key_known: bool

    def start_of(self, members: Mapping[str, bytes]) -> bytes:
        """Return what replaces a record's first brace to add the scope; empty if one is missing.

        Only for a record with members of its own.
        """
        try:
            return b"{" + b"".join([b"%b%b," % (s, members[m]) for s, m in self.added_scope])
        except KeyError:
            return b""


class Layouts:
    """The layouts of one table, worked out when a set of members is first seen."""

    _KEPT = 10_000
    """How many are kept: producers that invent columns must not fill the memory."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns = {column.name: column for column in table.columns}
        self._known: dict[tuple[Operation, tuple[str, ...]], Layout | Refusal] = {}
        self._shapes: dict[Shape, Shape] = {}

    def of(self, operation: Operation, names: tuple[str, ...]) -> Layout | Refusal:
        """Return the layout of a record with these members, or why it is refused.

        The checks run in the order that CONTRACT gives.
        """
        found = self._known.get((operation, names))
        if found is None:
            if len(self._known) >= self._KEPT:
                self._known.clear()
                self._shapes.clear()
            found = self._work_out(operation, names)
            self._known[operation, names] = found
        return found

    def _work_out(self, operation: Operation, names: tuple[str, ...]) -> Layout | Refusal:
        refusal = (
            self._undefined_column(names)
            or self._generated_always(operation, names)
            or self._missing_key(operation, names)
        )
        if refusal is not None:
            return refusal
        own = tuple(scope for scope in self._table.scope if scope.column in names)
        added = tuple(scope for scope in self._table.scope if scope.column not in names)
        given = frozenset(names) | {scope.column for scope in added}
        shape = self._shape(operation, given)
        return Layout(
            shape=self._shapes.setdefault(shape, shape),
            own_scope=own,
            added_scope=tuple((msgspec.json.encode(s.column) + b":", s.member) for s in added),
            key_known=operation is not Operation.INSERT or self._key_known(given),
        )

    def _undefined_column(self, names: Sequence[str]) -> Refusal | None:
        for name in names:
            if name not in self._columns:
                return Refusal(
                    error_type="undefined_column",
                    message=f'column "{name}" of relation "{self._table.name}" does not exist',
                    sqlstate="42703",
                    field=name,
                )
        return None

    def _generated_always(self, operation: Operation, names: Sequence[str]) -> Refusal | None:
        if operation is Operation.DELETE:
            return None
        as_key = self._table.key if operation is Operation.UPDATE else ()
        for name in names:
            column = self._columns[name]
            if (column.always or column.computed) and name not in as_key:
                return Refusal(
                    error_type="generated_always",
                    message=f'column "{name}" is GENERATED ALWAYS and takes no value',
                    sqlstate="428C9",
                    field=name,
                )
        return None

    def _missing_key(self, operation: Operation, names: Sequence[str]) -> Refusal | None:
        if operation is Operation.INSERT:
            return None
        supplied = {*names, *(scope.column for scope in self._table.scope)}
        for name in self._table.key:
            if name not in supplied:
                return missing_key(operation, name)
        return None

    def _key_known(self, given: frozenset[str]) -> bool:
        left_out = [self._columns[name] for name in self._table.key if name not in given]
        return all(
            not column.computed and (column.fresh_default or not column.default)
            for column in left_out
        )

    def _shape(self, operation: Operation, given: frozenset[str]) -> Shape:
        table = self._table
        fixed = {*table.key, *(scope.column for scope in table.scope)}
        insert: tuple[str, ...] = ()
        update: tuple[str, ...] = ()
        touch = False
        if operation in (Operation.INSERT, Operation.UPSERT):
            # An UPSERT's column set varies anyway, and a value that only its INSERT needs must
            # not stop its UPDATE.
            filled = operation is Operation.INSERT
            insert = tuple(
                c.name for c in table.columns if c.name in given or (filled and _written(c))
            )
        if operation in (Operation.UPDATE, Operation.UPSERT):
            update = tuple(c.name for c in table.columns if c.name in given - fixed)
            touch = UPDATED_AT not in {*given, *fixed} and self._settable(UPDATED_AT)
        carried = {*insert, *update}
        if operation is not Operation.INSERT:
            carried |= fixed
        return Shape(
            operation=operation,
            insert=insert,
            update=update,
            touch=touch,
            carried=tuple(c.name for c in table.columns if c.name in carried),
        )

    def _settable(self, name: str) -> bool:
        column = self._columns.get(name)
        return column is not None and not column.always and not column.computed


def missing_key(operation: Operation, name: str) -> Refusal:
    """Return the refusal of a record without a full key (null is none)."""
    return Refusal(
        error_type="malformed_message",
        message=f'{operation} needs the full primary key, and "{name}" is missing or null',
        field=name,
    )


def _written(column: Column) -> bool:
    """Whether an INSERT names the column even when the record leaves it out (as NULL)."""
    return not column.default and not column.computed and column.insertable
