"""Settles with PostgreSQL's help what a record's bytes alone do not tell."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import psycopg
from msgspec.structs import replace

from batchdrain.engine.catalog import ScopeColumn, Table
from batchdrain.engine.classify import Classified, Classifier, scope_mismatch
from batchdrain.engine.failures import FailureClass, condition_name, failure_of
from batchdrain.engine.keys import Alone
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Malformed, Record, Refusal
from batchdrain.engine.statements.questions import (
    AS_JSONB,
    convertible_keys,
    same_keys,
    same_value,
)
from batchdrain.engine.transaction import BEGIN, COMMIT, Command, roll_back, send

_FEW = 32
"""So many keys that do not convert are singled out; with more the batch goes record by record."""

ABOUT_VALUES = (FailureClass.REFUSED, FailureClass.PASSING)
"""hstore, ltree, tsvector, regclass … refuse a value with a code of class 42."""


class RefusedError(Exception):
    """PostgreSQL refused a question because of the values in it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.error_type)
        self.refusal = refusal


def refusal_of(error: psycopg.Error, field: str | None = None) -> Refusal:
    """Return the refusal that PostgreSQL's error about one record means."""
    return Refusal(
        error_type=condition_name(error.sqlstate or ""),
        message=error.diag.message_primary or "",
        sqlstate=error.sqlstate,
        field=error.diag.column_name or field,
        constraint=error.diag.constraint_name,
    )


