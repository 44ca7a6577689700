"""Chunk sizes: few round trips for small messages, bounded memory for large ones."""

from __future__ import annotations

from batchdrain.queues.chunks import ChunkSize


def test_grows_quickly_while_messages_are_small() -> None:
    chunk = ChunkSize()
    asked = []
    for _ in range(5):
        asked.append(chunk.most(10**7))
        chunk.learn([300] * asked[-1])
    assert asked == [8, 64, 512, 2_000, 2_000]


def test_shrinks_at_once_when_messages_are_large_and_recovers() -> None:
    chunk = ChunkSize()
    for _ in range(4):
        chunk.learn([300])
    chunk.learn([300, 1_000_000])
    assert chunk.most(10**7) == 10
    chunk.learn([300] * 10)
    assert chunk.most(10**7) == 20
    for _ in range(20):
        chunk.learn([300])
    assert chunk.most(10**7) == 2_000


def test_always_asks_for_one_message() -> None:
    chunk = ChunkSize()
    chunk.learn([10**9])
    assert chunk.most(1) == 1


def test_learns_nothing_from_nothing() -> None:
    chunk = ChunkSize()
    chunk.learn([])
    assert chunk.most(10**7) == 8


def test_empty_messages_are_no_division_by_zero() -> None:
    chunk = ChunkSize()
    chunk.learn([0, 0])
    assert chunk.most(10**7) == 64
