"""A dry run tells what a drain would do, and leaves no trace of it anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from batchdrain.drain import BatchReport, DrainLimits, Ending, Rehearsal, rehearse
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import create_state, hold
from batchdrain.engine.records import BatchResult, RecordResult
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.errors import ConfigurationError, QueueRewoundError, SystemicError, TransientError
from batchdrain.queues.queue import Message, Queue
from drain_lab import KEY, KINDS, Lab, Notes, insert
from traces import traces

ALL = pytest.mark.parametrize("kind", KINDS)
BOTH = pytest.mark.parametrize("kind", ["stream", "list"])

SECRET = "4711-not-for-logs"

TABLES = {
    "plain": "",
    "with a unique index": "CREATE UNIQUE INDEX ON t (payload) WHERE payload > 5",
    "that refers to itself": "ALTER TABLE t ADD boss bigint REFERENCES t",
    "with a trigger": """
CREATE TABLE audit (what text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell()""",
}
"""What is done to the lab's table; the last two are applied record by record."""


def message(operation: str, **record: object) -> dict[str, object]:
    return {"operation": operation, "record": record}


MIXED: list[Any] = [
    *(insert(n, id=n) for n in range(100, 150)),
    *(message("UPDATE", id=n, payload=6) for n in range(3)),
    message("UPDATE", id=99, payload=1),
    message("DELETE", id=4),
    message("UPSERT", id=5, payload=50),
    insert(SECRET, id=200),
    insert(None, id=201),
    insert(7, id=100),
    insert(8, id=203, nope=SECRET),
    b'{"operation": "INSERT"',
    {"operation": "DELETE", "records": [{"id": 3}, {"id": 3}, {}]},
]
"""Good records and bad ones of every kind, for a table that has the rows 0 to 9."""


def tried(lab: Lab, queue: Queue | None = None, **options: Any) -> Rehearsal:
    """Rehearse the drain of the lab's queue."""
    settings = {
        name: options.pop(name) for name in ("statement_style", "lock_timeout") & options.keys()
    }
    with lab.engine(name="dry", **settings) as engine:
        return rehearse(queue or lab.queue(), engine, **options)


@contextmanager
def untouched(lab: Lab) -> Iterator[None]:
    """Check that what is done meanwhile leaves no trace."""
    before = traces(lab.database, lab.client)
    yield
    assert traces(lab.database, lab.client) == before


def kinds_of(results: Any) -> list[tuple[str | None, str | None, str | None, str | None]]:
    """Return operation, id, error type and field of each record."""
    return [
        (
            entry.operation,
            entry.record_id,
            entry.refusal and entry.refusal.error_type,
            entry.refusal and entry.refusal.field,
        )
        for entry in results
    ]


@pytest.mark.parametrize(
    ("table", "style", "kind"),
    [
        (table, style, KINDS[n % len(KINDS)])
        for n, (table, style) in enumerate(product(TABLES, STATEMENT_STYLES))
    ],
)
def test_it_foretells_what_the_drain_does_and_leaves_no_trace(
    lab: Lab, style: str, table: str
) -> None:
    """Record by record, the first time and for a queue that has been drained before."""
    lab.sql(TABLES[table] or "SELECT 1")
    lab.push(insert(n, id=n) for n in range(10))
    with untouched(lab):
        first = tried(lab, statement_style=style)
    assert (first.result.applied, first.messages, first.waiting) == (10, 10, 10)
    lab.drain()
    lab.push(MIXED)
    with untouched(lab):
        told = tried(lab, statement_style=style)
    found: list[RecordResult] = []
    lab.drain(
        lab.engine(statement_style=style),
        observer=Notes(lambda report: found.extend(report.result.results)),
        limits=DrainLimits(),
    )
    assert kinds_of(told.result.results) == kinds_of(found)
    assert told.result.refused > 5
    assert told.waiting == told.messages == len(MIXED)
    assert len(told.result.results) == len(MIXED) + 2
    assert SECRET not in f"{told.sentence()} {told.remarks} {told.changes} {told.brake}"


@BOTH
def test_it_tells_operations_and_columns_of_what_would_be_applied(lab: Lab) -> None:
    lab.sql("ALTER TABLE t ADD note text")
    lab.push([insert(1, id=1), insert(2, id=2, note="n")])
    lab.push([message("UPDATE", id=1, note="m")])
    lab.push([message("DELETE", id=2), insert(3, id=3, nope=1)])
    told = tried(lab)
    assert [(change.operation, change.records, change.columns) for change in told.changes] == [
        ("INSERT", 2, ("payload", "id", "note")),
        ("UPDATE", 1, ("id", "note")),
        ("DELETE", 1, ("id",)),
    ]
    assert f"{KEY} → t: dry run: of 5 records 4 would be applied and 1 refused" in told.sentence()
    assert "oldest 5 of 5 messages" in told.sentence()
    assert told.sentence().endswith("nothing was changed")


@ALL
def test_it_stops_at_its_limit_even_within_a_message(lab: Lab) -> None:
    """And where a drain would: at max_records, and at the bytes of a batch."""
    many: dict[str, object] = {
        "operation": "INSERT",
        "records": [{"payload": n} for n in range(30)],
    }
    lab.push([insert(1), many, insert(2)])
    with untouched(lab):
        told = tried(lab, limit=20)
        assert (len(told.result.results), told.messages, told.waiting) == (20, 2, 3)
        assert len(tried(lab, limits=DrainLimits(max_records=5)).result.results) == 5
        told = tried(lab, limits=DrainLimits(batch_bytes=100))
    assert (len(told.result.results), told.messages) == (31, 2)
    assert [remark for remark in told.remarks if "batch_bytes" in remark]


@BOTH
def test_of_an_empty_queue_there_is_nothing_to_tell(lab: Lab) -> None:
    with untouched(lab):
        told = tried(lab)
    assert (told.messages, told.waiting, told.result.results, told.remarks) == (0, 0, [], ())


@BOTH
def test_a_drain_that_owns_the_queue_goes_on(lab: Lab) -> None:
    """It is tried between two batches, with others claimed ahead, and both know their part."""
    lab.push(map(insert, range(500)))
    told: list[Rehearsal] = []

    def try_it(report: BatchReport) -> None:
        with untouched(lab):
            told.append(tried(lab))

    outcome = lab.drain(lab.engine(name="owner"), observer=Notes(try_it))
    assert (outcome.ending, outcome.applied) == (Ending.EMPTY, 500)
    assert [len(each.result.results) for each in told] == [400, 300, 200, 100, 0]
    lab.assert_all_applied_once(range(500))


class TryingEngine(BatchEngine):
    """An engine that does something in each of its transactions, before it commits."""

    before_commit: Callable[[], None]

    def apply(self, batch: Any, *, judge: Any = None, **options: Any) -> BatchResult:
        def judge_and_try(result: BatchResult) -> None:
            judge(result)
            self.before_commit()

        return super().apply(batch, judge=judge_and_try, **options)


@BOTH
def test_a_drain_in_its_transaction_goes_on(lab: Lab) -> None:
    """It has written rows that the dry run would write, too: that one gives up."""
    lab.push(insert(n, id=n) for n in range(300))
    gave_up = []

    def try_it() -> None:
        with untouched(lab), pytest.raises(TransientError, match="keeps rows or tables locked"):
            tried(lab, lock_timeout=0.2)
        gave_up.append(True)

    engine: Any = lab.engine()
    engine.__class__ = TryingEngine
    engine.before_commit = try_it
    assert lab.drain(engine).ending is Ending.EMPTY
    assert len(gave_up) == 3
    lab.assert_all_applied_once(range(300))


@BOTH
def test_a_queue_that_is_drained_meanwhile_is_told(lab: Lab) -> None:
    """What that drain has applied was tried a second time."""
    lab.push(insert(n, id=n) for n in range(10))

    class DrainedMeanwhile:
        """An engine for whose rehearsal a drain is quicker."""

        def __init__(self, engine: Any) -> None:
            self._engine = engine

        def __getattr__(self, name: str) -> Any:
            return getattr(self._engine, name)

        def rehearse(self, records: Any) -> Any:
            assert lab.drain().applied == 10
            return self._engine.rehearse(records)

    with lab.engine(name="dry") as engine:
        told = rehearse(lab.queue(), DrainedMeanwhile(engine))
    assert told.result.refused == 10
    assert "a drain was at work" in told.remarks[-1]
    lab.assert_all_applied_once(range(10))


@BOTH
def test_a_queue_that_is_drained_while_it_is_looked_at_is_looked_at_again(lab: Lab) -> None:
    """A position and messages that don't belong together would look like a loss."""
    lab.push(map(insert, range(10)))

    class DrainedMeanwhile:
        """A queue that is drained when it has been read for the first time."""

        def __init__(self, queue: Queue) -> None:
            self._queue = queue
            self.reads = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._queue, name)

        def peek(self, limit: int, after: str) -> Any:
            found: list[Message] = list(self._queue.peek(limit, after))
            self.reads += 1
            if self.reads == 1:
                assert lab.drain().applied == 10
                lab.push([insert(10)])
            return found

    queue: Any = DrainedMeanwhile(lab.queue())
    told = tried(lab, queue)
    assert (queue.reads, len(told.result.results), told.waiting) == (2, 1, 1)
    assert told.remarks == ()


