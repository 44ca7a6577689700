"""The benchmark notices who does not do his work, and its slow link is as slow as it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from benchmarks import table
from benchmarks.competitors import Servers, copying
from benchmarks.competitors.ours import Engine
from benchmarks.competitors.psycopg3 import Executemany, OneRow, SetStatements
from benchmarks.link import slow_link
from benchmarks.rounds import Case, measured
from benchmarks.scale import Scale
from benchmarks.scenario import Scenario, scenarios

_SCALE = Scale(records=200, batch=100, link_records=10)


@pytest.fixture
def tasks(connection: psycopg.Connection[Any]) -> dict[str, Scenario]:
    """All scenarios, small."""
    table.create(connection)
    return scenarios(connection, _SCALE)


@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
def test_everybody_leaves_the_same_table(
    database: str,
    connection: psycopg.Connection[Any],
    tasks: dict[str, Scenario],
    operation: str,
) -> None:
    """The rivals really do what the engine does."""
    ways = (OneRow(operation), Executemany(operation), SetStatements(operation))
    for way in (*ways, Engine(), Engine("values", ahead=False)):
        case = Case("any", tasks[operation], way, Servers(database, ""))
        assert measured(connection, case) > 0


@pytest.mark.parametrize(
    "mischief",
    [
        "DELETE FROM canota WHERE quantity = 7",
        "UPDATE canota SET amount = amount + 0.01 WHERE quantity = 7",
        "INSERT INTO canota SELECT gen_random_uuid(), 'c', '1', 0, '', 0 FROM canota LIMIT 1",
        "CREATE TABLE canota_errors AS SELECT 1",
    ],
)
def test_a_competitor_that_leaves_something_else_is_found_out(
    database: str,
    connection: psycopg.Connection[Any],
    tasks: dict[str, Scenario],
    mischief: str,
) -> None:
    """A row missing, changed or too many, or a record refused that is good."""

    @contextmanager
    def _careless(servers: Servers, scenario: Scenario) -> Iterator[Callable[[], object]]:
        with copying.formatted(servers, scenario) as run:

            def _run() -> None:
                run()
                connection.execute(mischief.encode())

            yield _run

    with pytest.raises(table.WrongContentError):
        measured(connection, Case("any", tasks["insert"], _careless, Servers(database, "")))


def test_bad_records_are_refused_in_the_measured_share(
    database: str, connection: psycopg.Connection[Any], tasks: dict[str, Scenario]
) -> None:
    """Half of them by their types, half by constraints."""
    scenario = tasks["bad_10pct"]
    assert scenario.refused == 20
    measured(connection, Case("any", scenario, Engine(), Servers(database, "")))
    kinds = connection.execute(
        "SELECT left(sqlstate, 2), count(*) FROM canota_errors GROUP BY 1 ORDER BY 1"
    )
    assert kinds.fetchall() == [("22", 10), ("23", 10)]


def test_the_slow_link_delays_and_does_not_throttle(database: str) -> None:
    """Each answer takes the round-trip time, but answers to pipelined questions don't add up."""
    with slow_link(database, 0.02) as url, psycopg.connect(url, autocommit=True) as far:
        started = time.perf_counter()
        far.execute("SELECT 1")
        alone = time.perf_counter() - started
        started = time.perf_counter()
        with far.pipeline():
            for number in range(50):
                far.execute("SELECT %s", (number,))
        together = time.perf_counter() - started
    assert alone >= 0.02
    assert together < 50 * 0.02
