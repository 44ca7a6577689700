"""Sifts a batch that probably has bad records: those go one by one, the others by set statements.

Only for batches in which no two records share a key, of tables whose rows don't disturb one
another: then it makes no difference that the sifted records come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from batchdrain.engine.catalog import Cutting, Table
from batchdrain.engine.cut import Step
from batchdrain.engine.looks import Looks
from batchdrain.engine.plan import Plan
from batchdrain.engine.ready import Ready
from batchdrain.engine.statements.block import OUTCOME, SET_WORK
from batchdrain.engine.statements.recordset import array_of, sifting
from batchdrain.engine.statements.shape import BoundStatement, SetStatement, Shape
from batchdrain.engine.statements.single import single_block, single_work
from batchdrain.engine.transaction import Command

_MOST_APART = 0.6
"""Share of records that look bad from which on their looks are no help."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """A batch's set statements, and the records that are kept apart."""

    bound: Sequence[tuple[Step, BoundStatement]]
    apart: Sequence[Ready]


class Sifter:
    """Sifts batches of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._looks = Looks(table)
        self._statements: dict[Shape, SetStatement] = {}
        self._block: tuple[list[Shape], str] = ([], "")

    def suits(self, plan: Plan) -> bool:
        """Whether the batch may be sifted."""
        return (
            self._table.cutting is Cutting.WAVES
            and not self._table.rules
            and not plan.one_by_one
            and plan.distinct_keys
        )

    def sift(self, plan: Plan) -> Sifted | None:
        """Sift a batch that `suits`; None when hardly any of its records look good."""
        apart: list[Ready] = []
        bound: list[tuple[Step, BoundStatement]] = []
        for step in plan.steps:
            places = set(self._looks.suspects(step.shape, [each.data for each in step.records]))
            kept = tuple(each for n, each in enumerate(step.records) if n not in places)
            apart += [step.records[place] for place in sorted(places)]
            if kept:
                bound.append(self._bound(Step(step.shape, kept)))
        records = sum(len(step.records) for step in plan.steps)
        return None if len(apart) > _MOST_APART * records else Sifted(bound, apart)

    def one_by_one(self, records: Sequence[Ready]) -> list[Command]:
        """Return the commands that apply records one by one; the last returns their outcome."""
        shapes = list(dict.fromkeys(record.shape for record in records))
        if shapes != self._block[0]:
            self._block = (shapes, single_block(self._table, shapes))
        return [
            Command(SET_WORK, single_work(shapes, records)),
            Command(self._block[1], prepare=False),
            Command(OUTCOME),
        ]

    def _bound(self, step: Step) -> tuple[Step, BoundStatement]:
        statement = self._statements.get(step.shape)
        if statement is None:
            statement = self._statements[step.shape] = sifting(self._table, step.shape)
        array = array_of([record.data for record in step.records])
        return step, BoundStatement(statement, (array,), range(len(step.records)))


def left_out(
    bound: Sequence[tuple[Step, BoundStatement]], cursors: Sequence[psycopg.Cursor[Any]]
) -> list[Ready]:
    """Return the records that the set statements say they left out."""
    left: list[Ready] = []
    for (step, each), cursor in zip(bound, cursors, strict=True):
        if each.statement.leaves:
            (places,) = cursor.fetchone() or (None,)
            left += [step.records[place - 1] for place in places or ()]
    return left
