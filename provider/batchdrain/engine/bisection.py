"""Isolation from the client: set statements in savepoints, halved until a bad record is alone.

For servers where the DO block is not allowed, and for set statements that take too long.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from batchdrain.engine.catalog import Table
from batchdrain.engine.cut import Step
from batchdrain.engine.failures import FailureClass, failure_of
from batchdrain.engine.objections import questions_about
from batchdrain.engine.questions import ABOUT_VALUES, refusal_of
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Refusal
from batchdrain.engine.reports import NOT_FOUND, at_fault, read_report
from batchdrain.engine.settings import EngineSettings
from batchdrain.engine.statements.shape import SetStatement, Shape, StatementStyle
from batchdrain.engine.transaction import Command, send, send_until_failure

_SAVEPOINT = Command("SAVEPOINT piece", prepare=False)
_RELEASE = Command("RELEASE SAVEPOINT piece", prepare=False)
_BACK = Command("ROLLBACK TO SAVEPOINT piece", prepare=False)
_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', $1, true)"

_PATIENCE_SHARE = 0.01
"""Share of the statement time-out that a lone slow record may wait for one lock: then waits, even
a few dozen of them, cannot be why it runs into the time-out."""


class Bisection:
    """Applies the steps of one batch in the transaction that is open on `connection`.

    `doubtful_field` names the column of a record (by its ordinal) whose JSON jsonb does not take.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        table: Table,
        style: StatementStyle,
        settings: EngineSettings,
        cancelled: Callable[[float], bool],
        doubtful_field: Callable[[int], str | None],
    ) -> None:
        self._connection = connection
        self._table = table
        self._style = style
        self._settings = settings
        self._cancelled = cancelled
        self._doubtful_field = doubtful_field
        self._refused: dict[int, Refusal] = {}

    def apply(self, steps: Sequence[Step]) -> dict[int, Refusal]:
        """Apply the steps in order and return the refused records by ordinal.

        Raises psycopg.Error for every failure that is not about a record.
        """
        for step in steps:
            whole = [step.records] if step.together else [(record,) for record in step.records]
            pieces = [piece for piece in reversed(whole) if piece]
            while pieces:
                piece = pieces.pop()
                if not self._apply_piece(step.shape, piece):
                    middle = len(piece) // 2
                    pieces += [piece[middle:], piece[:middle]]
        return self._refused

    def _apply_piece(self, shape: Shape, piece: tuple[Ready, ...]) -> bool:
        """Apply a piece, or refuse the one record that it has; False if it must be halved."""
        started = time.monotonic()
        try:
            self._run(shape, piece)
        except psycopg.Error as error:
            failure = failure_of(error)
            alone = len(piece) == 1
            if failure is FailureClass.TOO_SLOW and not self._cancelled(started):
                self._back()
                return alone and self._refuse_slow(shape, piece)
            if failure in ABOUT_VALUES:
                self._back()
                if alone:
                    self._refused[piece[0].ordinal] = self._refusal(shape, piece[0], error)
                return alone
            raise
        return True

    def _run(self, shape: Shape, piece: tuple[Ready, ...]) -> None:
        bound = self._style.bind(shape, [record.data for record in piece])
        statement = bound[0].statement
        if statement.question is not None:
            self._run_in_parts(statement, statement.question, bound[0].parameters, piece)
            return
        commands = [Command(each.statement.text, each.parameters, each.prepare) for each in bound]
        cursors = send(self._connection, [_SAVEPOINT, *commands, _RELEASE])
        for each, cursor in zip(bound, cursors[1:], strict=False):
            if each.statement.reports:
                ordered = [piece[place] for place in each.places]
                self._refused.update(read_report(cursor.fetchone(), ordered, self._table))

    def _run_in_parts(
        self,
        statement: SetStatement,
        question: str,
        parameters: tuple[Any, ...],
        piece: tuple[Ready, ...],
    ) -> None:
        """Ask, then write what the answer calls for."""
        cursors = send(self._connection, [_SAVEPOINT, Command(question, parameters)])
        refused = read_report(cursors[1].fetchone(), piece, self._table)
        text: str | None = None if refused else statement.text
        if statement.insert is not None and NOT_FOUND in refused.values():
            refused, text = {}, statement.insert
        change = [Command(text, parameters)] if text else []
        send(self._connection, [*change, _RELEASE])
        self._refused.update(refused)

    def _refuse_slow(self, shape: Shape, piece: tuple[Ready, ...]) -> bool:
        """Try a lone slow record once more with hardly any patience for locks.

        Raises psycopg.Error (lock_not_available) when a lock is what it waits for.
        """
        patience = self._settings.statement_timeout * _PATIENCE_SHARE
        self._set_lock_timeout(patience)
        started = time.monotonic()
        try:
            self._run(shape, piece)
        except psycopg.Error as error:
            if failure_of(error) is not FailureClass.TOO_SLOW or self._cancelled(started):
                raise
            self._back()
            self._refused[piece[0].ordinal] = refusal_of(error)
        self._set_lock_timeout(self._settings.lock_timeout)
        return True

    def _refusal(self, shape: Shape, record: Ready, error: psycopg.Error) -> Refusal:
        diag = error.diag
        of_table = (diag.schema_name or "", diag.table_name or "")
        field = at_fault(self._table, of_table, diag.column_name, diag.constraint_name)
        refusal = dataclasses.replace(refusal_of(error), field=field)
        if diag.column_name or diag.table_name:
            return refusal
        asked = questions_about(self._table, shape, record)
        commands = [_SAVEPOINT, *(question.command for question in asked), _RELEASE]
        answered, doubt = send_until_failure(self._connection, commands)
        if doubt is None:
            return refusal
        self._back()
        if failure_of(doubt) not in ABOUT_VALUES:
            raise doubt
        # Of several values that do not convert, the statement may have met another one first.
        field = asked[len(answered) - 1].field or self._doubtful_field(record.ordinal)
        return refusal_of(doubt, field)

    def _set_lock_timeout(self, seconds: float) -> None:
        send(self._connection, [Command(_LOCK_TIMEOUT, (f"{round(seconds * 1000)}ms",))])

    def _back(self) -> None:
        send(self._connection, [_BACK])
