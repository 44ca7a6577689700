"""What may share a set statement, and what comes after what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.engine.catalog import Cutting
from batchdrain.engine.cut import Step, cut, one_by_one, runs, waves
from batchdrain.engine.keys import Alone, KeyIdentity
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Operation
from batchdrain.engine.statements.shape import Shape
from made_tables import column, table

INSERT = Shape(Operation.INSERT, ("id", "v"), (), touch=False, carried=("id", "v"))
INSERT_ID = Shape(Operation.INSERT, ("id",), (), touch=False, carried=("id",))
UPDATE_V = Shape(Operation.UPDATE, (), ("v",), touch=False, carried=("id", "v"))
UPDATE_W = Shape(Operation.UPDATE, (), ("w",), touch=True, carried=("id", "w"))
DELETE = Shape(Operation.DELETE, (), (), touch=False, carried=("id",))
UPSERT = Shape(Operation.UPSERT, ("id", "v"), ("v",), touch=False, carried=("id", "v"))
SHAPES = [INSERT, INSERT_ID, UPDATE_V, UPDATE_W, DELETE, UPSERT]

batches = st.lists(st.tuples(st.sampled_from(SHAPES), st.integers(0, 5)), max_size=40).map(
    lambda pairs: ready(*pairs)
)


def ready(*pairs: tuple[Shape, KeyIdentity]) -> list[Ready]:
    """Records with these shapes and keys, numbered in order."""
    return [
        Ready(ordinal, shape, b"{}", (b"1",), key) for ordinal, (shape, key) in enumerate(pairs)
    ]


def ordinals(steps: Sequence[Step]) -> list[list[int]]:
    return [[record.ordinal for record in step.records] for step in steps]


def flat(steps: Sequence[Step]) -> list[int]:
    return [ordinal for step in ordinals(steps) for ordinal in step]


@given(batches)
def test_every_way_to_cut_keeps_every_record_and_its_shape(batch: list[Ready]) -> None:
    for steps in (waves(batch), runs(batch, frozenset({"v"})), one_by_one(batch)):
        assert sorted(flat(steps)) == [record.ordinal for record in batch]
        assert all(record.shape == step.shape for step in steps for record in step.records)
        assert all(step.records for step in steps)


@given(batches)
def test_no_set_statement_meets_a_key_twice_and_every_key_keeps_its_order(
    batch: list[Ready],
) -> None:
    for steps in (waves(batch), runs(batch, frozenset({"v"}))):
        met: dict[object, list[int]] = {}
        for step in steps:
            assert max(Counter(record.identity for record in step.records).values()) == 1
            for record in step.records:
                met.setdefault(record.identity, []).append(record.ordinal)
        assert all(places == sorted(places) for places in met.values())


@given(batches)
def test_record_by_record_keeps_the_whole_order(batch: list[Ready]) -> None:
    steps = one_by_one(batch)
    assert flat(steps) == [record.ordinal for record in batch]
    assert not any(step.together for step in steps)


@given(batches)
def test_runs_with_a_unique_column_order_all_that_may_disturb_one_another(
    batch: list[Ready],
) -> None:
    """Only changes that leave unique columns alone may be swapped, within one operation."""
    order = {ordinal: place for place, ordinal in enumerate(flat(runs(batch, frozenset({"v"}))))}
    for first in batch:
        for second in batch[first.ordinal + 1 :]:
            if order[first.ordinal] > order[second.ordinal]:
                assert first.shape.operation is second.shape.operation
                assert "v" not in (*first.shape.changed, *second.shape.changed)
                assert first.shape.operation in (Operation.UPDATE, Operation.DELETE)


def test_a_wave_joins_all_operations_whose_keys_differ() -> None:
    batch = ready((INSERT, 1), (UPDATE_V, 2), (INSERT, 3), (DELETE, 1), (INSERT, 2))
    assert ordinals(waves(batch)) == [[0, 2], [1], [3], [4]]


def test_a_run_ends_where_the_operation_changes_or_a_key_returns() -> None:
    batch = ready((INSERT, 1), (INSERT, 2), (DELETE, 3), (DELETE, 4), (DELETE, 3))
    assert ordinals(runs(batch, frozenset({"v"}))) == [[0, 1], [2, 3], [4]]


def test_an_update_of_a_unique_column_is_a_run_of_its_own() -> None:
    batch = ready((UPDATE_W, 1), (UPDATE_V, 2), (UPDATE_W, 3), (UPDATE_W, 4))
    assert ordinals(runs(batch, frozenset({"v"}))) == [[0], [1], [2, 3]]


def test_an_update_that_touches_a_unique_clock_is_a_run_of_its_own() -> None:
    batch = ready((UPDATE_W, 1), (UPDATE_W, 2))
    assert ordinals(runs(batch, frozenset({"_updated_at"}))) == [[0], [1]]


def test_inserts_of_two_shapes_are_two_runs() -> None:
    """Between them the first to take a unique value wins."""
    batch = ready((INSERT, 1), (INSERT_ID, 2), (INSERT, 3))
    assert ordinals(runs(batch, frozenset({"v"}))) == [[0], [1], [2]]


def test_keys_that_equal_no_other_never_split_a_step() -> None:
    batch = ready((INSERT, Alone()), (INSERT, Alone()))
    assert ordinals(waves(batch)) == [[0, 1]]


@pytest.mark.parametrize(
    ("cutting", "keys_known", "together", "steps"),
    [
        (Cutting.WAVES, True, True, [[0, 2], [1]]),
        (Cutting.RUNS, True, True, [[0], [1], [2]]),
        (Cutting.RECORD_BY_RECORD, True, False, [[0], [1], [2]]),
        (Cutting.WAVES, False, False, [[0], [1], [2]]),
    ],
)
def test_the_table_and_unknown_keys_decide_how_to_cut(
    cutting: Cutting, keys_known: bool, together: bool, steps: list[list[int]]
) -> None:
    found = cut(
        table(column("id"), cutting=cutting),
        ready((INSERT, 1), (DELETE, 2), (INSERT, 3)),
        keys_known=keys_known,
    )
    assert ordinals(found) == steps
    assert all(step.together is together for step in found)