@ALL
def test_what_a_killed_drain_had_claimed_is_tried_first(lab: Lab) -> None:
    lab.push(insert(n, id=n) for n in range(250))
    lab.drain(limits=DrainLimits(batch_records=50, max_records=50))
    killed = lab.queue()
    killed.take("killed")
    first = killed.claim(100, lab.position().position)
    killed.claim(50, first[-1].id)
    with untouched(lab):
        told = tried(lab)
    assert [entry.record_id for entry in told.result.results] == [str(n) for n in range(50, 250)]
    assert (told.result.applied, told.waiting) == (200, 200)


@BOTH
def test_a_lock_of_another_session_ends_it_after_the_lock_timeout(lab: Lab) -> None:
    lab.push(map(insert, range(5)))
    lab.drain()
    lab.push(map(insert, range(5, 9)))
    with psycopg.connect(lab.database) as other:
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        with pytest.raises(TransientError, match="keeps rows or tables locked") as failed:
            tried(lab, lock_timeout=0.5)
        assert 0.5 <= time.monotonic() - started < 5
        other.rollback()
    assert "this was a dry run: nothing was changed" in str(failed.value)
    with untouched(lab):
        assert tried(lab).result.applied == 4


@BOTH
def test_killed_in_the_middle_it_leaves_no_trace(lab: Lab, child: Callable[..., Any]) -> None:
    """It has applied the good records in its transaction, and waits to write the refused one."""
    lab.push([insert(1, id=1), insert(None, id=2)])
    lab.drain()
    lab.push([insert(3, id=3), insert(None, id=4)])
    waiting = (
        "SELECT count(*)::int FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with untouched(lab):
        with psycopg.connect(lab.database) as other:
            other.execute("LOCK TABLE t_errors IN ACCESS EXCLUSIVE MODE")
            killed = child(lab.database, lab.redis_url, "rehearsal")
            assert killed.says() == "begins"
            wait_until(lambda: lab.sql(waiting) == [1])
            killed.kill()
        wait_until(lambda: lab.sql(waiting) == [0])
    assert lab.drain().applied == 1


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@BOTH
def test_a_queue_on_hold_is_tried_and_the_hold_is_told(lab: Lab) -> None:
    lab.push(map(insert, range(5)))
    with psycopg.connect(lab.database, autocommit=True) as connection:
        create_state(connection)
        hold(connection, KEY, lab.queue().baseline)
    with untouched(lab):
        told = tried(lab)
    assert told.result.applied == 5
    assert told.remarks == (
        "the queue is on hold: a drain would apply nothing until it is released",
    )
    assert lab.drain().ending is Ending.HELD


@BOTH
def test_a_queue_that_went_back_is_refused_until_it_is_accepted(lab: Lab) -> None:
    """And then it is tried as if it had been accepted, but it is not."""
    lab.push(insert(n, id=n) for n in range(5))
    lab.drain()
    lab.client.flushdb()
    lab.push(insert(n, id=n) for n in range(3, 8))
    with untouched(lab), pytest.raises(QueueRewoundError, match="accept_rewound"):
        tried(lab)
    with untouched(lab):
        told = tried(lab, accept_rewound=True)
    assert "a drain would accept the queue as it is" in told.remarks[0]
    assert (told.result.applied, told.result.refused, told.waiting) == (3, 2, 5)
    with pytest.raises(QueueRewoundError):
        lab.drain()
    outcome = lab.drain(accept_rewound=True)
    assert (outcome.applied, outcome.refused) == (3, 2)


def test_messages_that_were_lost_are_told(lab: Lab) -> None:
    lab.push(map(insert, range(10)))
    lab.drain()
    ids = lab.push(map(insert, range(10, 20)))
    lab.client.xdel(KEY, *ids[:4])
    with untouched(lab):
        told = tried(lab)
    assert told.remarks == ("4 messages were lost before they were read",)
    assert lab.drain().lost == 4


def test_the_brake_that_would_act_is_told(lab: Lab) -> None:
    """In the batches of a drain: it would stop at the first, however good the later ones are."""
    lab.push(insert(None) for _ in range(60))
    lab.push(map(insert, range(240)))
    limits = DrainLimits(batch_records=100, brake_after=100)
    with untouched(lab):
        told = tried(lab, limits=limits)
        spared = tried(
            lab, limits=DrainLimits(batch_records=100, brake_after=100, max_refused_share=1)
        )
        few = tried(lab, limit=80, limits=limits)
    assert told.brake is not None
    assert "60 of 100 records would be refused" in told.brake
    assert "not_null_violation in column payload" in told.brake
    assert (told.result.applied, spared.brake) == (240, None)
    assert few.brake is not None
    assert "acts once a drain has seen brake_after=100 records" in few.brake
    with pytest.raises(SystemicError, match="60 of 100 records"):
        lab.drain(limits=limits)


def test_a_reference_to_a_row_that_still_waits_elsewhere_is_explained(lab: Lab) -> None:
    lab.sql("CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE t ADD p int REFERENCES p")
    lab.push([insert(1, p=1)])
    told = tried(lab)
    assert told.result.refused == 1
    assert "may still wait in the queue of another table" in told.remarks[0]


def test_what_a_drain_cannot_do_is_refused_as_by_a_drain(lab: Lab) -> None:
    """A missing table, a missing privilege on the table, its error table, the state."""
    lab.push([insert(1)])
    for missing in ("CREATE ON SCHEMA public", "INSERT ON t", "CREATE ON DATABASE"):
        with (
            restricted(lab, missing) as url,
            untouched(lab),
            lab.engine(url) as engine,
            pytest.raises(ConfigurationError, match="GRANT"),
        ):
            rehearse(lab.queue(), engine)
    with restricted(lab, "nothing") as url, untouched(lab), lab.engine(url) as engine:
        assert rehearse(lab.queue(), engine).result.applied == 1
    lab.sql("DROP TABLE t")
    with untouched(lab), pytest.raises(ConfigurationError, match='"t"'):
        tried(lab)


@contextmanager
def restricted(lab: Lab, missing: str) -> Iterator[str]:
    """Give the connection string of a role that has all a drain needs but one privilege."""
    with psycopg.connect(lab.database) as connection:
        database = connection.info.dbname
    role = f"r_{database[:20]}"
    lab.sql(f"CREATE ROLE {role}")
    for privilege in (
        "CREATE ON SCHEMA public",
        "INSERT ON t",
        "SELECT ON t",
        "CREATE ON DATABASE",
    ):
        if privilege != missing:
            where = f" {database}" if privilege.endswith("DATABASE") else ""
            lab.sql(f"GRANT {privilege}{where} TO {role}")
    try:
        yield make_conninfo(lab.database, options=f"-c role={role}")
    finally:
        lab.sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
