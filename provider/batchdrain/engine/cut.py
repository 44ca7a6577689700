"""Cuts a batch into steps that leave what applying its records one at a time would leave.

Pure functions. Why each way is right, and for which tables: SEMANTICS, cutting a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchdrain.engine.catalog import Cutting, Table
from batchdrain.engine.keys import KeyIdentity
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Operation
from batchdrain.engine.statements.shape import Shape


@dataclass(frozen=True, slots=True)
class Step:
    """Records of one shape, in queue order.

    `together` tells whether one set statement may apply them all; otherwise each needs a
    statement of its own.
    """

    shape: Shape
    records: tuple[Ready, ...]
    together: bool = True


def cut(table: Table, records: Sequence[Ready], *, keys_known: bool) -> list[Step]:
    """Cut records (in queue order, every identity known unless `keys_known` is False)."""
    if table.cutting is Cutting.RECORD_BY_RECORD or not keys_known:
        return one_by_one(records)
    if table.cutting is Cutting.RUNS:
        return runs(records, table.unique_columns)
    return waves(records)


def waves(records: Sequence[Ready]) -> list[Step]:
    """Cut for plain tables: in a wave every key occurs once, and order does not matter."""
    if len({record.identity for record in records}) == len(records):
        return _grouped(records)
    seen: dict[KeyIdentity | None, int] = {}
    cut_waves: list[dict[Shape, list[Ready]]] = []
    for record in records:
        number = seen.get(record.identity, 0)
        seen[record.identity] = number + 1
        if number == len(cut_waves):
            cut_waves.append({})
        cut_waves[number].setdefault(record.shape, []).append(record)
    return [Step(shape, tuple(group)) for wave in cut_waves for shape, group in wave.items()]


def runs(records: Sequence[Ready], unique_columns: frozenset[str]) -> list[Step]:
    """Cut for tables with secondary unique constraints: contiguous runs of distinct keys.

    A run holds one operation. INSERTs of a run share a shape, since between them the first one
    wins; an UPDATE of a unique column is a run of its own.
    """
    steps: list[Step] = []
    run: list[Ready] = []
    keys: set[KeyIdentity | None] = set()
    for record in records:
        if run and (
            record.identity in keys
            or not _may_share_run(run[-1].shape, record.shape, unique_columns)
        ):
            steps.extend(_grouped(run))
            run, keys = [], set()
        run.append(record)
        keys.add(record.identity)
    return steps + _grouped(run)


def one_by_one(records: Sequence[Ready]) -> list[Step]:
    """Cut for tables whose rows disturb one another: strictly in queue order."""
    steps: list[Step] = []
    run: list[Ready] = []
    for record in records:
        if run and run[-1].shape != record.shape:
            steps.append(Step(run[-1].shape, tuple(run), together=False))
            run = []
        run.append(record)
    if run:
        steps.append(Step(run[-1].shape, tuple(run), together=False))
    return steps


def _may_share_run(last: Shape, following: Shape, unique_columns: frozenset[str]) -> bool:
    if last.operation is not following.operation:
        return False
    if last.operation in (Operation.INSERT, Operation.UPSERT) and last != following:
        return False
    return unique_columns.isdisjoint(last.changed) and unique_columns.isdisjoint(following.changed)


def _grouped(records: Sequence[Ready]) -> list[Step]:
    """One step per shape; among distinct keys their order does not matter."""
    first = records[0].shape if records else None
    if first is not None and all(record.shape is first for record in records):
        return [Step(first, tuple(records))]
    groups: dict[Shape, list[Ready]] = {}
    for record in records:
        groups.setdefault(record.shape, []).append(record)
    return [Step(shape, tuple(group)) for shape, group in groups.items()]
