"""How far each queue has been applied and who drains it: the row that makes a batch happen once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed

from batchdrain.engine import batch_log
from batchdrain.engine.creation import create_missing
from batchdrain.engine.run import Run
from batchdrain.engine.transaction import Command
from batchdrain.errors import ConfigurationError, HandedOverError, TransientError

START = "0-0"
"""The position of a queue of which nothing has been applied."""

DEFAULT_WAIT = 30.0
"""Seconds to wait for an older drain's batch to end."""

_SCHEMA = SQL("CREATE SCHEMA IF NOT EXISTS batchdrain")

_TABLE = SQL("""
CREATE TABLE IF NOT EXISTS batchdrain.position (
    queue       text PRIMARY KEY,
    position    text NOT NULL,
    applied     bigint NOT NULL DEFAULT 0,
    lost        bigint NOT NULL DEFAULT 0,
    baseline    bigint NOT NULL DEFAULT 0,
    owner       text,
    owner_run   text,
    owned_at    timestamptz,
    advanced_at timestamptz,
    held        boolean NOT NULL DEFAULT false,
    rewound     boolean NOT NULL DEFAULT false
)""")

_STATE = """
SELECT count(*),
       coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE')
                         AND has_table_privilege(c.oid, 'SELECT')
                         AND has_table_privilege(c.oid, 'INSERT')
                         AND has_table_privilege(c.oid, 'UPDATE')), true),
       current_database()::text,
       current_user::text
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'batchdrain' AND c.relname IN ('position', 'batch_log')"""

_COLUMNS = SQL("""position, applied, lost, baseline, held, owner, owner_run,
       extract(epoch FROM clock_timestamp() - advanced_at)::float8, rewound""")

_MOVE = """
UPDATE batchdrain.position
   SET position = $2, applied = applied + $3, advanced_at = clock_timestamp()
 WHERE queue = $1 AND position = $4 AND owner = $5
RETURNING true"""

_TAKE = SQL("""
UPDATE batchdrain.position
   SET owner = %(owner)s, owner_run = %(run)s, owned_at = clock_timestamp()
 WHERE queue = %(queue)s
RETURNING {columns}""").format(columns=_COLUMNS)

_BEGIN_QUEUE = """
INSERT INTO batchdrain.position (queue, position, baseline)
VALUES (%(queue)s, %(position)s, %(baseline)s)
ON CONFLICT (queue) DO NOTHING"""

_READ = SQL("""
SELECT {columns} FROM batchdrain.position WHERE queue = %(queue)s FOR UPDATE""").format(
    columns=_COLUMNS
)

_BOUNDS = """
SELECT set_config('lock_timeout', %(timeout)s, true),
       set_config('idle_in_transaction_session_timeout', %(timeout)s, true)"""
"""For the one transaction only; a drain that is frozen in it must not keep the row locked."""

_LIST = SQL("""
SELECT queue, {columns} FROM batchdrain.position WHERE queue = ANY(%s::text[])""").format(
    columns=_COLUMNS
)

_STOPPED = SQL("""
SELECT queue, {columns} FROM batchdrain.position WHERE held OR rewound ORDER BY queue""").format(
    columns=_COLUMNS
)

_UNHELD = SQL("""
SELECT true FROM batchdrain.position
 WHERE queue = %s AND NOT held AND NOT rewound FOR SHARE SKIP LOCKED""")

_RELEASE = SQL("""
UPDATE batchdrain.position SET owner = NULL WHERE queue = %(queue)s AND owner = %(owner)s
RETURNING {columns}""").format(columns=_COLUMNS)

_LOSS = SQL("""
UPDATE batchdrain.position SET lost = lost + %s WHERE queue = %s AND owner = %s RETURNING true""")

_REWOUND = SQL("""
UPDATE batchdrain.position SET rewound = true WHERE queue = %s AND owner = %s RETURNING true""")

_DISCARD = SQL("""
UPDATE batchdrain.position
   SET position = %s, baseline = baseline + %s
 WHERE position = %s AND queue = %s AND owner = %s
RETURNING true""")

_HOLD = SQL("""
INSERT INTO batchdrain.position (queue, position, baseline, held)
VALUES (%(queue)s, %(position)s, %(baseline)s, true)
ON CONFLICT (queue) DO UPDATE SET held = true, owner = NULL
RETURNING {columns}""").format(columns=_COLUMNS)
"""Without an owner, so that a drain that is at it ends at its next batch."""

_UNHOLD = SQL("""
UPDATE batchdrain.position SET held = false WHERE queue = %(queue)s RETURNING {columns}""").format(
    columns=_COLUMNS
)

_ACCEPT = SQL("""
UPDATE batchdrain.position
   SET position = %s, baseline = %s - applied - lost, rewound = false
 WHERE queue = %s AND owner = %s
RETURNING true""")


