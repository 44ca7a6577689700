"""One attempt to apply a plan: a transaction, up to the point where it could be committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import psycopg

from batchdrain.engine import batch_log
from batchdrain.engine.batch_log import BatchEntry
from batchdrain.engine.bisection import Bisection
from batchdrain.engine.catalog_version import VERSION
from batchdrain.engine.classify import Classifier
from batchdrain.engine.cut import Step
from batchdrain.engine.plan import Plan
from batchdrain.engine.position import Ledger, Move
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import BatchResult, Record, Refusal
from batchdrain.engine.reports import read_outcome, read_report
from batchdrain.engine.settings import EngineSettings
from batchdrain.engine.sifting import Sifter, left_out
from batchdrain.engine.statements.block import OUTCOME, SET_WORK
from batchdrain.engine.statements.isolation import block_of, work_of
from batchdrain.engine.statements.shape import BoundStatement, Shape, StatementStyle
from batchdrain.engine.transaction import BEGIN, CONSTRAINTS_IMMEDIATE, Command, send


class Mode(Enum):
    """How an attempt goes about the plan's steps."""

    SETS = "set statements"
    SIFTING = "set statements without what looks bad"
    ON_SERVER = "isolation on the server"
    HALVING = "isolation by halving"


@dataclass(frozen=True, slots=True)
class Work:
    """A plan's steps as commands; what halving sends depends on what it finds.

    `bound` tells of each set statement which step it belongs to; `apart` are sifted records.
    """

    mode: Mode
    commands: Sequence[Command] = ()
    bound: Sequence[tuple[Step, BoundStatement]] = ()
    apart: Sequence[Ready] = ()


@dataclass(frozen=True, slots=True)
class Attempted:
    """What an attempt found.

    `found` holds the refusals that the plan did not know of, by ordinal. `owned` is False when the
    position had moved or changed hands, `current` when the table was no longer what the plan took
    it for: looked at behind the statements, which let nobody change it until the transaction ends.
    """

    result: BatchResult
    found: dict[int, Refusal]
    current: bool
    owned: bool
    log_entry: int | None


class Attempt:
    """Sends a plan's statements; nothing of it is committed here."""

    def __init__(
        self,
        style: StatementStyle,
        sifter: Sifter,
        settings: EngineSettings,
        opening: Command,
        cancelled: Callable[[float], bool],
    ) -> None:
        self._style = style
        self._sifter = sifter
        self._settings = settings
        self._opening = opening
        self._cancelled = cancelled
        self._block: tuple[list[Shape], str] = ([], "")

    def sifts(self, plan: Plan) -> bool:
        """Whether `work` can sift the plan's records."""
        return self._sifter.suits(plan)

    def work(self, mode: Mode, plan: Plan) -> Work:
        """Put together what the plan's steps take in a mode.

        Sifting that would be of no use becomes isolation on the server.
        """
        if mode is Mode.SETS:
            bound = [
                (step, each)
                for step in plan.steps
                for each in self._style.bind(step.shape, [record.data for record in step.records])
            ]
            return Work(mode, _commands(bound), bound)
        if mode is Mode.SIFTING:
            sifted = self._sifter.sift(plan)
            if sifted is not None:
                return Work(mode, _commands(sifted.bound), sifted.bound, sifted.apart)
            mode = Mode.ON_SERVER
        return Work(mode, self._isolating(plan) if mode is Mode.ON_SERVER else ())

    def run(
        self,
        connection: psycopg.Connection[Any],
        work: Work,
        plan: Plan,
        classifier: Classifier,
        move: tuple[Ledger, Move] | None,
        meanwhile: Callable[[], None] | None,
    ) -> Attempted:
        """Open a transaction and apply the plan in it.

        With a move, the position's row is locked first and the batch logged last. `meanwhile` is
        called while PostgreSQL works. Raises psycopg.Error when PostgreSQL fails; the transaction
        is then still to be rolled back.
        """
        opening = [BEGIN, self._opening, CONSTRAINTS_IMMEDIATE]
        if move is not None:
            opening.append(move[0].move(move[1]))
        if work.mode is Mode.HALVING:
            opened = send(connection, opening)
            bisection = Bisection(
                connection,
                plan.table,
                self._style,
                self._settings,
                self._cancelled,
                _doubtful_field(plan, classifier),
            )
            refused = bisection.apply(plan.steps)
            logging = self._logging(plan, move, len(refused), isolated=True)
            version, *logged = send(connection, [_version_of(plan), *logging])
            result = plan.result(refused, isolated=True)
            return _attempted(result, refused, plan, version, move, opened[-1], logged)
        isolated = work.mode is Mode.ON_SERVER or bool(work.apart)
        logging = self._logging(plan, move, 0, isolated=isolated)
        commands = [*opening, *work.commands, _version_of(plan), *logging]
        cursors = send(connection, commands, meanwhile)
        middle, end = len(opening), len(opening) + len(work.commands)
        if work.mode is Mode.ON_SERVER:
            refused = _outcome(plan, classifier, cursors[middle:end])
        else:
            refused = _reported(plan, work.bound, cursors[middle:end])
            apart = [*work.apart, *left_out(work.bound, cursors[middle:end])]
            if apart:
                isolated = True
                outcome = send(connection, self._sifter.one_by_one(apart))
                refused.update(_outcome(plan, classifier, outcome))
        result = plan.result(refused, isolated=isolated)
        version, *logged = cursors[end:]
        return _attempted(result, refused, plan, version, move, cursors[middle - 1], logged)

    def _isolating(self, plan: Plan) -> list[Command]:
        """Return the commands of isolation on the server, whatever the style."""
        if not plan.steps:
            return []
        shapes = list(dict.fromkeys(step.shape for step in plan.steps))
        if shapes != self._block[0]:
            self._block = (shapes, block_of(plan.table, shapes))
        return [
            Command(SET_WORK, work_of(shapes, plan.steps)),
            Command(self._block[1], prepare=False),
            Command(OUTCOME),
        ]

    def _logging(
        self, plan: Plan, move: tuple[Ledger, Move] | None, found: int, *, isolated: bool
    ) -> list[Command]:
        """Return the command that logs the batch, as far as it is known by now."""
        if move is None:
            return []
        ledger, step = move
        refused = len(plan.refused) + found
        entry = BatchEntry(
            queue=ledger.queue,
            table=plan.table.qualified_name,
            style=self._style.name,
            messages=step.messages,
            records=len(plan.records),
            applied=len(plan.records) - refused,
            refused=refused,
            isolated=isolated,
            bytes=plan.size,
            position_from=step.old,
            position_to=step.new,
        )
        return [batch_log.insert(ledger.run, entry)]


