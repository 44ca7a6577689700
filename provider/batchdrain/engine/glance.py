"""Looks at what batchdrain keeps in the target database, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from batchdrain.engine.position import create_state

_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %s, true)"

LOCK_TIMEOUT = 5.0
"""Seconds to wait for another session that creates the same things."""


@contextmanager
def passing_state(
    connection: psycopg.Connection[Any], lock_timeout: float = LOCK_TIMEOUT
) -> Iterator[None]:
    """Have schema `batchdrain` there for as long as the block runs.

    Where it is missing it is created in a transaction that is rolled back, which also tells whether
    a drain could create it. Raises as `create_state` does, and what psycopg raises when a lock is
    not to be had within `lock_timeout` seconds.
    """
    with connection.transaction(force_rollback=True):
        connection.execute(_LOCK_TIMEOUT, (f"{max(1, round(lock_timeout * 1000))}ms",))
        create_state(connection)
        yield
