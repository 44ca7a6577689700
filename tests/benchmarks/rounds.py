"""The clock: everybody in turn, round after round, from the same table and after a checkpoint."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks import table
from benchmarks.competitors import Competitor, Servers
from benchmarks.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement of each round: who does what, and through which servers."""

    name: str
    scenario: Scenario
    competitor: Competitor
    servers: Servers
    slow: bool = False


def interleaved(
    connection: psycopg.Connection[Any],
    cases: Sequence[Case],
    rounds: int,
    slow_rounds: int,
    tell: Callable[[str], None],
) -> Iterator[tuple[str, float]]:
    """Yield name and rate (records/s) of each measurement; slow cases are in the first rounds only.

    Everybody is warmed up first, so that no round has imports and first connections in it. Each
    round begins with another case.
    """
    for case in cases:
        warm_up(connection, case)
    for number in range(rounds):
        present = [case for case in cases if number < slow_rounds or not case.slow]
        begin = number * len(present) // rounds
        for case in present[begin:] + present[:begin]:
            rate = measured(connection, case)
            tell(f"round {number + 1} of {rounds}: {case.name:<28} {rate:>10,.0f} records/s")
            yield case.name, rate


def warm_up(connection: psycopg.Connection[Any], case: Case) -> None:
    """Run a case outside the clock; a slow one with its first batch only."""
    scenario = case.scenario.first_batch() if case.slow else case.scenario
    table.fill(connection, scenario.table, scenario.before)
    with case.competitor(case.servers, scenario) as run:
        run()


def measured(connection: psycopg.Connection[Any], case: Case) -> float:
    """Return the rate of one case in records/s.

    Raises WrongContentError when the table does not hold afterwards what it should.
    """
    scenario = case.scenario
    table.fill(connection, scenario.table, scenario.before)
    with case.competitor(case.servers, scenario) as run:
        settle_down(connection)
        seconds = timed(run)
    table.check(connection, scenario.table, scenario.after, scenario.refused)
    return scenario.records / seconds


def settle_down(connection: psycopg.Connection[Any]) -> None:
    """Have nothing left over for the clock to meet: no dirty pages, no garbage."""
    connection.execute(b"CHECKPOINT")
    gc.collect()


def timed(run: Callable[[], object]) -> float:
    """Return how many seconds `run` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