class Questioner:
    """Asks in a transaction of its own, which changes nothing.

    `opening` is the command that sets time zone and time-outs, since both decide about answers;
    `same` remembers which scope values have been compared already.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        table: Table,
        opening: Command,
        same: dict[tuple[str, bytes, bytes], bool | Refusal],
    ) -> None:
        self._connection = connection
        self._table = table
        self._opening = opening
        self._columns = {column.name: column for column in table.columns}
        self._same = same

    def settle(
        self, classifier: Classifier, records: Sequence[Record | Malformed], found: Classified
    ) -> None:
        """Turn every doubt in `found` into an answer.

        Raises psycopg.Error when PostgreSQL fails for another reason than a record's value.
        """
        if found.unread or found.doubtful or found.scope_doubts:
            send(self._connection, [BEGIN, self._opening])
            try:
                self._read_again(classifier, records, found)
                self._compare_scopes(classifier, records, found)
                self._confirm_refusals(classifier, records, found)
            finally:
                roll_back(self._connection)
        if found.keys_known and any(ready.identity is None for ready in found.ready):
            self._number_keys(found)

    def _read_again(
        self, classifier: Classifier, records: Sequence[Record | Malformed], found: Classified
    ) -> None:
        """Let PostgreSQL rewrite JSON that Python could not read, or refuse it."""
        unread, found.unread = found.unread, []
        for ordinal in unread:
            record = records[ordinal]
            if isinstance(record, Record):
                try:
                    text = self._ask(AS_JSONB, record.data.decode())
                except RefusedError as error:
                    found.refused[ordinal] = _in_field(error, classifier.doubtful_field(record))
                else:
                    classifier.reclassify(found, ordinal, record, text.encode())
        found.ready.sort(key=lambda ready: ready.ordinal)
        for ordinal in found.unread:
            found.refused[ordinal] = Refusal("malformed_message", "the record cannot be read")

    def _confirm_refusals(
        self, classifier: Classifier, records: Sequence[Record | Malformed], found: Classified
    ) -> None:
        """A record that jsonb would not take is refused for that, before anything else."""
        for ordinal in found.doubtful:
            record = records[ordinal]
            if isinstance(record, Record):
                try:
                    self._ask(AS_JSONB, record.data.decode())
                except RefusedError as error:
                    found.refused[ordinal] = _in_field(error, classifier.doubtful_field(record))

    def _compare_scopes(
        self, classifier: Classifier, records: Sequence[Record | Malformed], found: Classified
    ) -> None:
        refused: set[int] = set()
        for doubt in found.scope_doubts:
            answer = self._same_scope(doubt.scope, doubt.own, doubt.envelope)
            if answer is not True and doubt.ordinal not in refused:
                refused.add(doubt.ordinal)
                refusal = answer or scope_mismatch(doubt.scope)
                classifier.refuse(found, doubt.ordinal, records[doubt.ordinal], refusal)
        found.ready = [ready for ready in found.ready if ready.ordinal not in refused]

    def _same_scope(self, scope: ScopeColumn, own: bytes, envelope: bytes) -> bool | Refusal:
        asked = (scope.column, own, envelope)
        if asked not in self._same:
            if len(self._same) > 10_000:
                self._same.clear()
            question = same_value(self._columns[scope.column])
            pair = b'{"a":%b,"b":%b}' % (own, envelope)
            try:
                self._same[asked] = self._ask(question, pair.decode())
            except RefusedError as error:
                self._check_question(question)
                self._same[asked] = _in_field(error, scope.column)
        return self._same[asked]

    def _check_question(self, question: str) -> None:
        """Raise psycopg.Error when PostgreSQL does not take the question, whatever the values."""
        try:
            self._ask(question, "{}")
        except RefusedError as error:
            cause = error.__cause__
            if isinstance(cause, psycopg.Error) and failure_of(cause) is FailureClass.PASSING:
                raise cause from None

    def _number_keys(self, found: Classified) -> None:
        asked = [ready for ready in found.ready if not isinstance(ready.identity, Alone)]
        try:
            numbers = self._numbers(asked)
        except psycopg.Error as error:
            roll_back(self._connection)
            if failure_of(error) not in ABOUT_VALUES:
                raise
            asked = self._convertible(asked)
            if not asked:
                found.keys_known = False
                return
            numbers = self._numbers(asked)
        identities = {r.ordinal: number for r, number in zip(asked, numbers, strict=True)}
        found.ready = [
            replace(ready, identity=identities.get(ready.ordinal) or Alone())
            for ready in found.ready
        ]

    def _numbers(self, asked: Sequence[Ready]) -> list[int]:
        question = Command(same_keys(self._table), (self._keys_json(asked),))
        cursors = send(self._connection, [BEGIN, self._opening, question, COMMIT])
        (numbers,) = cursors[2].fetchone() or ([],)
        return list(numbers)

    def _convertible(self, asked: Sequence[Ready]) -> list[Ready]:
        """Leave out the records whose key does not convert; nothing when they are many."""
        send(self._connection, [BEGIN, self._opening])
        try:
            poisoned: set[int] = set()
            halves = [list(asked)]
            while halves and len(poisoned) <= _FEW:
                half = halves.pop()
                try:
                    self._ask(convertible_keys(self._table), self._keys_json(half))
                except RefusedError:
                    if len(half) == 1:
                        poisoned.add(half[0].ordinal)
                    else:
                        middle = len(half) // 2
                        halves += [half[:middle], half[middle:]]
        finally:
            roll_back(self._connection)
        if len(poisoned) > _FEW:
            return []
        return [ready for ready in asked if ready.ordinal not in poisoned]

    def _keys_json(self, asked: Sequence[Ready]) -> str:
        names = [json.dumps(name).encode() for name in self._table.key]
        objects = (
            b"{"
            + b",".join(
                b"%b:%b" % (name, value)
                for name, value in zip(names, ready.key, strict=True)
                if value is not None
            )
            + b"}"
            for ready in asked
        )
        return f"[{b','.join(objects).decode()}]"

    def _ask(self, text: str, value: str) -> Any:
        """Ask inside a savepoint.

        Raises RefusedError when the value is why PostgreSQL does not answer.
        """
        send(self._connection, [Command("SAVEPOINT question", prepare=False)])
        try:
            cursors = send(self._connection, [Command(text, (value,))])
        except psycopg.Error as error:
            if failure_of(error) not in ABOUT_VALUES:
                raise
            send(self._connection, [Command("ROLLBACK TO SAVEPOINT question", prepare=False)])
            raise RefusedError(refusal_of(error)) from error
        row = cursors[0].fetchone()
        return row[0] if row else None


def _in_field(error: RefusedError, field: str | None) -> Refusal:
    return dataclasses.replace(error.refusal, field=field)
