"""The position row against a real server: ownership, the move of a batch, and who waits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from batchdrain.engine.position import START, Ledger, Move, create_state, positions
from batchdrain.engine.run import Run
from batchdrain.engine.transaction import BEGIN, COMMIT, ROLLBACK, send
from batchdrain.errors import ConfigurationError, HandedOverError, TransientError

Connection = psycopg.Connection[tuple[object, ...]]

QUEUE = "batchdrain:t"


def nothing_before() -> int:
    return 0


def ledger(owner: str = "a") -> Ledger:
    return Ledger(QUEUE, owner, Run("dag", f"run_{owner}", "drain"))


@pytest.fixture
def state(connection: Connection) -> Connection:
    create_state(connection)
    return connection


def apply(connection: Connection, drain: Ledger, move: Move) -> bool:
    """Move the position in a transaction as the engine does; False if there was none to move."""
    moved = send(connection, [BEGIN, drain.move(move)])[1].fetchone() is not None
    send(connection, [COMMIT if moved else ROLLBACK])
    return moved


def test_many_sessions_may_create_the_state_at_once(database: str) -> None:
    barrier = threading.Barrier(6)

    def create(_: int) -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            barrier.wait()
            create_state(connection)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create, range(6)))


def test_a_role_that_may_not_create_uses_what_is_there(connection: Connection) -> None:
    """Missing and forbidden are one sentence each; granted is enough."""
    role = f"r{uuid4().hex}"
    connection.execute(f"CREATE ROLE {role}")
    connection.execute(f"SET ROLE {role}")
    with pytest.raises(ConfigurationError, match=r"GRANT CREATE ON DATABASE"):
        create_state(connection)
    connection.execute("RESET ROLE")
    create_state(connection)
    connection.execute(f"SET ROLE {role}")
    with pytest.raises(ConfigurationError, match=r"GRANT USAGE ON SCHEMA batchdrain"):
        create_state(connection)
    connection.execute("RESET ROLE")
    connection.execute(f"GRANT USAGE ON SCHEMA batchdrain TO {role}")
    connection.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA batchdrain TO {role}")
    connection.execute(f"SET ROLE {role}")
    create_state(connection)
    assert ledger().take(connection, nothing_before).position == START
    connection.execute("RESET ROLE")
    connection.execute(f"DROP OWNED BY {role}")
    connection.execute(f"DROP ROLE {role}")


def test_the_first_take_makes_the_row(state: Connection) -> None:
    """The baseline is asked for once, and the row is there for others before any batch."""
    taken = ledger().take(state, lambda: 7)
    assert (taken.position, taken.applied, taken.accounted, taken.held) == (START, 0, 7, False)
    assert (taken.owner, taken.owner_run) == ("a", "dag run_a drain try 1")
    again = ledger("b").take(state, lambda: pytest.fail("asked again"))
    assert (again.baseline, again.owner) == (7, "b")


def test_a_batch_moves_the_position_and_counts_its_messages(state: Connection) -> None:
    drain = ledger()
    drain.take(state, lambda: 5)
    assert apply(state, drain, Move(START, "1-0", 3))
    assert apply(state, drain, Move("1-0", "2-0", 4))
    drain.record_loss(state, 2)
    row = positions(state, [QUEUE, "other"])
    assert list(row) == [QUEUE]
    assert (row[QUEUE].position, row[QUEUE].applied, row[QUEUE].accounted) == ("2-0", 7, 14)
    idle = row[QUEUE].idle
    assert idle is not None
    assert 0 <= idle < 60


def test_a_batch_read_behind_another_position_moves_nothing(state: Connection) -> None:
    drain = ledger()
    drain.take(state, nothing_before)
    assert apply(state, drain, Move(START, "1-0", 1))
    assert not apply(state, drain, Move(START, "1-0", 1))
    assert positions(state, [QUEUE])[QUEUE].applied == 1
    assert "moved on" in str(drain.handed_over(state))


def test_the_newest_drain_owns_the_queue(state: Connection) -> None:
    """An older one can neither move, count, hold, accept nor release any more."""
    old, new = ledger("old"), ledger("new")
    old.take(state, nothing_before)
    new.take(state, nothing_before)
    assert not apply(state, old, Move(START, "1-0", 1))
    for forbidden in (
        lambda: old.record_loss(state, 1),
        lambda: old.mark_rewound(state),
        lambda: old.accept(state, 0),
    ):
        with pytest.raises(HandedOverError, match="was handed over to dag run_new drain try 1"):
            forbidden()
    old.release(state)
    assert positions(state, [QUEUE])[QUEUE].owner == "new"
    new.release(state)
    assert positions(state, [QUEUE])[QUEUE].owner is None


def test_an_accepted_queue_starts_over_with_a_new_account(state: Connection) -> None:
    drain = ledger()
    drain.take(state, nothing_before)
    apply(state, drain, Move(START, "9-0", 9))
    drain.mark_rewound(state)
    assert ledger("b").take(state, nothing_before).rewound
    ledger("b").accept(state, accounted=4)
    row = positions(state, [QUEUE])[QUEUE]
    assert (row.position, row.accounted, row.applied, row.rewound) == (START, 4, 9, False)


def test_who_must_know_waits_for_the_commit(state: Connection, database: str) -> None:
    """take and read wait, bounded, for a transaction that holds the row; then they see its end."""
    drain = ledger()
    drain.take(state, nothing_before)
    with psycopg.connect(database, autocommit=True) as other:
        send(other, [BEGIN, drain.move(Move(START, "1-0", 1))])
        for waiting in (
            lambda: drain.read(state, wait=0.05),
            lambda: ledger("b").take(state, nothing_before, wait=0.05),
        ):
            with pytest.raises(TransientError, match="still locked"):
                waiting()
        timer = threading.Timer(0.1, lambda: send(other, [COMMIT]))
        timer.start()
        row = drain.read(state)
        timer.join()
    assert row is not None
    assert row.position == "1-0"


def test_the_position_tells_whether_a_batch_was_committed(state: Connection) -> None:
    """Old means no, new means yes; anything else is another drain's doing."""
    drain = ledger()
    drain.take(state, nothing_before)
    move = Move(START, "1-0", 1)
    assert not drain.committed(state, move)
    apply(state, drain, move)
    assert drain.committed(state, move)
    with pytest.raises(HandedOverError):
        drain.committed(state, Move("1-5", "1-7", 1))
    ledger("b").take(state, nothing_before)
    with pytest.raises(HandedOverError):
        drain.committed(state, move)


def test_a_queue_without_row_reads_as_none(state: Connection) -> None:
    assert ledger().read(state) is None
    assert "was removed" in str(ledger().handed_over(state))


def test_an_operator_s_lock_timeout_outlives_the_wait(state: Connection) -> None:
    """The bound is set for the one transaction only."""
    state.execute("SET lock_timeout = '3s'")
    ledger().take(state, nothing_before, wait=1)
    assert state.execute("SHOW lock_timeout").fetchone() == ("3s",)
