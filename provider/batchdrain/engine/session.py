"""The engine's connection: opened when needed, renewed when broken, its failures put in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from batchdrain.engine.failures import FailureClass, condition_name, failure_of
from batchdrain.engine.transaction import roll_back
from batchdrain.errors import BatchdrainError, SystemicError, TransientError

_FULL_TIME = 0.9
"""Share of the statement time-out before which a statement was cancelled by somebody, not by it."""

_CANCEL_TIMEOUT = 2.0
"""Seconds for the request to cancel; a killed task has 5 s in all (AIRFLOW, Stopping)."""

_OWN_WORDS = ("08", "25", "28", "3D", "53", "57")
"""Classes of errors about the server and the session, whose messages hold no row values.

Not 58: a trigger may open a file that a value names.
"""

_T = TypeVar("_T")


class Session:
    """Holds at most one connection. Only `cancel` may be called from another thread."""

    def __init__(
        self, connect: Callable[[], psycopg.Connection[Any]], table: str, statement_timeout: float
    ) -> None:
        self._connect = connect
        self._table = table
        self._statement_timeout = statement_timeout
        self._connection: psycopg.Connection[Any] | None = None
        self._cancelled = False

    def speak(self, action: Callable[[psycopg.Connection[Any]], _T]) -> _T:
        """Do something with the connection, and leave no transaction open whatever happens.

        Raises TransientError or SystemicError in place of psycopg's errors.
        """
        started = time.monotonic()
        try:
            return action(self._opened())
        except psycopg.Error as error:
            # Not `from error`: the details of PostgreSQL's errors quote rows.
            raise self._explained(error, started) from None
        finally:
            self._tidy()

    def cancelled(self, started: float) -> bool:
        """Whether a statement that began at `started` and was cancelled did not just time out."""
        elapsed = time.monotonic() - started
        return self._cancelled or elapsed < _FULL_TIME * self._statement_timeout

    def cancel(self) -> None:
        """Cancel the running statement, and every later one that takes long."""
        self._cancelled = True
        connection = self._connection
        if connection is not None:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=_CANCEL_TIMEOUT)

    def close(self) -> None:
        """Close the connection; the server rolls back what was open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            connection = self._connected()
            connection.autocommit = True
            _speak_utf8(connection)
            self._connection = connection
        return self._connection

    def _connected(self) -> psycopg.Connection[Any]:
        try:
            return self._connect()
        except psycopg.OperationalError as error:
            if error.sqlstate is not None:
                raise
            # libpq's words name server and user, no password; no row has been sent yet.
            raise TransientError(
                f"PostgreSQL could not take a batch for table {self._table}: "
                f"{' '.join(str(error).split())}"
            ) from None

    def _tidy(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if connection.info.transaction_status not in (
            TransactionStatus.IDLE,
            TransactionStatus.UNKNOWN,
        ):
            roll_back(connection)
        if connection.closed or connection.info.transaction_status is not TransactionStatus.IDLE:
            self.close()

    def _explained(self, error: psycopg.Error, started: float) -> BatchdrainError:
        """Say what PostgreSQL's error means for the batch: try again, or leave it."""
        reason = told(error)
        failure = failure_of(error)
        if failure is FailureClass.TOO_SLOW:
            how = "was cancelled" if self.cancelled(started) else "took too long"
            return TransientError(
                f"a statement for table {self._table} {how}", sqlstate=error.sqlstate
            )
        if failure is FailureClass.TRANSIENT:
            if error.sqlstate == "0A000":
                self.close()
            return TransientError(
                f"PostgreSQL could not take a batch for table {self._table}: {reason}",
                sqlstate=error.sqlstate,
            )
        return SystemicError(
            f"table {self._table} cannot be drained as it is: {reason}; nothing was consumed"
        )


def _speak_utf8(connection: psycopg.Connection[Any]) -> None:
    """Let PostgreSQL, not psycopg, find what the database's encoding lacks: record by record.

    By default a connection speaks the database's own, and one character besides is an error for
    the whole batch.
    """
    if connection.info.encoding != "utf-8":
        connection.execute("SET client_encoding = 'UTF8'")


def told(error: psycopg.Error) -> str:
    """Say what PostgreSQL reported, without the words in which it may quote a row.

    A trigger's own words may always do.
    """
    if error.sqlstate is None:
        return f"the connection failed ({type(error).__name__})"
    own = error.sqlstate.startswith(_OWN_WORDS) or error.diag.source_function == "aclcheck_error"
    name = condition_name(error.sqlstate)
    if own and error.diag.source_function != "exec_stmt_raise" and error.diag.message_primary:
        return f"{error.diag.message_primary} ({name}, {error.sqlstate})"
    return f"{name} ({error.sqlstate}); PostgreSQL's log has its words"
