"""The engine: applies batches of records to one table, each batch in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import psycopg

from batchdrain.engine import batch_log
from batchdrain.engine.attempt import Attempt
from batchdrain.engine.batch_log import BatchEntry
from batchdrain.engine.catalog import Cutting, Table, read_table
from batchdrain.engine.error_table import ErrorTable
from batchdrain.engine.glance import passing_state
from batchdrain.engine.position import DEFAULT_WAIT, Ledger, Move, Position, create_state, positions
from batchdrain.engine.records import BatchResult, Malformed, Record
from batchdrain.engine.run import Run
from batchdrain.engine.session import Session
from batchdrain.engine.settings import EngineSettings
from batchdrain.engine.sifting import Sifter
from batchdrain.engine.statements.styles import open_style
from batchdrain.engine.target import Judge, PreparedBatch, StaleTableError, Target
from batchdrain.engine.transaction import Command, send, settings_command
from batchdrain.errors import SystemicError, TransientError

_REREADS = 3
"""How often a batch is planned anew because its table changed under it."""


class _RehearsedError(Exception):
    """Ends a rehearsal where a batch would be committed."""


class BatchEngine:
    """Applies records to one table.

    `connect` opens a connection; the engine opens another when one breaks. With a `queue` every
    batch moves the queue's position and is written to `batch_log`. Not for use by several
    threads, save for `cancel`.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        table: str,
        *,
        queue: str | None = None,
        run: Run | None = None,
        settings: EngineSettings | None = None,
    ) -> None:
        self.table_name = table
        self._run = run or Run()
        self._settings = settings or EngineSettings()
        self._session = Session(connect, table, self._settings.statement_timeout)
        self._queue = queue
        self._owned: Ledger | None = None
        self._target: Target | None = None
        self._unconfirmed: BatchResult | None = None

    def prepare(self, records: Sequence[Record | Malformed]) -> PreparedBatch:
        """Do for a batch what can be done without PostgreSQL; `apply` takes it instead of records.

        To be called while `apply` is at work on another batch: from its `meanwhile`.
        """
        return PreparedBatch(records) if self._target is None else self._target.prepare(records)

    def apply(
        self,
        batch: Sequence[Record | Malformed] | PreparedBatch,
        *,
        move: Move | None = None,
        judge: Judge | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> BatchResult:
        """Apply a batch in one transaction and return a result for every record, in input order.

        `meanwhile` is called while PostgreSQL works, again if a batch has to be planned anew; what
        it raises ends the batch before it is committed. Refused records are in `<table>_errors`
        when this returns. `judge` sees the result before it is committed. Raises TransientError
        when nothing (or, where the reply to COMMIT was lost, nothing that is known: ask
        `committed`) was applied and trying again may help, HandedOverError when a newer drain owns
        the queue, SystemicError otherwise.
        """
        where = None if move is None else (self._ledger(), move)
        given = batch if isinstance(batch, PreparedBatch) else PreparedBatch(batch)
        return self._apply(given, where, judge or _accept_all, meanwhile)

    def rehearse(self, records: Sequence[Record | Malformed]) -> BatchResult:
        """Return what `apply` would, and roll back all that it took to find out.

        Neither position nor `batch_log` is touched, so that a drain which owns the queue is not
        held up by them. Refused records are written to the error table, which is created where it
        is missing, and rolled back with the rest. Sequences advance all the same. Raises as `apply`
        does.
        """
        found: list[BatchResult] = []

        def _stop(result: BatchResult) -> None:
            found.append(result)
            raise _RehearsedError

        self._target = None
        try:
            with suppress(_RehearsedError):
                self._apply(PreparedBatch(records), None, _stop, None, keep=False)
        finally:
            # It may know of an error table that is not there any more.
            self._target = None
        return found[0]

    def _apply(
        self,
        given: PreparedBatch,
        where: tuple[Ledger, Move] | None,
        judge: Judge,
        meanwhile: Callable[[], None] | None,
        *,
        keep: bool = True,
    ) -> BatchResult:
        def _attempt(connection: psycopg.Connection[Any]) -> BatchResult:
            for _ in range(_REREADS):
                target = self._aimed(connection, keep=keep)
                prepared = given if given.by is target else target.prepare(given.records)
                try:
                    return target.apply(
                        connection,
                        prepared,
                        where,
                        judge,
                        self._committing,
                        meanwhile,
                    )
                except StaleTableError:
                    self._target = None
            raise TransientError(f"table {self.table_name} changes faster than it can be read")

        return self._session.speak(_attempt)

    def open(self) -> None:
        """Read the table and create its error table where that is missing.

        Raises ConfigurationError when there is no such table, or it cannot be drained.
        """
        self._session.speak(self._aimed)

    def take_over(self, baseline: Callable[[], int]) -> Position:
        """Own the queue: an older drain of it ends at its next batch.

        `baseline` is asked for when the queue has no position yet. Raises as `apply` does.
        """

        def _take(connection: psycopg.Connection[Any]) -> Position:
            create_state(connection)
            return self._ledger().take(connection, baseline)

        return self._session.speak(_take)

    def look(self) -> Position | None:
        """Return where the queue stands, None before its first drain; own nothing, leave nothing.

        Raises ConfigurationError when a drain could not keep its position, otherwise as `apply`.
        """

        def _look(connection: psycopg.Connection[Any]) -> Position | None:
            queue = self._ledger().queue
            with passing_state(connection, self._settings.lock_timeout):
                return positions(connection, [queue]).get(queue)

        return self._session.speak(_look)

    def committed(self, move: Move) -> bool:
        """Whether the batch with this move was committed, asked after a TransientError.

        Raises HandedOverError when a newer drain owns the queue.
        """
        return self._session.speak(lambda c: self._ledger().committed(c, move))

    def require_ownership(self) -> None:
        """Look, without waiting for a batch, whether this drain still owns the queue.

        Raises HandedOverError when another drain does, or an operator holds it.
        """
        self._session.speak(lambda c: self._ledger().require_ownership(c))

    def unconfirmed_result(self) -> BatchResult:
        """Return the result of the last batch for which COMMIT was sent."""
        if self._unconfirmed is None:
            raise SystemicError("no batch has been sent to be committed")
        return self._unconfirmed

    def record_loss(self, at: str, lost: int) -> None:
        """Account for messages that Redis dropped before they were read, and log them."""

        def _account(connection: psycopg.Connection[Any]) -> None:
            ledger = self._ledger()
            entry = BatchEntry(
                queue=ledger.queue,
                table=self._aimed(connection).table.qualified_name,
                style=self._settings.statement_style,
                messages=0,
                records=0,
                applied=0,
                refused=0,
                isolated=False,
                bytes=0,
                position_from=at,
                position_to=at,
                lost=lost,
            )
            with connection.transaction():
                ledger.record_loss(connection, lost)
                command = batch_log.insert(self._run, entry)
                psycopg.RawCursor(connection).execute(command.text.encode(), command.parameters)

        self._session.speak(_account)

    def mark_rewound(self) -> None:
        """Mark the queue as holding less than was applied, until an operator accepts it."""
        self._session.speak(lambda c: self._ledger().mark_rewound(c))

    def accept(self, at: str, accounted: int) -> None:
        """Go on behind position `at` with so many messages accounted for, by an operator's word."""
        self._session.speak(lambda c: self._ledger().accept(c, accounted, at))

    def release(self, wait: float = DEFAULT_WAIT) -> None:
        """Give the queue back, if it is still ours.

        Raises TransientError when its row is still locked after `wait` seconds.
        """
        self._session.speak(lambda c: self._ledger().release(c, wait))

    def cancel(self) -> None:
        """Cancel the statement that runs now, from another thread or a signal handler."""
        self._session.cancel()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def _ledger(self) -> Ledger:
        if self._queue is None:
            raise SystemicError("an engine without a queue has no position")
        if self._owned is None:
            self._owned = Ledger(self._queue, secrets.token_hex(16), self._run)
        return self._owned

    def _aimed(self, connection: psycopg.Connection[Any], *, keep: bool = True) -> Target:
        """Return what the table is now; without `keep` no error table is left that was missing."""
        if self._target is None:
            table = read_table(connection, self.table_name, self._settings.scope)
            opening = settings_command(
                self._settings,
                self._run.application_name(self._queue or self.table_name),
                # Where records go one by one, joins are those of the users' own triggers.
                in_order=table.cutting is not Cutting.RECORD_BY_RECORD,
            )
            self._target = Target(
                table,
                self._settings.scope,
                (
                    ErrorTable.open(connection, table)
                    if keep
                    else _passing_errors(connection, table, opening)
                ),
                Attempt(
                    open_style(self._settings.statement_style, table),
                    Sifter(table),
                    self._settings,
                    opening,
                    self._session.cancelled,
                ),
                opening,
                self._run,
                self._session.cancelled,
            )
        return self._target

    def _committing(self, result: BatchResult) -> None:
        self._unconfirmed = result


def _passing_errors(
    connection: psycopg.Connection[Any], table: Table, opening: Command
) -> ErrorTable:
    """Open a table's error table, as a drain would, and leave none that was missing."""
    with connection.transaction(force_rollback=True):
        send(connection, [opening])
        return ErrorTable.open(connection, table)


def _accept_all(result: BatchResult) -> None:
    """Let every batch through."""
