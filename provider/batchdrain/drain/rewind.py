"""Why a drain must not go on with a queue that holds less than PostgreSQL has applied."""

from __future__ import annotations

from batchdrain.engine.position import Position
from batchdrain.queues.queue import Standing


def reason_to_stop(key: str, position: Position | None, standing: Standing) -> str | None:
    """Return a sentence for the operator, who may accept the queue as it is; None: go on.

    A queue that was found so once stays so until somebody accepts it, whatever it holds now.
    """
    if standing.rewound or position is None or not position.rewound:
        return standing.rewound
    return (
        f"Queue {key} held less than PostgreSQL has applied when a drain looked at it, and nobody "
        "has accepted that: use Param accept_rewound once you know why."
    )
