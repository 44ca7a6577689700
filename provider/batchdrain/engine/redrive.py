"""Applies refused records again, each of them once, and records the outcome on their rows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg

from batchdrain.engine.catalog import Table, read_table
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import create_state, keep_unheld, positions
from batchdrain.engine.records import BatchResult, Record
from batchdrain.engine.refused_records import (
    Choice,
    RefusedRecord,
    RefusedRecords,
    error_table_exists,
)
from batchdrain.engine.run import Run
from batchdrain.engine.settings import EngineSettings
from batchdrain.errors import ConfigurationError, TransientError

_AT_A_TIME = 500
"""Rows in one transaction."""

_CANCEL_TIMEOUT = 1.0
"""Seconds for the request to cancel what is being read, beside the engine's own."""

_KNOWN_MEMBERS = {"client_id", "ver"}
"""The scope values that an error table keeps."""

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes records before they are applied: columns that get a value (JSON), others that go."""

    values: Mapping[str, bytes]
    dropped: Sequence[str] = ()

    def of(self, record: Record) -> Record:
        """Return the changed record; one that is no readable object stays as it is."""
        try:
            members = {name: bytes(raw) for name, raw in _decode(record.data).items()}
        except (msgspec.MsgspecError, RecursionError):
            return record
        members = {name: raw for name, raw in members.items() if name not in self.dropped}
        members.update(self.values)
        pairs = (msgspec.json.encode(name) + b":" + raw for name, raw in members.items())
        return msgspec.structs.replace(record, data=b"{" + b",".join(pairs) + b"}")


@dataclass(frozen=True, slots=True)
class RedriveOutcome:
    """How many records were applied, refused again, and left as they are."""

    applied: int = 0
    refused: int = 0
    skipped: int = 0

    def plus(self, applied: int, refused: int, skipped: int) -> RedriveOutcome:
        """Return the outcome with so many more."""
        return RedriveOutcome(
            self.applied + applied, self.refused + refused, self.skipped + skipped
        )


class Redrive:
    """Works on the refused records of one table.

    A record is applied, and its row told so, in one transaction that fails when the row was
    resolved meanwhile: so a killed task, or two at once, apply nothing twice. With a `queue` only
    its records are meant, and none is applied while it waits for an operator. `table` is None
    before its catalog entry was read; `outcome` is what `apply` has committed so far.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        table: str,
        *,
        settings: EngineSettings,
        run: Run,
        queue: str | None = None,
    ) -> None:
        self._connect = connect
        self._name = table
        self._settings = settings
        self._run = run
        self._queue = queue
        self.table: Table | None = None
        self.outcome = RedriveOutcome()
        self._mark = f"redrive {secrets.token_hex(8)} "
        self._applying: psycopg.Connection[Any] | None = None
        self._reading: psycopg.Connection[Any] | None = None
        self._engine: BatchEngine | None = None

    def may_have_records(self) -> bool:
        """Tell whether there is a table of refused records at all, and no hold on the queue."""
        with self._looking() as connection:
            table = read_table(connection, self._name, self._settings.scope)
            return error_table_exists(connection, table) and not self._is_held(connection)

    def cancel(self) -> None:
        """Cancel the statement that runs now, from another thread or a signal handler.

        What `apply` is given as `stopped` has to be true by then, or it goes on.
        """
        if self._engine is not None:
            self._engine.cancel()
        if self._reading is not None:
            with suppress(psycopg.Error):
                self._reading.cancel_safe(timeout=_CANCEL_TIMEOUT)

    def inspect(self, choice: Choice, most: int) -> list[RefusedRecord]:
        """Return at most `most` of the chosen records, the oldest first."""
        with self._connect() as connection:
            parts = _read(self._records(connection), connection, choice, most)
            return [row for rows in parts for row in rows]

    def discard(self, choice: Choice, most: int) -> int:
        """Resolve at most `most` of the chosen rows without applying them; return how many."""
        discarded = 0
        with self._connect() as connection:
            records = self._records(connection)
            for rows in _read(records, connection, choice, most):
                ids = [row.id for row in rows]
                discarded += records.resolve(connection, ids, "discarded", 0)
        return discarded

    def apply(
        self,
        choice: Choice,
        most: int,
        *,
        patch: Patch | None = None,
        note: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> RedriveOutcome:
        """Apply at most `most` of the chosen records again, the oldest first.

        `note` gets a sentence for each batch and each record that is left alone. Raises
        TransientError when a row was resolved by another meanwhile, or the queue held, and what
        `BatchEngine.apply` raises; what was committed before stays committed.
        """
        self.outcome = RedriveOutcome()
        with (
            self._looking() as reading,
            BatchEngine(
                self._connected, self._name, settings=self._settings, run=self._run
            ) as engine,
        ):
            self._engine = engine
            reading.autocommit = True
            records = self._records(reading)
            for rows in _read(records, reading, choice, most, stopped):
                self.outcome = self._batch(engine, records, rows, patch, note, self.outcome)
        return self.outcome

    def _batch(
        self,
        engine: BatchEngine,
        records: RefusedRecords,
        rows: Sequence[RefusedRecord],
        patch: Patch | None,
        note: Callable[[str], None],
        outcome: RedriveOutcome,
    ) -> RedriveOutcome:
        ids: list[int] = []
        batch: list[Record] = []
        for row in rows:
            record = records.record(row, self._mark)
            if isinstance(record, str):
                note(f"row {row.id} is left alone: {record}")
                continue
            ids.append(row.id)
            batch.append(record if patch is None else patch.of(record))
        result = engine.apply(batch, judge=self._judge(records, ids)) if batch else None
        applied, refused = (result.applied, result.refused) if result else (0, 0)
        note(
            f"rows {rows[0].id} to {rows[-1].id}: {applied} applied, {refused} refused again, "
            f"{len(rows) - len(batch)} left alone"
        )
        return outcome.plus(applied, refused, len(rows) - len(batch))

    def _judge(self, records: RefusedRecords, ids: Sequence[int]) -> Callable[[BatchResult], None]:
        def _tell_rows(result: BatchResult) -> None:
            connection = self._applying
            assert connection is not None
            self._require_unheld(connection)
            pairs = list(zip(ids, result.results, strict=True))
            applied = [each for each, entry in pairs if entry.applied]
            refused = [each for each, entry in pairs if not entry.applied]
            told = records.resolve(connection, applied, "applied", 1) if applied else 0
            told += records.refused_again(connection, refused, self._mark) if refused else 0
            if told != len(ids):
                raise TransientError(
                    f"{len(ids) - told} of the rows in {records.name} were resolved by another "
                    "task meanwhile; nothing of this batch was applied"
                )

        return _tell_rows

    def _records(self, connection: psycopg.Connection[Any]) -> RefusedRecords:
        self.table = table = read_table(connection, self._name, self._settings.scope)
        unknown = sorted({scope.member for scope in table.scope} - _KNOWN_MEMBERS)
        if unknown:
            raise ConfigurationError(
                f"The refused records of {self._name} can't be applied again: their rows don't "
                f"keep the envelope member {unknown[0]!r}, which is a part of their scope."
            )
        return RefusedRecords(connection, table, self._queue)

    def _is_held(self, connection: psycopg.Connection[Any]) -> bool:
        if self._queue is None:
            return False
        create_state(connection)
        row = positions(connection, [self._queue]).get(self._queue)
        return row is not None and (row.held or row.rewound)

    def _require_unheld(self, connection: psycopg.Connection[Any]) -> None:
        """Once a hold has been put on the queue, nothing of it may be committed any more."""
        if self._queue is not None and not keep_unheld(connection, self._queue):
            raise TransientError(
                f'queue "{self._queue}" was held, or another drain was at work on it; nothing of '
                "this batch was applied"
            )

    @contextmanager
    def _looking(self) -> Iterator[psycopg.Connection[Any]]:
        with self._connect() as connection:
            self._reading = connection
            yield connection

    def _connected(self) -> psycopg.Connection[Any]:
        self._applying = self._connect()
        return self._applying


def _read(
    records: RefusedRecords,
    connection: psycopg.Connection[Any],
    choice: Choice,
    most: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[list[RefusedRecord]]:
    """Read at most `most` of the chosen rows, the oldest first, in parts that memory can hold."""
    after, left = 0, most
    while left > 0 and not stopped():
        rows = records.read(connection, choice, after, min(left, _AT_A_TIME))
        if not rows:
            return
        after, left = rows[-1].id, left - len(rows)
        yield rows
