"""Whether queues go on where their positions end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from batchdrain.allow_list import AllowList
from batchdrain.engine.position import Position
from batchdrain.errors import BatchdrainError, ConfigurationError
from batchdrain.finding import Finding, Level
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.queues.keys import QueueKey

_ACCEPT = "find out why; then trigger the drain DAG with Accept queues that went back"


def standing_findings(
    hook: RedisQueueHook, positions: Mapping[str, Position], prefix: str, left_push: AllowList
) -> Iterator[Finding]:
    """Compare the queues that have been drained before with their positions."""
    for key, position in sorted(positions.items()):
        if position.held:
            what = "it is on hold: drains leave it alone"
            yield Finding(Level.INFO, key, what, "release it with the DAG control_queues")
        table = QueueKey.parse(key, prefix).table_name
        try:
            queue = hook.open_queue(key, left_push=left_push.covers(table))
            standing = queue.standing(position.position, position.accounted)
        except ConfigurationError:
            continue  # The key's type, or a right on it: there is a finding of that already.
        except BatchdrainError as error:
            yield Finding.of_error(key, error)
            continue
        if standing.rewound:
            yield Finding(Level.ERROR, key, standing.rewound)
        elif position.rewound:
            what = "it went back, and nobody has accepted that yet, so its drain would fail"
            yield Finding(Level.ERROR, key, what, _ACCEPT)
        elif standing.lost:
            what = f"{standing.lost} of its messages were dropped before they were read"
            yield Finding(Level.WARNING, key, what, "see who trims or deletes: MAXLEN, XTRIM, DEL")
