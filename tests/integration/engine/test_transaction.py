"""Statements sent in one round trip: their results, and the first error whatever follows it."""

from __future__ import annotations

import os
import signal
import threading

import psycopg
import pytest
from psycopg import errors

from batchdrain.engine.transaction import (
    BEGIN,
    ROLLBACK,
    Command,
    roll_back,
    send,
    send_until_failure,
)

ROWS = "SELECT repeat('x', $1::int) FROM generate_series(1, 20)"


@pytest.mark.parametrize("width", [1, 10_000])
def test_each_command_has_its_result(
    connection: psycopg.Connection[tuple[object, ...]], width: int
) -> None:
    """Also where the answers outgrow every buffer."""
    cursors = send(connection, [BEGIN, *[Command(ROWS, (str(width),))] * 10, ROLLBACK])
    assert [len(cursor.fetchall()) for cursor in cursors[1:-1]] == [20] * 10


@pytest.mark.parametrize("place", [0, 3, 9])
@pytest.mark.parametrize("width", [1, 10_000])
def test_the_error_that_aborted_the_pipeline_is_raised(
    connection: psycopg.Connection[tuple[object, ...]], place: int, width: int
) -> None:
    """Not that of the statements after it, which only tell that it was aborted."""
    commands = [Command(ROWS, (str(width),))] * 10
    commands[place] = Command("SELECT 1 / $1::int", ("0",))
    for _ in range(5):
        with pytest.raises(errors.DivisionByZero):
            send(connection, [BEGIN, *commands])
        roll_back(connection)
        assert connection.info.transaction_status.name == "IDLE"


@pytest.mark.parametrize("place", [0, 3, 9, None])
@pytest.mark.parametrize("width", [1, 10_000])
def test_the_commands_before_the_one_that_fails_keep_their_results(
    connection: psycopg.Connection[tuple[object, ...]], place: int | None, width: int
) -> None:
    """Their number tells which one failed."""
    commands = [Command(ROWS, (str(width),))] * 10
    if place is not None:
        commands[place] = Command("SELECT 1 / $1::int", ("0",))
    for _ in range(5):
        cursors, error = send_until_failure(connection, [BEGIN, *commands])
        roll_back(connection)
        assert isinstance(error, errors.DivisionByZero) is (place is not None)
        answered = [len(cursor.fetchall()) for cursor in cursors[1:]]
        assert answered == [20] * (10 if place is None else place)


def test_what_is_prepared_first_after_a_savepoint_was_rolled_back_stays_prepared(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    """Rolling back makes psycopg forget, and deallocate, whatever is prepared."""
    asked = Command("SELECT $1::int + 1", ("1",))
    send(connection, [BEGIN, asked, Command("SAVEPOINT s", prepare=False)])
    send(connection, [Command("ROLLBACK TO SAVEPOINT s", prepare=False)])
    for _ in range(3):
        (cursor,) = send(connection, [asked])
        assert cursor.fetchone() == (2,)
    roll_back(connection)


@pytest.mark.parametrize("savepoint", [False, True])
def test_what_an_error_kept_from_being_prepared_is_prepared_later(
    connection: psycopg.Connection[tuple[object, ...]], savepoint: bool
) -> None:
    """Also where a rollback has once found nothing prepared: psycopg then forgets nothing more."""
    begin = [BEGIN, Command("SAVEPOINT s", prepare=False)]

    def go_back() -> None:
        if savepoint:
            send(connection, [Command("ROLLBACK TO SAVEPOINT s", prepare=False)])
        send(connection, [ROLLBACK])

    send(connection, begin)
    go_back()
    often = Command("SELECT $1::int + 1", ("1",), prepare=None)
    for _ in range(connection.prepare_threshold or 0):
        send(connection, [often])
    with pytest.raises(errors.DivisionByZero):
        send(connection, [*begin, Command("SELECT 1 / $1::int", ("0",)), often])
    go_back()
    (cursor,) = send(connection, [often])
    assert cursor.fetchone() == (2,)


class TimeIsUpError(BaseException):
    """Like Airflow's AirflowTaskTimeout, no Exception."""


@pytest.mark.parametrize("place", ["waiting", "meanwhile"])
def test_an_interruption_is_not_taken_for_a_failure_of_the_connection(
    connection: psycopg.Connection[tuple[object, ...]], place: str
) -> None:
    """A signal handler raises, while PostgreSQL works or while other work is done meanwhile."""

    def time_is_up(*_: object) -> None:
        raise TimeIsUpError

    before = signal.signal(signal.SIGUSR1, time_is_up)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
    meanwhile = threading.Event().wait if place == "meanwhile" else None
    timer.start()
    try:
        with pytest.raises(TimeIsUpError):
            send(connection, [BEGIN, Command("SELECT pg_sleep(5)"), ROLLBACK], meanwhile)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
        connection.close()  # as a drain does: nothing more can be said over it
