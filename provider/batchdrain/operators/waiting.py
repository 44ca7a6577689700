"""What still waits in queues when a run is over."""

from __future__ import annotations

from typing import Any

import psycopg

from batchdrain.allow_list import AllowList
from batchdrain.engine.position import positions
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.operators.alerts import Waiting
from batchdrain.operators.queue_view import reached, standing_at
from batchdrain.queues.keys import QueueKey

_KINDS = ("stream", "list")


def waiting_in(
    hook: RedisQueueHook,
    connection: psycopg.Connection[Any],
    allowed: AllowList,
    prefix: str,
    left_push: AllowList,
) -> list[Waiting]:
    """Look at the queues of the allowed tables; those on hold, and empty ones, are left out."""
    keys = hook.scan(prefix) if allowed.any_table else list(allowed.keys(prefix))
    depths = [each for each in hook.survey(keys) if each.depth and each.kind in _KINDS]
    known = positions(connection, [each.key for each in depths])
    found: list[Waiting] = []
    for each in depths:
        position = known.get(each.key)
        if position is not None and position.held:
            continue
        table = QueueKey.parse(each.key, prefix).table_name
        queue = hook.open_queue(each.key, left_push=left_push.covers(table))
        oldest = queue.peek(1, reached(position))
        if oldest:
            unread = standing_at(queue, position).unread
            found.append(Waiting(each.key, unread, oldest[0].id or None))
    return found
