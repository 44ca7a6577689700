"""Servers that go away in the middle of a drain: it waits for them, within bounds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest

from batchdrain.demo.servers import PostgresServer, ValkeyServer
from batchdrain.drain import BatchReport, DrainLimits, Ending
from batchdrain.errors import SystemicError, TransientError
from batchdrain.queues.queue import Queue
from drain_lab import KEY, QUICK, TABLE, Lab, Notes, insert, redis_of

BOTH = pytest.mark.parametrize("kind", ["stream", "list"])
IMPATIENT = DrainLimits(batch_records=100, attempts=2, first_pause=0.01)


@pytest.fixture
def postgres_lab(
    own_postgres: PostgresServer, own_database: str, redis_url: str, kind: str
) -> Iterator[Lab]:
    """A lab whose PostgreSQL may be stopped."""
    with redis_of(redis_url) as client:
        lab = Lab(own_database, redis_url, client, kind)
        lab.sql(TABLE)
        yield lab


@pytest.fixture
def valkey_lab(own_valkey: ValkeyServer, database: str, kind: str) -> Iterator[Lab]:
    """A lab whose Valkey may be stopped."""
    with redis_of(own_valkey.url) as client:
        lab = Lab(database, own_valkey.url, client, kind)
        lab.sql(TABLE)
        yield lab


def once(action: Callable[[], None], batch: int = 2) -> Callable[[BatchReport], None]:
    """Do something after one batch only."""
    return lambda report: action() if report.number == batch else None


@BOTH
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_drain_outlives_a_restart_of_postgresql(
    postgres_lab: Lab, own_postgres: PostgresServer, end: str
) -> None:
    """In good order or by a crash, for longer than one attempt lasts."""
    lab = postgres_lab
    lab.push(map(insert, range(500)))
    back: list[threading.Timer] = []

    def restart() -> None:
        getattr(own_postgres, end)()
        back.append(threading.Timer(0.3, own_postgres.start))
        back[0].start()

    notes = Notes(once(restart))
    outcome = lab.drain(observer=notes)
    back[0].join()
    assert (outcome.ending, outcome.applied, outcome.left) == (Ending.EMPTY, 500, 0)
    assert any("attempt 1 failed, next in" in sentence for sentence in notes.sentences)
    lab.assert_all_applied_once(range(500))


@BOTH
def test_a_crash_of_postgresql_inside_a_batch_repeats_only_that_batch(
    postgres_lab: Lab, own_postgres: PostgresServer
) -> None:
    """Killed before COMMIT arrives; what was written of the batch is gone with the crash."""
    lab = postgres_lab
    lab.push(map(insert, range(300)))
    engine = lab.engine()
    applied = engine.apply
    calls: list[str] = []

    def crashing(batch: Any, *, move: Any, judge: Any, meanwhile: Any) -> Any:
        def judge_and_crash(result: Any) -> None:
            judge(result)
            calls.append(move.old)
            if len(calls) == 2:
                own_postgres.kill()
                own_postgres.start()

        return applied(batch, move=move, judge=judge_and_crash, meanwhile=meanwhile)

    engine.apply = crashing  # type: ignore[assignment,method-assign]
    assert lab.drain(engine).applied == 300
    assert len(calls) == 4
    assert calls[1] == calls[2]
    lab.assert_all_applied_once(range(300))


@BOTH
def test_postgresql_away_for_good_consumes_nothing(
    postgres_lab: Lab, own_postgres: PostgresServer
) -> None:
    """The drain fails so that it is tried again; the next one completes."""
    lab = postgres_lab
    lab.push(map(insert, range(300)))
    with pytest.raises(TransientError, match="PostgreSQL could not take"):
        lab.drain(observer=Notes(once(own_postgres.stop, 1)), limits=IMPATIENT)
    assert lab.depth() == 200
    with pytest.raises(TransientError, match=f"port {own_postgres.port} failed"):
        lab.drain(limits=IMPATIENT)
    own_postgres.start()
    assert lab.payloads() == list(range(100))
    assert lab.drain().applied == 200
    lab.assert_all_applied_once(range(300))


@BOTH
def test_a_drain_outlives_a_restart_of_valkey(valkey_lab: Lab, own_valkey: ValkeyServer) -> None:
    """Away between a batch and the claim of the next."""
    lab = valkey_lab
    lab.push(map(insert, range(500)))
    back: list[threading.Timer] = []

    def restart() -> None:
        own_valkey.stop()
        back.append(threading.Timer(0.3, own_valkey.start))
        back[0].start()

    outcome = lab.drain(observer=Notes(once(restart)))
    back[0].join()
    assert (outcome.ending, outcome.applied, outcome.left) == (Ending.EMPTY, 500, 0)
    lab.assert_all_applied_once(range(500))


@BOTH
def test_valkey_away_for_good_fails_the_drain_and_loses_nothing(
    valkey_lab: Lab, own_valkey: ValkeyServer
) -> None:
    """What was committed is known to PostgreSQL; the next drain goes on behind it."""
    lab = valkey_lab
    lab.push(map(insert, range(300)))
    with pytest.raises(TransientError, match="is away or can't serve"):
        lab.drain(observer=Notes(once(own_valkey.kill, 1)), limits=IMPATIENT)
    committed = len(lab.payloads())
    own_valkey.start()
    assert lab.drain().applied == 300 - committed
    lab.assert_all_applied_once(range(300))


class UnsettledQueue:
    """A queue that can be read but not relieved, for as long as `broken`."""

    def __init__(self, queue: Queue, broken: Exception) -> None:
        self._queue = queue
        self.broken: Exception | None = broken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def settle(self, upto: str, ids: Sequence[str]) -> int:
        if self.broken is not None:
            raise self.broken
        return self._queue.settle(upto, ids)

    def settle_leftovers(self, position: str) -> int:
        if self.broken is not None:
            raise self.broken
        return self._queue.settle_leftovers(position)


@BOTH
@pytest.mark.parametrize("error", [TransientError("away"), SystemicError("XDEL refused")])
def test_a_failed_settle_is_only_noted_and_done_by_a_later_drain(
    lab: Lab, error: Exception
) -> None:
    """Whatever the reason: the messages are applied, and are never applied again.

    It is tried after each batch, and once more at the end.
    """
    lab.push(map(insert, range(250)))
    queue = UnsettledQueue(lab.queue(), error)
    notes = Notes()
    outcome = lab.drain(queue=queue, observer=notes)
    assert (outcome.ending, outcome.applied, outcome.left) == (Ending.EMPTY, 250, 250)
    assert len(notes.sentences) == 3 + 1
    assert "could not be relieved of 100 applied messages" in notes.sentences[0]
    lab.push(map(insert, range(250, 300)))
    assert lab.drain(queue=queue, observer=notes).applied == 50
    assert lab.depth() == 300
    queue.broken = None
    assert lab.drain(queue=queue).messages == 0
    lab.assert_all_applied_once(range(300))


def test_a_lock_is_waited_for_and_refuses_nothing(lab: Lab) -> None:
    """55P03 is about the moment, not about the record."""
    lab.push([insert(1, id=1)])
    lab.drain()
    lab.push({"operation": "UPDATE", "record": {"id": 1, "payload": n}} for n in (2, 3))
    with psycopg.connect(lab.database) as other:
        other.execute("SELECT * FROM t FOR UPDATE")
        with pytest.raises(TransientError) as raised:
            lab.drain(lab.engine(lock_timeout=0.1), limits=IMPATIENT)
        assert raised.value.sqlstate == "55P03"
        assert lab.sql("SELECT count(*) FROM t_errors") == [0]
        release = threading.Timer(0.3, other.rollback)
        release.start()
        outcome = lab.drain(lab.engine(lock_timeout=0.1), limits=QUICK)
        release.join()
    assert (outcome.applied, outcome.refused) == (2, 0)
    assert lab.payloads() == [3]


CONFLICT = """
CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.payload = 777 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF;
    RETURN NEW; END $$;
