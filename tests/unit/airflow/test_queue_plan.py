"""The order in which queues are drained."""

from __future__ import annotations

from batchdrain.operators.queue_plan import Candidate, plan_drains

FLIGHTS = Candidate("q:flights", "flights", "9-0")
AIRPORTS = Candidate("q:airports", "airports", "5-1")
LINES = [Candidate("q:airlines:0", "airlines", "3-0"), Candidate("q:airlines:1", "airlines", "4-0")]
PARENTS = {"flights": ("airlines", "airports"), "airports": ("countries",)}


def test_parents_come_before_their_children_with_the_ids_to_pass():
    plan = plan_drains([FLIGHTS, AIRPORTS, *LINES], PARENTS)
    assert [drain.queue_key for drain in plan.drains] == [
        "q:airlines:0",
        "q:airlines:1",
        "q:airports",
        "q:flights",
    ]
    assert plan.drains[-1].parents == {
        "q:airlines:0": "3-0",
        "q:airlines:1": "4-0",
        "q:airports": "5-1",
    }
    assert not plan.drains[0].parents
    assert plan.ignored == ()


def test_queues_that_another_run_drains_are_awaited_but_not_planned():
    plan = plan_drains([FLIGHTS], PARENTS, elsewhere=[AIRPORTS])
    assert [(drain.queue_key, drain.parents) for drain in plan.drains] == [
        ("q:flights", {"q:airports": "5-1"})
    ]


def test_a_cycle_is_broken_and_reported():
    a, b = Candidate("q:a", "a", "1-0"), Candidate("q:b", "b", "1-0")
    plan = plan_drains([a, b], {"a": ("b",), "b": ("a",)})
    assert [drain.queue_key for drain in plan.drains] == ["q:b", "q:a"]
    assert [bool(drain.parents) for drain in plan.drains] == [False, True]
    assert plan.ignored == (("b", "a"),)


def test_a_parent_without_entry_ids_is_not_awaited():
    plan = plan_drains([FLIGHTS, Candidate("q:airports", "airports", None)], PARENTS)
    assert plan.drains[-1].parents == {}
