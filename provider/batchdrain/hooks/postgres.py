"""The hook to the target database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import psycopg
from airflow.providers.postgres.hooks.postgres import PostgresHook
from psycopg.rows import tuple_row

from batchdrain import configuration as options
from batchdrain.engine.catalog import read_table
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.error_table import ErrorRow, ErrorTable
from batchdrain.engine.json_text import shown
from batchdrain.engine.keys import KeyReader
from batchdrain.engine.records import Malformed, Operation, Record, RecordResult, Refusal
from batchdrain.engine.run import Run
from batchdrain.engine.session import Session
from batchdrain.engine.settings import EngineSettings
from batchdrain.errors import BatchdrainError, ConfigurationError, TransientError
from batchdrain.hooks.connection import ConnectionLookup
from batchdrain.hooks.given_records import GivenRecord, Scope, read_records, scope_members

_SESSION: Mapping[str, Any] = {
    "application_name": "batchdrain",
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 45_000,
}
"""How connections speak, and notice that the server is gone.

Extras of the Airflow connection come first.

`tcp_user_timeout` is in milliseconds, the others are in seconds; see libpq, connection parameters.
"""


class BatchPostgresHook(PostgresHook, ConnectionLookup):
    """Applies records to PostgreSQL tables in batches, with one result per record.

    Takes a connection of type `postgres` or `batchdrain_postgres`. `settings` are the engine's
    scope columns, time-outs and statement style, by default those of section `[batchdrain]`;
    `statement_style` alone chooses between `recordset` and `values`. Where a deployment
    names scope columns of its own, `scope` gives the values of their envelope members. The five
    methods raise errors that quote no row.
    """

    conn_name_attr = "postgres_conn_id"
    default_conn_name = "postgres_default"
    conn_type = "batchdrain_postgres"
    hook_name = "PostgreSQL (batchdrain)"

    def __init__(
        self,
        postgres_conn_id: str = default_conn_name,
        *,
        settings: EngineSettings | None = None,
        statement_style: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(postgres_conn_id=postgres_conn_id, **kwargs)
        self._settings = settings
        self._statement_style = statement_style

    @property
    def settings(self) -> EngineSettings:
        """The engine's settings: those given, or what section `[batchdrain]` says."""
        if self._settings is None:
            self._settings = EngineSettings(
                scope=options.SCOPE.read(),
                lock_timeout=options.LOCK_TIMEOUT.read(),
                statement_timeout=options.STATEMENT_TIMEOUT.read(),
                statement_style=options.STATEMENT_STYLE.read(self._statement_style),
            )
        return self._settings

    def connect(self) -> psycopg.Connection[Any]:
        """Return a new psycopg connection in autocommit mode that notices a server that is gone.

        Raises ConfigurationError for a connection that is not set or has an extra field that
        PostgreSQL does not know, TransientError if the server is away.
        """
        try:
            connection: Any = self.get_conn()
        except psycopg.OperationalError as error:
            raise TransientError(
                f"PostgreSQL at {self.address()} can't be reached or refuses the login: "
                f"{str(error).strip()}"
            ) from None
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(
                f"PostgreSQL at {self.address()} can't be asked: {error}; mend the extra fields of "
                "its connection"
            ) from None
        connection.autocommit = True
        connection.row_factory = tuple_row
        assert isinstance(connection, psycopg.Connection)
        return connection

    def address(self) -> str:
        """Return the connection's id, server and database, for logs; it holds no secret."""
        return f"{self._conn_id()} ({self._where()})"

    def location(self) -> tuple[str, int, str]:
        """Return host, port and database as the connection gives them."""
        connection = self.get_connection(self._conn_id())
        return (
            connection.host or "localhost",
            connection.port or 5432,
            self.database or connection.schema or connection.login or "",
        )

    def test_connection(self) -> tuple[bool, str]:  # type: ignore[override]  # the base is untyped
        """Tell whether the server answers; Airflow's Test button shows the sentence."""
        try:
            self.connect().close()
        except (BatchdrainError, psycopg.Error) as error:
            return False, str(error)
        # Airflow tests a copy of the connection under an id of its own, which says nothing.
        return True, f"{self._where()} answers."

    def engine(
        self, table: str, *, queue: str | None = None, run: Run | None = None
    ) -> BatchEngine:
        """Return an engine for a table, `table` or `schema.table`; close it after use."""
        return BatchEngine(self.connect, table, queue=queue, run=run, settings=self.settings)

    def batch_insert(
        self,
        records: Sequence[GivenRecord],
        table: str,
        client_id: str | int | None = None,
        ver: str | int | None = None,
        scope: Scope | None = None,
    ) -> list[RecordResult]:
        """Insert the records in one transaction, in few statements.

        Returns one result per record, in the order given: applied, or why it was refused; refused
        records are in `<table>_errors` then. Raises TransientError or SystemicError when nothing
        was applied, ConfigurationError naming the place of a value that JSON can't carry.
        """
        return self._apply(Operation.INSERT, records, table, scope_members(client_id, ver, scope))

    def batch_update(
        self,
        records: Sequence[GivenRecord],
        table: str,
        client_id: str | int | None = None,
        ver: str | int | None = None,
        scope: Scope | None = None,
    ) -> list[RecordResult]:
        """Update the rows with the records' keys in the scope; otherwise as `batch_insert`."""
        return self._apply(Operation.UPDATE, records, table, scope_members(client_id, ver, scope))

    def batch_delete(
        self,
        records: Sequence[GivenRecord],
        table: str,
        client_id: str | int | None = None,
        ver: str | int | None = None,
        scope: Scope | None = None,
    ) -> list[RecordResult]:
        """Delete the rows with the records' keys in the scope; otherwise as `batch_insert`."""
        return self._apply(Operation.DELETE, records, table, scope_members(client_id, ver, scope))

    def process_single_records(
        self,
        operation: str,
        records: Sequence[GivenRecord],
        table: str,
        client_id: str | int | None = None,
        ver: str | int | None = None,
        scope: Scope | None = None,
    ) -> list[RecordResult]:
        """Apply the records one by one, each in a transaction of its own.

        `operation` is INSERT, UPDATE, DELETE or UPSERT, in any case. Returns as `batch_insert`;
        what was applied before an error is raised stays applied. Raises ConfigurationError for
        another operation.
        """
        members = scope_members(client_id, ver, scope)
        given = read_records(_operation(operation), records, members)
        results: list[RecordResult] = []
        with _quoting_no_row(), self.engine(table) as engine:
            for record in given:
                results.extend(engine.apply([record]).results)
        return results

    def save_to_error_table(
        self,
        records: Sequence[GivenRecord],
        table: str,
        refusal: Refusal,
        operation: str | None = None,
        client_id: str | int | None = None,
        ver: str | int | None = None,
        scope: Scope | None = None,
    ) -> list[RecordResult]:
        """Write the records to `<table>_errors` in one transaction, creating it when missing.

        Returns a result with the refusal for each record, in the order given. Raises
        ConfigurationError for a table that no queue can have, SystemicError when the error table
        doesn't take the rows.
        """
        chosen = None if operation is None else _operation(operation)
        members = scope_members(client_id, ver, scope)
        given = read_records(chosen or Operation.INSERT, records, members)

        def _save(connection: psycopg.Connection[Any]) -> list[RecordResult]:
            target = read_table(connection, table, self.settings.scope)
            keys = KeyReader(target)
            results = [
                RecordResult(chosen and chosen.value, "", _key(keys, record), refusal)
                for record in given
            ]
            rows = [
                _error_row(record, result, refusal)
                for record, result in zip(given, results, strict=True)
            ]
            errors = ErrorTable.open(connection, target)
            if rows:
                with connection.transaction():
                    errors.write(connection, rows)
            return results

        session = Session(self.connect, table, self.settings.statement_timeout)
        with _quoting_no_row(), closing(session):
            return session.speak(_save)

    def _apply(
        self,
        operation: Operation,
        records: Sequence[GivenRecord],
        table: str,
        members: Mapping[str, bytes],
    ) -> list[RecordResult]:
        given = read_records(operation, records, members)
        with _quoting_no_row(), self.engine(table) as engine:
            return list(engine.apply(given).results)

    def _where(self) -> str:
        host, port, database = self.location()
        return f"{host}:{port}/{database}"

    def _conn_id(self) -> str:
        return str(getattr(self, self.conn_name_attr))

    def _create_connection(self, conn_args: dict[str, Any]) -> Any:
        given = {name: value for name, value in conn_args.items() if value is not None}
        return super()._create_connection({**_SESSION, **given})


@contextmanager
def _quoting_no_row() -> Iterator[None]:
    """Take from our errors what they came from: the details of psycopg's errors quote rows."""
    try:
        yield
    except BatchdrainError as error:
        error.__context__ = None
        raise error from None


def _key(keys: KeyReader, record: Record | Malformed) -> tuple[bytes | None, ...]:
    if isinstance(record, Malformed):
        return ()
    try:
        values = msgspec.json.decode(record.data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    return keys.json_of(values, record.members)


def _error_row(record: Record | Malformed, result: RecordResult, refusal: Refusal) -> ErrorRow:
    client_id, ver = (record.members.get(name) for name in ("client_id", "ver"))
    return ErrorRow(
        record_id=result.record_id,
        client_id=None if client_id is None else shown(client_id),
        ver=None if ver is None else shown(ver),
        operation=result.operation,
        refusal=refusal,
        data=record.data if isinstance(record, Record) else record.body,
        fields=None,
        queue=None,
        message_id=None,
        run=Run(),
    )


def _operation(name: str) -> Operation:
    try:
        return Operation(str(name).upper())
    except ValueError:
        raise ConfigurationError(
            f"The operation {name!r} is unknown: use one of {', '.join(Operation)}."
        ) from None
