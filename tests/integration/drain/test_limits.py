"""Where a drain ends before its queue is empty, and how large its batches get."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from batchdrain.drain import BatchReport, DrainLimits, Ending, StopSignal
from batchdrain.errors import TransientError
from drain_lab import KEY, QUICK, Lab, Notes, insert

BOTH = pytest.mark.parametrize("kind", ["stream", "list"])

_CHILD = Path(__file__).parents[2] / "drain_child.py"


@BOTH
@pytest.mark.parametrize(("most", "expected"), [(1, 1), (99, 99), (100, 100), (150, 150)])
def test_max_records_is_kept_to_the_record(lab: Lab, most: int, expected: int) -> None:
    lab.push(map(insert, range(250)))
    outcome = lab.drain(limits=DrainLimits(batch_records=100, max_records=most))
    assert (outcome.ending, outcome.records) == (Ending.MAX_RECORDS, expected)
    assert outcome.left == 250 - expected
    assert lab.in_flight() == []
    assert lab.position().owner is None


@BOTH
def test_messages_are_never_split(lab: Lab) -> None:
    """The message that reaches a limit is the last of its batch, or of the drain."""
    many = [{"payload": n} for n in range(60)]
    lab.push({"operation": "INSERT", "records": many} for _ in range(5))
    notes = Notes()
    outcome = lab.drain(limits=DrainLimits(batch_records=100, max_records=150), observer=notes)
    assert [len(report.result.results) for report in notes.batches] == [120, 60]
    assert (outcome.ending, outcome.records, outcome.left) == (Ending.MAX_RECORDS, 180, 2)


@BOTH
def test_max_seconds_ends_a_drain_at_a_batch_boundary(lab: Lab) -> None:
    lab.push(map(insert, range(250)))
    notes = Notes(lambda report: time.sleep(1.1))
    outcome = lab.drain(limits=DrainLimits(batch_records=100, max_seconds=1), observer=notes)
    assert (outcome.ending, outcome.records, outcome.left) == (Ending.MAX_SECONDS, 100, 150)
    assert lab.in_flight() == []
    lab.drain()
    assert lab.sql("SELECT payload FROM t ORDER BY id") == list(range(250))


@BOTH
def test_a_stop_signal_ends_a_drain_at_a_batch_boundary(lab: Lab) -> None:
    lab.push(map(insert, range(250)))
    stop = StopSignal()
    outcome = lab.drain(stop=stop, observer=Notes(lambda report: stop.set()))
    assert (outcome.ending, outcome.records, outcome.left) == (Ending.STOPPED, 100, 150)
    assert lab.in_flight() == []
    assert lab.drain(stop=stop).messages == 0
    lab.drain()
    lab.assert_all_applied_once(range(250))


@BOTH
def test_a_stopped_and_cancelled_drain_ends_in_the_middle_of_a_statement(lab: Lab) -> None:
    """As on_kill does it: the batch at hand is rolled back, at once and without an error."""
    lab.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.payload = 120 THEN PERFORM pg_sleep(30); END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    lab.push(map(insert, range(250)))
    stop, engine = StopSignal(), lab.engine()

    def kill() -> None:
        stop.set()
        engine.cancel()

    def kill_soon(report: BatchReport) -> None:
        threading.Timer(0.5, kill).start()

    outcome = lab.drain(engine, stop=stop, observer=Notes(kill_soon))
    assert (outcome.ending, outcome.records, outcome.left) == (Ending.STOPPED, 100, 150)
    assert outcome.seconds < 5
    assert lab.payloads() == list(range(100))
    assert lab.position().owner is None


def test_a_stop_signal_cuts_the_wait_for_a_server_short(lab: Lab) -> None:
    """Nobody waits for the end of a pause."""
    lab.push([insert(1)])
    stop, engine = StopSignal(), lab.engine("postgresql://nobody@127.0.0.1:1/none")
    threading.Timer(0.3, stop.set).start()
    limits = DrainLimits(first_pause=60, longest_pause=60)
    outcome = lab.drain(engine, stop=stop, limits=limits)
    assert (outcome.ending, outcome.left) == (Ending.STOPPED, 1)
    assert outcome.seconds < 5


def test_without_a_stop_signal_an_absent_server_is_a_transient_error(lab: Lab) -> None:
    lab.push([insert(1)])
    engine = lab.engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(TransientError):
        lab.drain(engine, limits=DrainLimits(attempts=2, first_pause=0.01))


@BOTH
def test_batches_are_bounded_in_bytes(lab: Lab) -> None:
    """Large messages make small batches; one that is larger than a batch goes alone."""
    lab.sql("ALTER TABLE t ADD note text")
    megabyte = "x" * 1_000_000
    lab.push(insert(n, note=megabyte) for n in range(12))
    lab.push([insert(12, note=5 * megabyte), insert(13), insert(14)])
    notes = Notes()
    limits = DrainLimits(batch_bytes=4_000_000)
    assert lab.drain(limits=limits, observer=notes).applied == 15
    assert [report.messages for report in notes.batches] == [4, 4, 4, 1, 2]
    assert max(report.size for report in notes.batches[:3]) < 5_000_000
    lab.assert_all_applied_once(range(15))


BACKLOG = 50_000

FILL = """
for n = 1, ARGV[1] do
    local record = '{"id":' .. n .. ',"payload":1,"note":"' .. string.rep('x', 100) .. '"}'
    local message = '{"operation":"INSERT","record":' .. record .. '}'
    if ARGV[2] == 'stream' then
        redis.call('XADD', KEYS[1], '*', 'data', message)
    else
        redis.call('RPUSH', KEYS[1], message)
    end
end"""


@BOTH
def test_batches_grow_while_postgresql_is_fast(lab: Lab) -> None:
    """And the observer is told when and why; with equal limits they keep their size."""
    lab.push(map(insert, range(2000)))
    adaptive = replace(QUICK, batch_records=100, least_batch_records=10, most_batch_records=400)
    notes = Notes()
    lab.drain(limits=adaptive, observer=notes)
    assert [len(report.result.results) for report in notes.batches][:2] == [100, 100]
    assert max(len(report.result.results) for report in notes.batches) == 400
    assert notes.sizes == [200, 400]
    lab.assert_all_applied_once(range(2000))


def test_batches_shrink_while_postgresql_is_slow(lab: Lab) -> None:
    lab.sql("ALTER TABLE t ADD CHECK (pg_sleep(0.002)::text = '')")
    lab.push(map(insert, range(800)))
    adaptive = replace(
        QUICK, batch_records=200, least_batch_records=10, most_batch_records=400, batch_seconds=0.1
    )
    notes = Notes()
    lab.drain(limits=adaptive, observer=notes)
    assert min(notes.sizes) <= 60
    lab.assert_all_applied_once(range(800))


@BOTH
def test_memory_does_not_grow_with_the_backlog(lab: Lab) -> None:
    """50,000 messages (over 8 MB, some 40 MB in Python) need no more than the first 10,000 did."""
    lab.sql("ALTER TABLE t ADD note text")
    lab.client.eval(FILL, 1, KEY, BACKLOG, lab.kind)
    early, late, ending = subprocess.run(
        [sys.executable, str(_CHILD), lab.database, lab.redis_url, "memory", "0", lab.kind],
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    ).stdout.split()
    assert ending == "empty"
    assert int(late) - int(early) < 4 * 1024
    assert lab.logged() == (BACKLOG, BACKLOG, 0, 0)
    assert lab.depth() == 0