@dataclass(frozen=True, slots=True)
class Position:
    """A queue's row.

    `applied` and `lost` count messages, `baseline` those that had left the queue before batchdrain
    first saw it (negative once an operator has accepted a queue that holds less than was applied).
    `held` tells that an operator holds the queue, `rewound` that it was found to hold less than
    was applied, and nobody has accepted that. `owner` is the token of the drain that owns the
    queue, `owner_run` names it for a human. `idle` is the seconds since the last batch was
    applied, None before the first.
    """

    position: str
    applied: int
    lost: int
    baseline: int
    held: bool
    owner: str | None
    owner_run: str | None
    idle: float | None
    rewound: bool = False

    @property
    def accounted(self) -> int:
        """How many of the queue's messages are accounted for: applied, lost, or before us."""
        return self.applied + self.lost + self.baseline


@dataclass(frozen=True, slots=True)
class Move:
    """From which position to which a batch of so many messages takes its queue."""

    old: str
    new: str
    messages: int


def create_state(connection: psycopg.Connection[Any]) -> None:
    """Create schema `batchdrain` with its tables where they are missing.

    A role that may not create finds them created by another. Raises ConfigurationError when they
    are missing and can't be created, or may not be used.
    """
    present, usable, database, role = _state(connection)
    if present < 2:
        try:
            create_missing(connection, (_SCHEMA, _TABLE, batch_log.TABLE, batch_log.INDEX))
        except errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f'role "{role}" may not create the tables of schema "batchdrain" in database '
                f'"{database}"; GRANT CREATE ON DATABASE "{database}" to it, or let the first '
                "drain run as a role that may"
            ) from error
        _, usable, _, _ = _state(connection)
    if not usable:
        raise ConfigurationError(
            f'role "{role}" may not use the tables of schema "batchdrain" in database '
            f'"{database}"; GRANT USAGE ON SCHEMA batchdrain and GRANT SELECT, INSERT, UPDATE ON '
            "ALL TABLES IN SCHEMA batchdrain to it"
        )


class Ledger:
    """One drain's hold on one queue's row.

    `owner` is the drain's token, unique to it; `run` names it for a human. Methods that say so
    raise HandedOverError once another drain has taken the queue.
    """

    def __init__(self, queue: str, owner: str, run: Run) -> None:
        self.queue = queue
        self.owner = owner
        self.run = run

    def take(
        self,
        connection: psycopg.Connection[Any],
        baseline: Callable[[], int],
        wait: float = DEFAULT_WAIT,
    ) -> Position:
        """Make this drain the owner of the queue, and commit that.

        The newest drain owns: an older one sees it at its next batch. A queue without a row gets
        one that starts at START; only then `baseline` is called. Raises TransientError when an
        older drain keeps the row locked for more than `wait` seconds.
        """
        names = {"queue": self.queue, "owner": self.owner, "run": self.run.label}
        taken = _locked(connection, wait, _TAKE, names)
        if taken is not None:
            return taken
        first = {"queue": self.queue, "position": START, "baseline": baseline()}
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(_BEGIN_QUEUE, first)
        taken = _locked(connection, wait, _TAKE, names)
        if taken is None:
            raise TransientError(
                f'the position of queue "{self.queue}" was removed while it was taken'
            )
        return taken

    def move(self, move: Move) -> Command:
        """Return the command that moves the position in the batch's transaction.

        It locks the row until the transaction ends and returns one row, or none when the queue
        isn't at `move.old` any more or another drain owns it: then nothing may be committed.
        """
        return Command(_MOVE, (self.queue, move.new, move.messages, move.old, self.owner))

    def read(
        self, connection: psycopg.Connection[Any], wait: float = DEFAULT_WAIT
    ) -> Position | None:
        """Read the row once no transaction holds it any more; None when there is no row.

        This settles whether a COMMIT took place whose reply never came. Raises TransientError
        when the row is still locked after `wait` seconds.
        """
        return _locked(connection, wait, _READ, {"queue": self.queue})

    def committed(self, connection: psycopg.Connection[Any], move: Move) -> bool:
        """Whether a transaction with this move was committed, once none holds the row any more.

        Raises HandedOverError when the queue is somewhere else, or another drain has it.
        """
        row = self.read(connection)
        if row is not None and row.owner == self.owner and row.position in (move.old, move.new):
            return row.position == move.new
        raise self.handed_over(connection)

    def require_ownership(self, connection: psycopg.Connection[Any]) -> None:
        """Raise HandedOverError unless this drain owns the queue; waits for no batch."""
        row = positions(connection, [self.queue]).get(self.queue)
        if row is None or row.owner != self.owner:
            raise self.handed_over(connection)

    def release(self, connection: psycopg.Connection[Any], wait: float = DEFAULT_WAIT) -> None:
        """Give the queue up, unless another drain owns it already. Raises as `take` does."""
        _locked(connection, wait, _RELEASE, {"queue": self.queue, "owner": self.owner})

    def record_loss(self, connection: psycopg.Connection[Any], lost: int) -> None:
        """Add messages that Redis dropped unread to the account. Raises HandedOverError."""
        self._require(connection, self._changed(connection, _LOSS, (lost,)))

    def mark_rewound(self, connection: psycopg.Connection[Any]) -> None:
        """Mark the queue as rewound, until an operator accepts it. Raises HandedOverError."""
        self._require(connection, self._changed(connection, _REWOUND, ()))

    def accept(
        self, connection: psycopg.Connection[Any], accounted: int, position: str = START
    ) -> None:
        """Go on from what Redis holds now, by an operator's word. Raises HandedOverError.

        The queue is then at `position`, with `accounted` messages accounted for, and not rewound.
        """
        self._require(connection, self._changed(connection, _ACCEPT, (position, accounted)))

    def discard(self, connection: psycopg.Connection[Any], move: Move) -> None:
        """Move the position past messages that nobody shall apply. Raises HandedOverError.

        They count as having left the queue before batchdrain saw it: neither applied nor lost.
        """
        self._require(
            connection, self._changed(connection, _DISCARD, (move.new, move.messages, move.old))
        )

    def handed_over(self, connection: psycopg.Connection[Any]) -> HandedOverError:
        """Return the error that tells who has the queue, for a move that found no row."""
        row = positions(connection, [self.queue]).get(self.queue)
        if row is None:
            return HandedOverError(f'the position of queue "{self.queue}" was removed')
        if row.held:
            return HandedOverError(f'queue "{self.queue}" was held by an operator')
        if row.owner == self.owner:
            return HandedOverError(f'queue "{self.queue}" was moved on by another drain')
        return HandedOverError(f'queue "{self.queue}" was handed over to {row.owner_run}')

    def _changed(
        self, connection: psycopg.Connection[Any], query: SQL, values: tuple[Any, ...]
    ) -> bool:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(query, (*values, self.queue, self.owner))
            return cursor.fetchone() is not None

    def _require(self, connection: psycopg.Connection[Any], owned: bool) -> None:
        if not owned:
            raise self.handed_over(connection)