def _commands(bound: Sequence[tuple[Step, BoundStatement]]) -> list[Command]:
    return [Command(each.statement.text, each.parameters, each.prepare) for _, each in bound]


def _reported(
    plan: Plan,
    bound: Sequence[tuple[Step, BoundStatement]],
    cursors: Sequence[psycopg.Cursor[Any]],
) -> dict[int, Refusal]:
    """Return what the set statements report, by ordinal."""
    refused: dict[int, Refusal] = {}
    for (step, each), cursor in zip(bound, cursors, strict=True):
        if each.statement.reports:
            row = cursor.fetchone()
            # Hardly any statement has something to report; the records need not be ordered then.
            if row is not None and any(row):
                ordered = [step.records[place] for place in each.places]
                refused.update(read_report(row, ordered, plan.table))
    return refused


def _outcome(
    plan: Plan, classifier: Classifier, cursors: Sequence[psycopg.Cursor[Any]]
) -> dict[int, Refusal]:
    if not plan.steps:
        return {}
    (outcome,) = cursors[-1].fetchone() or ("[]",)
    return read_outcome(outcome, plan.table, _doubtful_field(plan, classifier))


def _doubtful_field(plan: Plan, classifier: Classifier) -> Callable[[int], str | None]:
    """Return what names the column of a record, by its ordinal, whose JSON jsonb does not take."""

    def _field(ordinal: int) -> str | None:
        record = plan.records[ordinal]
        return classifier.doubtful_field(record) if isinstance(record, Record) else None

    return _field


def _version_of(plan: Plan) -> Command:
    return Command(VERSION, (plan.table.oid,))


def _attempted(
    result: BatchResult,
    found: dict[int, Refusal],
    plan: Plan,
    version: psycopg.Cursor[Any],
    move: tuple[Ledger, Move] | None,
    moved: psycopg.Cursor[Any],
    logged: Sequence[psycopg.Cursor[Any]],
) -> Attempted:
    current = version.fetchone() == (plan.table.version,)
    if move is None:
        return Attempted(result, found, current, owned=True, log_entry=None)
    entry = logged[0].fetchone()
    owned = moved.fetchone() is not None
    return Attempted(result, found, current, owned, log_entry=entry and entry[0])
