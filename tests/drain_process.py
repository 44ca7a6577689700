"""A drain in a process of its own, as those see it who kill it; drain_child is what runs there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

_CHILD = Path(__file__).with_name("drain_child.py")


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

    def ends(self, seconds: float) -> str:
        """Wait until it has ended, and return the last line that it wrote.

        Raises subprocess.TimeoutExpired when it does not end in time.
        """
        said, _ = self.process.communicate(timeout=seconds)
        return (said.splitlines() or [""])[-1]

    def close(self) -> None:
        """End it whatever it does."""
        self.kill()
        self._in.close()
        self._out.close()