def hold(
    connection: psycopg.Connection[Any],
    queue: str,
    baseline: Callable[[], int],
    wait: float = DEFAULT_WAIT,
) -> Position:
    """Hold a queue: no drain applies another batch of it until it is released.

    Returns the row as it is then; a queue without a row gets one, for which `baseline` is called.
    Raises TransientError when a batch keeps the row locked for more than `wait` seconds.
    """
    known = positions(connection, [queue]).get(queue)
    before = baseline() if known is None else 0
    first: dict[str, str | int] = {"queue": queue, "position": START, "baseline": before}
    held = _locked(connection, wait, _HOLD, first)
    assert held is not None
    return held


def unhold(
    connection: psycopg.Connection[Any], queue: str, wait: float = DEFAULT_WAIT
) -> Position | None:
    """Let drains apply a queue again; return its row, None if there is none."""
    return _locked(connection, wait, _UNHOLD, {"queue": queue})


def positions(connection: psycopg.Connection[Any], queues: Sequence[str]) -> Mapping[str, Position]:
    """Read the rows of those of the queues that have one, without waiting for a batch."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_LIST, (list(queues),))
        return {queue: Position(*row) for queue, *row in cursor}


def keep_unheld(connection: psycopg.Connection[Any], queue: str) -> bool:
    """Keep a queue from being held until the transaction at hand ends; False where that can't be.

    That is: the queue has no row, waits for an operator, or is being worked on. It waits for
    nobody: a drain locks the row before those of its table, and the caller has the latter already.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(_UNHELD, (queue,)).fetchone() is not None


def stopped(connection: psycopg.Connection[Any]) -> Mapping[str, Position]:
    """Read the rows of the queues that wait for an operator: held, or rewound."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_STOPPED)
        return {queue: Position(*row) for queue, *row in cursor}


def _state(connection: psycopg.Connection[Any]) -> tuple[int, bool, str, str]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_STATE)
        present, usable, database, role = cursor.fetchall()[0]
        return present, usable, database, role


def _locked(
    connection: psycopg.Connection[Any],
    wait: float,
    query: Composed,
    parameters: Mapping[str, str | int],
) -> Position | None:
    try:
        with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
            timeout = f"{max(1, round(wait * 1000))}ms"
            cursor.execute(_BOUNDS, {"timeout": timeout})
            row = cursor.execute(query, parameters).fetchone()
            return None if row is None else Position(*row)
    except errors.LockNotAvailable as error:
        raise TransientError(
            f'queue "{parameters["queue"]}" is still locked by another transaction '
            f"after {wait:g} s; it is taken again at the next try"
        ) from error
