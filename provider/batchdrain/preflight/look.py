"""Looks at everything that a drain relies on, from the options to the queues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import psycopg

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.cadence import Lingers
from batchdrain.engine import preflight as database
from batchdrain.errors import BatchdrainError, TransientError
from batchdrain.finding import Finding
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.preflight.airflow_check import airflow_findings
from batchdrain.preflight.coverage import Coverage, coverage
from batchdrain.preflight.given import Given
from batchdrain.preflight.options_check import option_findings
from batchdrain.preflight.pools import pool_findings
from batchdrain.preflight.standing import standing_findings
from batchdrain.queues import preflight as server
from batchdrain.queues.failures import translated
from batchdrain.queues.keys import QueueKey
from batchdrain.queues.preflight_keys import queue_findings

_AWAY = "start the server, or mend host, port, user and password of its Airflow connection"

Connection = psycopg.Connection[Any]


def look(given: Given) -> list[Finding]:
    """Look at options, Airflow, both servers, tables and queues; nothing is changed anywhere.

    What can't be looked at, because a server is away, is left out: a finding says so of the server.
    """
    with ExitStack() as stack:
        connection, in_postgres = _open_postgres(given, stack)
        hook, in_redis = _open_redis(given, stack)
        allowed = given.read_if_valid(options.TABLES) or AllowList()
        prefix = given.valid(options.PREFIX)
        covered = coverage(allowed, prefix, hook, connection)
        queues = len(covered.keys)
        return [
            *option_findings(given, datetime.now(UTC)),
            *airflow_findings(given, queues),
            *pool_findings(given.valid(options.POOL), queues, _lingering(given)),
            *in_postgres,
            *in_redis,
            *_tables(given, covered, connection),
            *_queues(given, covered, hook, connection),
        ]


def _open_postgres(given: Given, stack: ExitStack) -> tuple[Connection | None, list[Finding]]:
    hook = BatchPostgresHook(given.valid(options.POSTGRES_CONN_ID))
    try:
        connection = stack.enter_context(hook.connect())
        found = database.server_findings(connection, hook.address())
    except BatchdrainError as error:
        return None, [_unreachable(database.SERVER, error)]
    return connection, [*found, *database.state_findings(connection)]


def _open_redis(given: Given, stack: ExitStack) -> tuple[RedisQueueHook | None, list[Finding]]:
    hook = RedisQueueHook(given.valid(options.REDIS_CONN_ID))
    stack.callback(hook.close)
    try:
        client = hook.client()
        with translated(client, "PING"):
            client.ping()
    except BatchdrainError as error:
        return None, [_unreachable(server.SERVER, error)]
    return hook, server.server_findings(hook.client(), hook.address())


def _lingering(given: Given) -> int:
    off = given.valid(options.LINGER) is Lingers.OFF
    return 0 if off else given.valid(options.LINGER_SLOTS)


def _unreachable(subject: str, error: BatchdrainError) -> Finding:
    return Finding.of_error(subject, error, _AWAY if isinstance(error, TransientError) else "")


def _tables(given: Given, covered: Coverage, connection: Connection | None) -> Iterator[Finding]:
    if connection is None:
        return
    scope, prefix = given.valid(options.SCOPE), given.valid(options.PREFIX)
    retried: dict[str, str] = {}
    if given.valid(options.REFERENCE_RETRIES):
        # Of the shards of a table the one whose key is the longest asks for the most room.
        for key in sorted(covered.keys, key=len):
            retried[QueueKey.parse(key, prefix).table_name] = key
    for table in covered.tables:
        yield from database.table_findings(connection, table, scope, retried.get(table))


def _queues(
    given: Given, covered: Coverage, hook: RedisQueueHook | None, connection: Connection | None
) -> Sequence[Finding]:
    if hook is None:
        return []
    found = [*queue_findings(hook.client(), covered.keys), *covered.findings]
    if connection is not None:
        positions = database.known_positions(connection, covered.keys)
        left_push = given.valid(options.LEFT_PUSH)
        found += standing_findings(hook, positions, given.valid(options.PREFIX), left_push)
    return found
