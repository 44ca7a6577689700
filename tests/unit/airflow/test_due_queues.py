"""What a run drains, what it leaves to others, and where its drains linger."""

from __future__ import annotations

import pytest

from batchdrain.engine.position import Position
from batchdrain.hooks.queue import Backlog
from batchdrain.operators.due_queues import Found, sort_out
from batchdrain.operators.linger_choice import Resident, choose_lingering
from batchdrain.operators.owners import LeftOut

HELD = LeftOut("it is held", awaited=False)
RETRY = LeftOut("run r will try it again in a moment", awaited=True)
DRAINING = LeftOut("run r is draining it", awaited=True, draining=True)


def found(
    table: str,
    depth: int = 0,
    *,
    left: LeftOut | None = None,
    kind: str = "stream",
    idle: float | None = 60.0,
    rewound: bool = False,
) -> Found:
    position = Position("1-0", 1, 0, 0, False, "token", None, idle, rewound)
    return Found(Backlog(f"q:{table}", kind, depth, "2-0"), table, left, position)


def sorted_out(*queues: Found, slots: int = 0, parents: dict[str, list[str]] | None = None):
    """Return tables drained, left out, and the tables that linger."""
    due = sort_out(queues, lambda tables: parents or {}, slots)
    return (
        [queue.table for queue in due.drained],
        [queue.table for queue, _ in due.left_out],
        {key.removeprefix("q:") for key in due.lingering},
    )


def test_without_linger_queues_with_a_backlog_are_drained_unless_they_are_left_out():
    """A key of a wrong type is not empty: its drain says what is wrong."""
    queues = (
        found("a", 5),
        found("b"),
        found("c", 5, left=HELD),
        found("d", 5, left=RETRY),
        found("e", 5, left=DRAINING),
        found("f", left=DRAINING),
        found("g", kind="hash"),
        found("h", kind="none"),
    )
    assert sorted_out(*queues) == (["a", "g"], ["c", "d", "e"], set())


def test_the_busiest_queues_linger_and_are_taken_over_from_whoever_drains_them():
    """First those with messages, then those that had some last; no more than there are slots."""
    queues = (
        found("quiet", idle=3600.0),
        found("new", idle=None),
        found("busy", 500, left=DRAINING, idle=0.1),
        found("full", 9000, idle=30.0),
        found("calm", idle=5.0, left=DRAINING),
    )
    assert sorted_out(*queues, slots=2) == (["busy", "full", "calm"], [], {"busy", "full"})
    assert sorted_out(*queues, slots=3)[2] == {"busy", "full", "calm"}
    assert sorted_out(*queues, slots=9)[2] == {"quiet", "new", "busy", "full", "calm"}


def test_a_drain_that_lingers_where_it_should_not_any_more_is_replaced():
    """So there are never more lingering drains than slots; one with a backlog is left alone."""
    queues = (
        found("busy", 500, idle=0.1),
        found("calm", left=DRAINING, idle=5.0),
        found("working", 10, left=DRAINING, idle=6.0),
    )
    assert sorted_out(*queues, slots=1) == (["busy", "calm"], ["working"], {"busy"})


@pytest.mark.parametrize(
    "queue",
    [
        found("t", 5, left=HELD),
        found("t", 5, left=RETRY),
        found("t", rewound=True),
        found("t", kind="hash"),
        found("t", kind="none"),
    ],
)
def test_queues_that_cannot_be_drained_now_do_not_linger(queue):
    assert sorted_out(queue, slots=5)[2] == set()


def test_a_table_that_refers_to_others_does_not_linger():
    """What has to come before its records is known only when a run begins."""
    queues = (found("child", 5), found("parent", 5))
    drained, _, lingering = sorted_out(*queues, slots=5, parents={"child": ["parent"]})
    assert (drained, lingering) == (["child", "parent"], {"parent"})


def test_shards_of_one_table_are_chosen_in_the_order_of_their_keys():
    shards = [Resident(f"q:t:{n}", "t", 0, None) for n in (2, 0, 1)]
    assert choose_lingering(shards, {}, 2) == ("q:t:0", "q:t:1")
