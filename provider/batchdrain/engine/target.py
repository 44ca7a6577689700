"""One table as it stands now, and how a batch gets into it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from batchdrain.engine import batch_log
from batchdrain.engine.attempt import Attempt, Attempted, Mode, Work
from batchdrain.engine.catalog import Table, missing_privilege, read_table
from batchdrain.engine.classify import Classified, Classifier
from batchdrain.engine.error_table import ErrorTable
from batchdrain.engine.failures import FailureClass, classify, failure_of
from batchdrain.engine.plan import Plan, plan
from batchdrain.engine.position import Ledger, Move
from batchdrain.engine.questions import Questioner
from batchdrain.engine.records import BatchResult, Malformed, Operation, Record, Refusal
from batchdrain.engine.refused import error_rows
from batchdrain.engine.reports import OvertakenError
from batchdrain.engine.run import Run
from batchdrain.engine.statements.questions import conversion
from batchdrain.engine.transaction import COMMIT, Command, roll_back, send
from batchdrain.errors import ConfigurationError, SystemicError

Judge = Callable[[BatchResult], None]
"""Looks at a batch before it is committed; raises to have it rolled back."""


_MANY_BAD = 0.17
"""From this share of batches with a bad record on whole sets are no longer tried first: one that
fails costs nearly a batch's time, and sifting or isolation of a clean batch about a fifth more than
its set statements."""

_MOSTLY_IN_VAIN = 0.5
"""From this share of sifted batches that failed all the same on sifting is no longer tried."""

_NEWS = 0.2
"""Weight of the newest batch in that share: after one bad batch, one is isolated in advance."""

_OVERTAKEN = 2
"""How often a batch is attempted again because another session changed its rows meanwhile."""

_SAVEPOINT = Command("SAVEPOINT doubt", prepare=False)
_BACK = Command("ROLLBACK TO SAVEPOINT doubt", prepare=False)


class StaleTableError(Exception):
    """The table is no longer what the catalog said when it was read."""


@dataclass(slots=True)
class PreparedBatch:
    """A batch and what was done for it in advance, by the target `by`.

    Either `planned` and `work` are there, or PostgreSQL has to be asked about what `found` doubts
    (None again once it was).
    """

    records: Sequence[Record | Malformed]
    by: Target | None = None
    found: Classified | None = None
    planned: Plan | None = None
    work: Work | None = None


class Target:
    """Applies batches to the table that `table` describes; made anew when the table changes."""

    def __init__(
        self,
        table: Table,
        scope: Mapping[str, str],
        errors: ErrorTable,
        attempt: Attempt,
        opening: Command,
        run: Run,
        cancelled: Callable[[float], bool],
    ) -> None:
        self.table = table
        self._scope = scope
        self._errors = errors
        self._attempt = attempt
        self._run = run
        self._cancelled = cancelled
        self._classifier = Classifier(table)
        self._opening = opening
        self._same_scopes: dict[tuple[str, bytes, bytes], bool | Refusal] = {}
        self._bad_share = 0.0
        self._sifted_in_vain = 0.0

    def prepare(self, records: Sequence[Record | Malformed]) -> PreparedBatch:
        """Do what can be done for a batch without asking PostgreSQL."""
        found = self._classifier.classify(records)
        if not found.settled:
            return PreparedBatch(records, self, found)
        planned = plan(self.table, self._classifier, records, found)
        work = self._work(self._mode(planned), planned)
        return PreparedBatch(records, self, None, planned, work)

    def apply(
        self,
        connection: psycopg.Connection[Any],
        prepared: PreparedBatch,
        move: tuple[Ledger, Move] | None,
        judge: Judge,
        committing: Callable[[BatchResult], None],
        meanwhile: Callable[[], None] | None,
    ) -> BatchResult:
        """Apply a batch in one transaction; `committing` sees the result just before COMMIT.

        `prepared` must come from this target. Raises StaleTableError when the table has changed
        and the batch has to be planned anew, HandedOverError, SystemicError, or psycopg.Error.
        """
        self._check_privileges(prepared.records)
        planned = self._plan(connection, prepared)
        mode = self._mode(planned)
        work = prepared.work
        if work is None or (work.mode is Mode.SETS) is not (mode is Mode.SETS):
            work = self._work(mode, planned)
        attempted = self._attempted(connection, planned, work, move, meanwhile)
        if move is not None and not attempted.owned:
            roll_back(connection)
            raise move[0].handed_over(connection)
        result = attempted.result
        if result.refused:
            self._record_refusals(connection, planned, attempted, move)
        judge(result)
        committing(result)
        send(connection, [COMMIT])
        return result

    def _check_privileges(self, records: Sequence[Record | Malformed]) -> None:
        operations = {record.operation for record in records if isinstance(record, Record)}
        sentence = missing_privilege(self.table, operations)
        if sentence:
            raise ConfigurationError(sentence)

    def _plan(self, connection: psycopg.Connection[Any], prepared: PreparedBatch) -> Plan:
        if prepared.planned is not None:
            return prepared.planned
        records = prepared.records
        # What was asked before an attempt that failed is asked again: the answers may be others.
        found, prepared.found = prepared.found or self._classifier.classify(records), None
        if found.undefined_columns:
            self._raise_if_stale(connection)
        questioner = Questioner(connection, self.table, self._opening, self._same_scopes)
        questioner.settle(self._classifier, records, found)
        return plan(self.table, self._classifier, records, found)

    def _mode(self, planned: Plan) -> Mode:
        if planned.one_by_one:
            return Mode.ON_SERVER
        return Mode.SETS if self._bad_share <= _MANY_BAD else self._isolating_mode(planned)

    def _work(self, mode: Mode, planned: Plan) -> Work:
        work = self._attempt.work(mode, planned)
        if work.mode is not mode:
            self._learn_of_sifting(in_vain=True)
        return work

    def _learn_of_sifting(self, *, in_vain: bool) -> None:
        self._sifted_in_vain += _NEWS * (in_vain - self._sifted_in_vain)

    def _isolating_mode(self, planned: Plan) -> Mode:
        """Return the quickest way to find bad records that is likely to work."""
        sifts = self._sifted_in_vain <= _MOSTLY_IN_VAIN and self._attempt.sifts(planned)
        return Mode.SIFTING if sifts else Mode.ON_SERVER

    def _attempted(
        self,
        connection: psycopg.Connection[Any],
        planned: Plan,
        work: Work,
        move: tuple[Ledger, Move] | None,
        meanwhile: Callable[[], None] | None,
    ) -> Attempted:
        overtaken = 0
        while True:
            started = time.monotonic()
            try:
                attempted = self._attempt.run(
                    connection, work, planned, self._classifier, move, meanwhile
                )
                if overtaken < _OVERTAKEN and attempted.current and _lost_race(planned, attempted):
                    raise OvertakenError(self.table)
            except OvertakenError:
                roll_back(connection)
                overtaken += 1
                if overtaken > _OVERTAKEN:
                    raise
                meanwhile = None
            except psycopg.Error as error:
                roll_back(connection)
                following = self._following(work.mode, planned, failure_of(error))
                if following is None or (
                    failure_of(error) is FailureClass.TOO_SLOW and self._cancelled(started)
                ):
                    raise
                if failure_of(error) is FailureClass.PASSING:
                    self._raise_if_stale(connection)
                work, meanwhile = self._work(following, planned), None
            else:
                self._learn(connection, work, attempted)
                return attempted

    def _learn(self, connection: psycopg.Connection[Any], work: Work, attempted: Attempted) -> None:
        """Look whether an attempt may be committed, and what it tells of the next ones.

        Raises StaleTableError or SystemicError when it may not.
        """
        if not attempted.current:
            roll_back(connection)
            raise StaleTableError
        self._check_doubtful_refusals(connection, attempted)
        self._bad_share += _NEWS * (_has_bad(attempted) - self._bad_share)
        if work.mode is Mode.SIFTING:
            self._learn_of_sifting(in_vain=False)

    def _following(self, mode: Mode, planned: Plan, failure: FailureClass) -> Mode | None:
        """What to try after a failure in `mode`; None when it is not about single records."""
        if mode is Mode.SIFTING:
            self._learn_of_sifting(in_vain=True)
        if failure is FailureClass.TOO_SLOW:
            return Mode.HALVING if mode is not Mode.HALVING else None
        if failure in (FailureClass.REFUSED, FailureClass.PASSING):
            return {
                Mode.SETS: self._isolating_mode(planned),
                Mode.SIFTING: Mode.ON_SERVER,
                Mode.ON_SERVER: Mode.HALVING,
            }.get(mode)
        return None

    def _check_doubtful_refusals(
        self, connection: psycopg.Connection[Any], attempted: Attempted
    ) -> None:
        """What may be the table's fault is a record's only when others of its batch pass.

        Raises StaleTableError when the table has changed, SystemicError when nothing passed.
        """
        doubtful = [refusal for refusal in attempted.found.values() if self._is_doubtful(refusal)]
        if not doubtful:
            return
        self._raise_if_stale(connection)
        if attempted.result.applied > 0:
            return
        doubtful = [refusal for refusal in doubtful if not self._is_value_s(connection, refusal)]
        if doubtful:
            roll_back(connection)
            raise SystemicError(
                f"table {self.table.qualified_name} takes none of {len(doubtful)} records: "
                f"{doubtful[0].error_type}{_where(doubtful[0])}; mend the table, its triggers or "
                "the role's privileges; nothing was consumed"
            )

    def _is_doubtful(self, refusal: Refusal) -> bool:
        if refusal.sqlstate is None:
            return False
        by_policy = self.table.row_security and refusal.sqlstate == "42501"
        return classify(refusal.sqlstate, row_security=by_policy) is FailureClass.PASSING

    def _is_value_s(self, connection: psycopg.Connection[Any], refusal: Refusal) -> bool:
        """Whether a value is at fault: hstore, tsvector, regclass … refuse one with class 42.

        Such a refusal names the column that did not convert; NULL has to convert all the same.
        """
        column = next((c for c in self.table.columns if c.name == refusal.field), None)
        if column is None or refusal.constraint:
            return False
        try:
            send(connection, [_SAVEPOINT, Command(f"SELECT {conversion(column)}", ("{}",)), _BACK])
        except psycopg.Error:
            send(connection, [_BACK])
            return False
        return True

    def _raise_if_stale(self, connection: psycopg.Connection[Any]) -> None:
        if read_table(connection, self.table.qualified_name, self._scope) != self.table:
            roll_back(connection)
            raise StaleTableError

    def _record_refusals(
        self,
        connection: psycopg.Connection[Any],
        planned: Plan,
        attempted: Attempted,
        move: tuple[Ledger, Move] | None,
    ) -> None:
        result = attempted.result
        queue = move[0].queue if move is not None else None
        amended = []
        if attempted.log_entry is not None:
            amended.append(
                batch_log.amend(
                    attempted.log_entry, result.applied, result.refused, result.isolated
                )
            )
        rows = error_rows(planned, result, queue, self._run)
        self._errors.write(connection, rows, following=amended)


def _where(refusal: Refusal) -> str:
    return f" in column {refusal.field}" if refusal.field else ""


def _lost_race(planned: Plan, attempted: Attempted) -> bool:
    """Whether an UPSERT found no row, and then its key taken: another session was quicker.

    It may be something else (a trigger that changes the key, say): then it is refused in the end.
    """
    key = set(planned.table.key)
    for ordinal, refusal in attempted.found.items():
        record = planned.records[ordinal]
        if (
            refusal.sqlstate == "23505"
            and isinstance(record, Record)
            and record.operation is Operation.UPSERT
            and set(planned.table.constraints.get(refusal.constraint or "", ())) == key
        ):
            return True
    return False


def _has_bad(attempted: Attempted) -> bool:
    """Whether a record was refused that makes a whole set statement fail."""
    return any(refusal.sqlstate is not None for refusal in attempted.found.values())
