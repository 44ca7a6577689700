"""`python -m benchmarks`: measures, reports, and tells whether the claims hold."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from typing import Any

import psycopg
from rich.console import Console

from batchdrain.demo.servers import PostgresServer, ValkeyServer
from benchmarks.backlog import backlog
from benchmarks.cases import cases
from benchmarks.chart import draw
from benchmarks.claims import shortfalls
from benchmarks.competitors import Servers
from benchmarks.environment import environment
from benchmarks.link import slow_link
from benchmarks.report import Report
from benchmarks.rounds import interleaved
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.scenario import scenarios
from benchmarks.table import create
from benchmarks.trips import round_trips

_ROUND_TRIP = 0.005
"""Seconds that the slow link takes there and back."""

_Values = defaultdict[str, list[float]]


class _Run:
    """One run: everything that was asked for, measured on servers of its own."""

    def __init__(self, scale: Scale, pattern: str | None, tell: Callable[[str], None]) -> None:
        self._scale = scale
        self._pattern = pattern
        self._tell = tell
        self._rates: _Values = defaultdict(list)
        self._counts: _Values = defaultdict(list)

    def report(self) -> Report:
        """Measure, and return the report."""
        with (
            _servers() as near,
            psycopg.connect(near.postgres, autocommit=True) as connection,
            slow_link(near.postgres, _ROUND_TRIP) as far,
        ):
            create(connection)
            self._measure(connection, near, Servers(far, near.redis))
            return Report.of(
                self._rates,
                self._counts,
                environment(connection, near),
                self._scale,
                complete=self._scale == FULL and self._pattern is None,
            )

    def _measure(self, connection: psycopg.Connection[Any], near: Servers, far: Servers) -> None:
        scale = self._scale
        tasks = scenarios(connection, scale)
        chosen = [case for case in cases(tasks, near, far) if self._wanted(case.name)]
        found = interleaved(connection, chosen, scale.rounds, scale.slow_rounds, self._tell)
        # In the order of the tables, not in that of the first round.
        for case in chosen:
            self._rates[case.name] = []
        for name, rate in found:
            self._rates[name].append(rate)
        if self._wanted("round_trips_per_clean_batch"):
            trips = round_trips(connection, near, tasks["insert"])
            self._tell(f"round trips per clean batch: {trips}")
            self._counts["round_trips_per_clean_batch"].append(trips)
        if self._wanted("backlog_1m"):
            for _ in range(scale.backlog_rounds):
                self._backlog(connection, near)

    def _backlog(self, connection: psycopg.Connection[Any], servers: Servers) -> None:
        found = backlog(connection, servers, self._scale)
        self._tell(
            f"backlog of {self._scale.backlog:,}: {found.long_rate:,.0f} records/s, a short one "
            f"{found.short_rate:,.0f}; {found.growth:.1f} MiB more memory"
        )
        self._rates["backlog_24k"].append(found.short_rate)
        self._rates["backlog_1m"].append(found.long_rate)
        self._counts["rss_growth_mib_1m"].append(found.growth)

    def _wanted(self, name: str) -> bool:
        return self._pattern is None or any(
            fnmatch(name, each) for each in self._pattern.split(",")
        )


@contextmanager
def _servers() -> Iterator[Servers]:
    """Start PostgreSQL and Valkey that flush to the disk what they confirm."""
    with PostgresServer() as postgres, ValkeyServer(settings={"appendfsync": "everysec"}) as valkey:
        yield Servers(postgres.url, valkey.url)


@contextmanager
def _surroundings() -> Iterator[None]:
    """Let nobody's PostgreSQL and Airflow settings in; Airflow gets a home of the run's own."""
    for name in [name for name in os.environ if name.startswith(("PG", "AIRFLOW_"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="batchdrain-bench-") as home:
        os.environ["AIRFLOW_HOME"] = home
        # insert_rows would print a line per batch.
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
        yield


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark and return the exit code: 1 when a claim does not hold."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", help="names to measure, with * and ?, divided by commas")
    parser.add_argument("--quick", action="store_true", help="few records; judges no claims")
    options = parser.parse_args(arguments)
    # Where there is no terminal, rich would cut the names off.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)
    with _surroundings():
        run = _Run(QUICK if options.quick else FULL, options.only, console.print)
        report = run.report()
    report.show(console)
    if not report.complete:
        console.print("bench: not everything was measured in full, nothing is judged or written")
        return 0
    report.write()
    draw(report)
    short = shortfalls({name: [spread.median] for name, spread in report.ratios.items()})
    console.print(f"bench: short of {', '.join(short)}" if short else "bench: ok")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
