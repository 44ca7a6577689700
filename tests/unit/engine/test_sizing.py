"""Batch sizes follow a simulated server: a + b·n seconds for a batch of n records, with noise."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.engine.sizing import SizeLimits, Sizing
from batchdrain.errors import ConfigurationError


@dataclass
class SimulatedServer:
    """Takes `once` seconds for a batch and `each` for a record, and up to `noise` more or less."""

    once: float
    each: float
    noise: float = 0.1
    bad: float = 0.0
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    def run(self, sizing: Sizing, batches: int) -> list[Sizing]:
        """Apply so many full batches; return the sizing after each."""
        seen = []
        for _ in range(batches):
            seconds = (self.once + self.each * sizing.size) * self._random.uniform(
                1 - self.noise, 1 + self.noise
            )
            sizing = sizing.after(sizing.size, round(sizing.size * self.bad), seconds)
            seen.append(sizing)
        return seen


def sizes(seen: list[Sizing]) -> list[int]:
    return [sizing.size for sizing in seen]


WIDE = SizeLimits(first=1000, least=10, most=100_000, target=0.25)


@pytest.mark.parametrize(
    ("once", "each", "ideal"),
    [
        (0.002, 0.00001, 24_800),
        (0.01, 0.0001, 2_400),
        (0.005, 0.001, 245),
        (0.0, 0.005, 50),
    ],
)
def test_a_batch_comes_to_take_the_target_time(once: float, each: float, ideal: int) -> None:
    settled = sizes(SimulatedServer(once, each).run(Sizing.first(WIDE), 40))[-20:]
    assert all(ideal / 1.6 <= size <= ideal * 1.6 for size in settled)


def test_a_settled_size_hardly_changes() -> None:
    """A size that changes with every batch would fill the log and tell nobody anything."""
    seen = SimulatedServer(0.005, 0.0002).run(Sizing.first(WIDE), 100)
    assert sum(bool(sizing.reason) for sizing in seen[20:]) <= 4


def test_a_long_round_trip_does_not_shrink_batches() -> None:
    """Where a batch takes longer than the target whatever its size, few large ones are better."""
    server = SimulatedServer(once=0.4, each=0.0001)
    settled = sizes(server.run(Sizing.first(WIDE), 60))[-20:]
    assert min(settled) >= 1_000


def test_a_server_that_becomes_slow_is_followed() -> None:
    server = SimulatedServer(0.002, 0.0001)
    fast = server.run(Sizing.first(WIDE), 30)[-1]
    server.each = 0.002
    slow = server.run(fast, 30)
    assert slow[-1].size <= 200
    assert "the target is 0.25 s" in next(s.reason for s in slow if s.reason)
    server.each = 0.0001
    assert server.run(slow[-1], 40)[-1].size >= 1_500


def test_one_slow_batch_at_most_halves_the_next() -> None:
    sizing = SimulatedServer(0.002, 0.0002).run(Sizing.first(WIDE), 30)[-1]
    after = sizing.after(sizing.size, 0, 30.0)
    assert after.size >= sizing.size / 2 - 50


def test_limits_hold_and_are_reached() -> None:
    limits = SizeLimits(first=1000, least=500, most=3000)
    assert sizes(SimulatedServer(0, 1e-6).run(Sizing.first(limits), 20))[-1] == 3000
    assert sizes(SimulatedServer(0, 1.0).run(Sizing.first(limits), 20))[-1] == 500


def test_equal_limits_switch_it_off() -> None:
    fixed = SizeLimits(first=700, least=700, most=700)
    seen = SimulatedServer(0, 1e-6).run(Sizing.first(fixed), 10)
    assert [(sizing.size, sizing.reason) for sizing in seen] == [(700, "")] * 10


def test_while_records_are_refused_batches_do_not_grow_beyond_the_first() -> None:
    limits = SizeLimits(first=1000, least=100, most=50_000)
    server = SimulatedServer(0.001, 1e-6)
    grown = server.run(Sizing.first(limits), 20)
    assert grown[-1].size == 50_000
    server.bad = 0.05
    refusing = server.run(grown[-1], 10)
    assert refusing[-1].size == 1000
    assert "of the records are refused" in next(s.reason for s in refusing if s.reason)
    server.bad = 0.0
    assert server.run(refusing[-1], 30)[-1].size == 50_000


def test_the_rest_of_a_queue_does_not_make_batches_larger() -> None:
    """Three records that take no time say nothing about a thousand."""
    sizing = Sizing.first(WIDE)
    for _ in range(20):
        sizing = sizing.after(3, 0, 0.0001)
    assert sizing.size == 1000


def test_the_rest_of_a_queue_makes_batches_smaller_only_if_it_is_slow() -> None:
    """Three records take 0.06 s by what is done once; 0.25 s would be the target."""
    sizing = Sizing.first(WIDE)
    for _ in range(20):
        sizing = sizing.after(3, 0, 0.06)
        assert (sizing.size, sizing.reason) == (1000, "")
    assert sizing.after(3, 0, 2.0).size == 500


def test_full_batches_after_the_rest_of_a_queue_are_sized_as_before() -> None:
    sizing = Sizing.first(WIDE).after(3, 0, 0.06)
    assert sizing.after(1000, 0, 0.23).size >= 800
    assert sizing.after(1000, 0, 2.0).size == 500


@given(
    st.lists(
        st.tuples(st.integers(0, 200_000), st.floats(0, 1), st.floats(0, 1000)),
        max_size=50,
    )
)
def test_a_size_is_within_its_limits_whatever_is_seen(
    batches: list[tuple[int, float, float]],
) -> None:
    limits = SizeLimits(first=150, least=7, most=9_999)
    sizing = Sizing.first(limits)
    for records, share, seconds in batches:
        before = sizing.size
        sizing = sizing.after(records, int(records * share), seconds)
        assert limits.least <= sizing.size <= limits.most
        assert bool(sizing.reason) == (sizing.size != before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"least": 0},
        {"least": 2000},
        {"most": 500},
        {"target": 0.0},
    ],
)
def test_limits_that_contradict_one_another_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        SizeLimits(**wrong)
