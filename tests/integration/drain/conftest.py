"""A lab for drains, and drains in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from drain_lab import TABLE, Lab, redis_of
from drain_process import Child


@pytest.fixture
def kind() -> str:
    """The kind of the lab's queue, unless a test is parametrized with others."""
    return "stream"


@pytest.fixture
def lab(database: str, redis_url: str, kind: str) -> Iterator[Lab]:
    """A lab on the session's servers."""
    with redis_of(redis_url) as client:
        opened = Lab(database, redis_url, client, kind)
        opened.sql(TABLE)
        yield opened


@pytest.fixture
def child(kind: str) -> Iterator[Callable[..., Child]]:
    """Start drains in processes of their own, which end with the test."""
    started: list[Child] = []

    def start(postgres: str, redis: str, point: str = "", spared: int = 0) -> Child:
        started.append(Child(postgres, redis, point, spared, kind))
        return started[-1]

    yield start
    for one in started:
        one.close()
