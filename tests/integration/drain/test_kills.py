"""A drain killed with SIGKILL at every step: the next one finishes, and nothing happens twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from batchdrain.drain import Ending
from drain_lab import Lab, insert
from proxy import Fate, PostgresProxy

BOTH = pytest.mark.parametrize("kind", ["stream", "list"])

MESSAGES = 250

STEPS = {
    "after taking over": ({0}, 250),
    "after take": ({0}, 250),
    "after claim": ({0, 100}, 250),
    "before commit": ({100}, 150),
    "before settle": ({200, 250}, 150),
    "during settle": ({200, 250}, 100),
    "after settle": ({200, 250}, 50),
    "before giving back": ({200}, 50),
    "after giving back": ({200}, 50),
    "before release": ({250}, 0),
}
"""Where a drain is killed, in its second batch if it can: rows committed and messages left then.

PostgreSQL may be a batch ahead while Redis is at a step. In-flight lists are settled as a whole.
"""

STEPS_OF_A_BATCH = list(STEPS)[2:-3]


def finish(lab: Lab) -> None:
    outcome = lab.drain(lab.engine(name="second"))
    assert outcome.ending is Ending.EMPTY
    assert (outcome.left, outcome.lost) == (0, 0)
    lab.assert_all_applied_once(range(MESSAGES))
    assert lab.sql("SELECT payload FROM t ORDER BY id") == list(range(MESSAGES))
    assert lab.drain().messages == 0


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        *((kind, point) for kind in ("stream", "list") for point in STEPS),
        *(("left list", point) for point in STEPS if "claim" in point or "giving" in point),
    ],
)
def test_a_drain_killed_at_any_step_is_finished_by_the_next(
    lab: Lab, child: Callable[..., Any], point: str
) -> None:
    """Every record is there exactly once, and table, log, position and queue agree."""
    lab.push(map(insert, range(MESSAGES)))
    killed = child(lab.database, lab.redis_url, point, int(point in STEPS_OF_A_BATCH))
    assert killed.says() == "paused"
    rows, left = STEPS[point]
    if lab.kind != "stream" and point == "during settle":
        left = 50
    wait_until(lambda: lab.depth() == left)
    killed.kill()
    assert len(lab.payloads()) in rows
    assert lab.depth() == left
    finish(lab)


@BOTH
@pytest.mark.parametrize("point", ["before commit", "before giving back"])
def test_a_killed_drain_that_could_not_settle_is_finished_by_the_next(
    lab: Lab, child: Callable[..., Any], point: str
) -> None:
    """Batches that were applied are still in Redis, among those that were not."""
    lab.push(map(insert, range(MESSAGES)))
    spared = 0 if "giving" in point else 2
    killed = child(lab.database, lab.redis_url, f"lagging {point}", spared)
    assert killed.says() == "paused"
    wait_until(lambda: len(lab.payloads()) == 200)
    killed.kill()
    assert lab.depth() == MESSAGES
    finish(lab)


@BOTH
def test_drains_that_are_all_killed_get_there_in_the_end(
    lab: Lab, child: Callable[..., Any]
) -> None:
    """Each finds what the one before had claimed, and leaves it behind with more."""
    lab.push(map(insert, range(MESSAGES)))
    for point in ("after claim", "before commit", "lagging before commit"):
        killed = child(lab.database, lab.redis_url, point, int(point == "lagging before commit"))
        assert killed.says() == "paused"
        killed.kill()
    finish(lab)


@BOTH
def test_a_drain_killed_in_a_set_statement_leaves_nothing_of_it(
    lab: Lab, child: Callable[..., Any]
) -> None:
    """Killed when half of the batch's rows are written: PostgreSQL waits for nobody."""
    lab.push(insert(n, id=n) for n in range(MESSAGES))
    with psycopg.connect(lab.database) as other:
        other.execute("INSERT INTO t VALUES (150, -1)")
        killed = child(lab.database, lab.redis_url)
        wait_until(lambda: lab.sql("SELECT 1 FROM pg_locks WHERE NOT granted"))
        # The batch before is settled while this one waits.
        wait_until(lambda: lab.depth() == 150)
        killed.kill()
        other.rollback()
    assert (len(lab.payloads()), lab.depth()) == (100, 150)
    finish(lab)


@BOTH
def test_a_drain_killed_while_it_waits_for_commit_is_not_repeated(
    lab: Lab, child: Callable[..., Any]
) -> None:
    """COMMIT had been sent, its reply never came."""
    lab.push(map(insert, range(MESSAGES)))
    with PostgresProxy(lab.database) as proxy:
        proxy.strike(Fate.REPLY_HELD, spared=1)
        killed = child(proxy.url, lab.redis_url)
        assert proxy.struck.wait(10)
        wait_until(lambda: lab.depth() == 150)
        killed.kill()
    assert (len(lab.payloads()), lab.depth()) == (200, 150)
    finish(lab)


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
