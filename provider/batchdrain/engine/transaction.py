"""Sends the statements of a transaction in one round trip and reads their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import RawCursor
from psycopg.abc import PQGen
from psycopg.generators import send as flushing

from batchdrain.engine.settings import EngineSettings

_SETTINGS = (
    ("application_name", "$1"),
    ("lock_timeout", "$2"),
    ("statement_timeout", "$3"),
    ("idle_in_transaction_session_timeout", "$4"),
    ("client_connection_check_interval", "$5"),
    ("timezone", "'UTC'"),
    ("datestyle", "'ISO, MDY'"),
    (
        "synchronous_commit",
        "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
        "ELSE current_setting('synchronous_commit') END",
    ),
)
"""Set for the transaction only, so that a transaction pooler is no obstacle (SEMANTICS §6).

A batch leaves Redis once it is committed, so its COMMIT must not be one that a crash takes back.
"""

_IN_ORDER = (("enable_hashjoin", "'off'"),)
"""A hash join would find, and lock, a table's rows as they lie there, not in the order of the keys
that they are joined with (SEMANTICS §8)."""


@dataclass(frozen=True, slots=True)
class Command:
    """One statement with PostgreSQL's own placeholders; `prepare` keeps it prepared, None once
    psycopg has seen the same text a few times.
    """

    text: str
    parameters: tuple[Any, ...] = ()
    prepare: bool | None = True


BEGIN = Command("BEGIN ISOLATION LEVEL READ COMMITTED", prepare=False)
COMMIT = Command("COMMIT", prepare=False)
ROLLBACK = Command("ROLLBACK", prepare=False)
CONSTRAINTS_IMMEDIATE = Command("SET CONSTRAINTS ALL IMMEDIATE", prepare=False)


def settings_command(settings: EngineSettings, application_name: str, *, in_order: bool) -> Command:
    """Return the command that sets the time-outs and formats for the transaction at hand.

    With `in_order` set statements lock rows in the order of their records.
    """
    wanted = (*_SETTINGS, *(_IN_ORDER if in_order else ()))
    text = ", ".join(f"set_config('{name}', {value}, true)" for name, value in wanted)
    seconds = (
        settings.lock_timeout,
        settings.statement_timeout,
        settings.idle_timeout,
        settings.connection_check,
    )
    return Command(f"SELECT {text}", (application_name, *(f"{round(s * 1000)}ms" for s in seconds)))


def send(
    connection: psycopg.Connection[Any],
    commands: Sequence[Command],
    meanwhile: Callable[[], None] | None = None,
) -> list[psycopg.Cursor[Any]]:
    """Run the commands in one pipeline and return a cursor for each, its result read.

    `meanwhile` is called once PostgreSQL has all of them, before its answers are waited for.
    Raises the first error that PostgreSQL reports, after all results have been taken in, so that
    the connection can be rolled back. What a signal handler raises meanwhile is raised, too.
    """
    cursors, failure = send_until_failure(connection, commands, meanwhile)
    if failure is not None:
        raise failure
    return cursors


def send_until_failure(
    connection: psycopg.Connection[Any],
    commands: Sequence[Command],
    meanwhile: Callable[[], None] | None = None,
) -> tuple[list[psycopg.Cursor[Any]], psycopg.Error | None]:
    """Do as `send`, but return its error, with the cursors of the commands before it.

    PostgreSQL passes over those behind it.
    """
    cursors: list[psycopg.Cursor[Any]] = []
    failure: psycopg.Error | None = None
    try:
        connection._pipeline = _RoundTrip(connection, meanwhile)
        with connection.pipeline():
            try:
                # After ROLLBACK TO psycopg deallocates what is prepared, behind the next statement:
                # if that is prepared anew, it is gone, too, and psycopg does not know.
                connection.wait(connection._prepared.maintain_gen(connection))
                for command in commands:
                    cursor: psycopg.Cursor[Any] = RawCursor(connection)
                    cursor.execute(
                        command.text.encode(), command.parameters or None, prepare=command.prepare
                    )
                    cursors.append(cursor)
            except psycopg.Error as error:
                failure = error
    except psycopg.Error as error:
        failure = failure or error
    if failure is None:
        if any(command.text.startswith("ROLLBACK") for command in commands):
            _forget_prepared(connection)
        return cursors, None
    interruption = _interruption(failure)
    if interruption is not None:
        raise interruption
    return [cursor for cursor in cursors if cursor.pgresult is not None], failure


def _interruption(failure: psycopg.Error) -> BaseException | None:
    """Return what interrupted a pipeline, such as Airflow's execution_timeout.

    psycopg then fails to leave the pipeline, and that failure is raised in its place: taken for a
    lost connection, the interruption would be lost.
    """
    cause = failure.__context__
    while isinstance(cause, (Exception, GeneratorExit)):
        cause = cause.__context__
    return cause


class _RoundTrip(psycopg.Pipeline):
    """A pipeline that ends with one Sync, and raises the first of its errors.

    psycopg's own asks the server to flush after that Sync, and PostgreSQL takes this for the
    client's next request: it forgets idle_in_transaction_session_timeout, so that a frozen drain
    would keep its locks for ever. Between sending and receiving it lets its owner do other work.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], meanwhile: Callable[[], None] | None
    ) -> None:
        super().__init__(connection)
        self._meanwhile = meanwhile

    def _exit_gen(self) -> PQGen[None]:
        try:
            self._enqueue_sync()
            yield from self._communicate_gen()
            yield from flushing(self.pgconn)
            if self._meanwhile is not None:
                self._meanwhile()
            yield from self._fetch_gen(flush=False)
        except psycopg.Error:
            with suppress(psycopg.Error):
                yield from self._fetch_gen(flush=False)
            raise


def roll_back(connection: psycopg.Connection[Any]) -> None:
    """End the transaction without effect; a broken connection has none any more."""
    with suppress(psycopg.Error):
        RawCursor(connection).execute(b"ROLLBACK", prepare=False)
        _forget_prepared(connection)


def _forget_prepared(connection: psycopg.Connection[Any]) -> None:
    """Have statements prepared anew after an error: PostgreSQL has passed over those behind it.

    psycopg does so itself after a rollback, but never again once one has found nothing prepared.
    """
    connection._prepared.clear()
