"""How many messages to ask Redis for at a time, when their sizes are not known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

_FIRST = 8
_LARGEST = 2_000
_GROWTH = 8


class ChunkSize:
    """Learns from the messages seen so far how many fit into a number of bytes.

    The largest message counts, and is forgotten by half with every chunk; the first chunks are
    small, since nothing is known then. A sudden change to larger messages costs one chunk that
    holds more than asked for, never two.
    """

    def __init__(self) -> None:
        self._most = _FIRST
        self._largest = 1

    def most(self, room: int) -> int:
        """Return how many messages (at least one) to ask for to fill `room` bytes at most."""
        return max(1, min(self._most, room // self._largest))

    def learn(self, sizes: Sequence[int]) -> None:
        """Take note of the sizes, in bytes, of a chunk of messages."""
        if sizes:
            self._largest = max(1, self._largest // 2, *sizes)
            self._most = min(_LARGEST, self._most * _GROWTH)
