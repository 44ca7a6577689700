"""Which queues and tables a look is about, and which keys in Redis belong to none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from batchdrain.allow_list import AllowList
from batchdrain.engine.parents import Verdict, verdicts
from batchdrain.errors import BatchdrainError
from batchdrain.finding import Finding, Level
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.queues.preflight_keys import QUEUES, FoundKeys, found_keys

_SHOWN = 10
"""Keys that one finding lists."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The tables that may be drained, the keys of their queues, and what is beside these."""

    tables: tuple[str, ...]
    keys: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def coverage(
    allowed: AllowList,
    prefix: str,
    hook: RedisQueueHook | None,
    connection: psycopg.Connection[Any] | None,
) -> Coverage:
    """Compare the list of tables with the keys under the prefix.

    Where the list is `*`, the tables are those that have queues. A server that is None is away.
    """
    found, complaints = _found(prefix, hook, allowed)
    known = {str(key): key.table_name for key in found.queues}
    if not allowed.any_table:
        keys, tables = allowed.keys(prefix), allowed.names
        stray = [key for key in known if key not in keys]
        why, do = (
            "of no table, or shard, that may be drained",
            "name the table in the option tables, with its number of shards; or remove the keys",
        )
    else:
        tables = tuple(sorted(set(known.values())))
        closed = _closed(tables, connection)
        tables = tuple(table for table in tables if table not in closed)
        keys = tuple(key for key, table in known.items() if table not in closed)
        stray = [key for key, table in known.items() if table in closed]
        why, do = (
            "of tables that * does not cover",
            "GRANT the role what it needs on the table, or remove the keys",
        )
    if stray:
        what = f"there are keys {why}: {_listed(stray)}"
        complaints.append(Finding(Level.WARNING, QUEUES, what, do))
    return Coverage(tables, keys, tuple(complaints))


def _found(
    prefix: str, hook: RedisQueueHook | None, allowed: AllowList
) -> tuple[FoundKeys, list[Finding]]:
    """Find the queues that there are; with `*` however many keys there are to look through."""
    nothing = FoundKeys((), (), complete=True)
    if hook is None:
        return nothing, []
    try:
        found = found_keys(hook.client(), prefix, everything=allowed.any_table)
    except BatchdrainError as error:
        return nothing, [Finding(Level.WARNING, QUEUES, f"they can't be looked for: {error}")]
    complaints = []
    if found.bad:
        more = f" (and {len(found.bad) - 1} more)" if len(found.bad) > 1 else ""
        what = f"nobody drains a key that names no table: {found.bad[0]}{more}"
        complaints.append(Finding(Level.WARNING, QUEUES, what, "rename or remove it"))
    if not found.complete:
        what = "Redis holds too many keys to look for queues that no table covers"
        complaints.append(Finding(Level.INFO, QUEUES, what, f"SCAN for {prefix}:* when it is idle"))
    return found, complaints


def _closed(tables: Sequence[str], connection: psycopg.Connection[Any] | None) -> frozenset[str]:
    """Return those of the tables that `*` does not cover."""
    if connection is None:
        return frozenset()
    judged = verdicts(connection, tables)
    return frozenset(name for name, verdict in judged.items() if verdict is Verdict.NOT_ALLOWED)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
