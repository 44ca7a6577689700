"""A lab for drains, and drains in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from drain_lab import TABLE, Lab, redis_of

_CHILD = Path(__file__).parents[2] / "drain_child.py"


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


class Child:
    """A drain in a process of its own, see drain_child."""

    def __init__(
        self, postgres: str, redis: str, point: str = "", spared: int = 0, kind: str = "stream"
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(_CHILD), postgres, redis, point, str(spared), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin
        assert self.process.stdout
        self._in: IO[str] = self.process.stdin
        self._out: IO[str] = self.process.stdout

    def says(self) -> str:
        """Wait for its next line."""
        return self._out.readline().strip()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it so that it can do nothing any more, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def go_on(self) -> None:
        """Let it leave the point where it paused."""
        self._in.write("\n")
        self._in.flush()

    def close(self) -> None:
        """End it whatever it does."""
        self.kill()
        self._in.close()
        self._out.close()


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
