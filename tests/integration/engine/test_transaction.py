"""Statements sent in one round trip: their results, and the first error whatever follows it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from batchdrain.engine.transaction import BEGIN, ROLLBACK, Command, roll_back, send

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
