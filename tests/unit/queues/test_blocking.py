"""A client blocks for less than its own time-out."""

from __future__ import annotations

import pytest
import redis

from batchdrain.queues.blocking import longest_block


@pytest.mark.parametrize("timeout", [None, 0.05, 0.5, 5, 60])
def test_a_command_blocks_for_a_second_at_most_and_less_than_the_time_out(
    timeout: float | None,
) -> None:
    block = longest_block(redis.Redis(socket_timeout=timeout))
    assert 0 < block <= 1
    assert timeout is None or block < timeout
