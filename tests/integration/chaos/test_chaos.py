"""`make chaos`, with a few of its kills: nothing is lost, and it would tell if something were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

import pytest

from chaos.__main__ import rage
from chaos.kills import STEPS, VICTIMS, Kill, carry_out, kills
from chaos.scene import Scene, scene
from chaos.workload import Account


@pytest.fixture
def few() -> Iterator[Scene]:
    """The servers and queues."""
    with scene(fsync=False) as opened:
        yield opened


def test_whatever_is_killed_everything_adds_up(few: Scene) -> None:
    told: list[str] = []
    assert rage(few, 4, 7, told.append) == Account()
    assert len(told) == 4


@pytest.mark.parametrize("victims", VICTIMS[1:4], ids="_".join)
def test_a_server_killed_before_or_behind_commit_is_no_exception(
    few: Scene, victims: tuple[str, ...]
) -> None:
    """The two steps between which a record could be lost or applied twice."""
    chance = random.Random(1)
    for step in ("before commit", "before settle"):
        carry_out(Kill(0, victims, step), few, chance)
    assert few.queues[0].account() == Account()


def test_a_row_that_went_and_one_that_came_again_are_told(few: Scene) -> None:
    """The control: an account that could not fail would be worth nothing."""
    queue = few.queues[0]
    queue.push(100)
    queue.lab.drain()
    queue.lab.sql("DELETE FROM t WHERE payload = 1")
    queue.lab.sql("INSERT INTO t (payload) VALUES (2), (3), (3)")
    assert queue.account() == Account(lost=1, duplicated=3)


def test_all_kinds_of_kills_come_before_one_comes_again() -> None:
    kinds = len(VICTIMS) * (len(STEPS) + 1) * 3
    drawn = list(islice(kills(random.Random(1)), 2 * kinds))
    assert len(set(drawn[:kinds])) == kinds == 165
    assert set(drawn[kinds:]) == set(drawn[:kinds])
