"""How long a client may block in one command."""

from __future__ import annotations

import redis

_LONGEST_BLOCK = 1.0


def longest_block(client: redis.Redis) -> float:
    """Return seconds to block in one command, well below the client's own time-out."""
    pool = getattr(client, "connection_pool", None)
    timeout: float | None = getattr(pool, "connection_kwargs", {}).get("socket_timeout")
    if timeout is None:
        return _LONGEST_BLOCK
    # Redis may see a tenth of a second late that a client has been blocked long enough.
    return min(_LONGEST_BLOCK, max(0.001, timeout / 2 - 0.1))