CREATE TRIGGER conflict BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION conflict()"""


def test_a_transient_failure_that_a_message_always_causes_names_it(lab: Lab) -> None:
    """Everything before it is applied, nothing is refused, and nobody tries for ever."""
    lab.sql(CONFLICT)
    ids = lab.push(map(insert, range(1000)))
    limits = DrainLimits(batch_records=500, attempts=4, first_pause=0.001, longest_pause=0.002)
    started = time.monotonic()
    with pytest.raises(
        SystemicError, match=f"message {ids[777]} of {KEY} fails by itself, 4 times"
    ):
        lab.drain(limits=limits)
    assert time.monotonic() - started < 10
    assert lab.payloads() == list(range(777))
    assert lab.depth() == 223
    lab.sql("ALTER TABLE t DISABLE TRIGGER conflict")
    assert lab.drain().applied == 223
    lab.assert_all_applied_once(range(1000))


@BOTH
def test_batches_are_small_only_until_the_trouble_is_over(lab: Lab) -> None:
    """A conflict that passes costs a few small batches."""
    lab.sql(CONFLICT)
    lab.push(map(insert, range(700, 1000)))

    def mend(report: BatchReport) -> None:
        if report.messages == 1:
            lab.sql("ALTER TABLE t DISABLE TRIGGER conflict")

    notes = Notes(mend)
    limits = DrainLimits(batch_records=200, attempts=4, first_pause=0.001, longest_pause=0.002)
    assert lab.drain(limits=limits, observer=notes).applied == 300
    assert max(report.messages for report in notes.batches[-3:]) > 32
    lab.assert_all_applied_once(range(700, 1000))
