"""The line to a server's guard: orders go out on it, and its end is the server's end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batchdrain.demo import guard
from batchdrain.demo.account import Account
from batchdrain.errors import ConfigurationError, SystemicError

Ladder = Sequence[tuple[str, float]]
"""Signals to send one after the other, each with the seconds that it is given to take effect."""


class Lifeline:
    """One guard process (see `batchdrain.demo.guard`) and the run folder that it owns.

    `ladder` is how the guard stops the server when we are gone; `lock` a file that only one guard
    may hold, None where the server keeps nothing; `patience` the seconds to wait for it.
    """

    def __init__(
        self,
        *,
        base: Path,
        prefix: str,
        account: Account | None,
        ladder: Ladder,
        lock: Path | None,
        patience: float,
    ) -> None:
        spec = {
            "parent": os.getpid(),
            "base": str(base),
            "prefix": prefix,
            "user": None if account is None else account.uid,
            "group": None if account is None else account.gid,
            "ladder": ladder,
            "lock": None if lock is None else str(lock),
            "patience": patience,
        }
        self._turn = threading.Lock()
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        greeting = self._answer()
        if "folder" not in greeting:
            self.close()
            raise ConfigurationError(
                f"The folder {lock.parent if lock else base} can't be used for a server "
                f"({greeting.get('error')}); stop the one that uses it, or give another folder."
            )
        self.folder = Path(greeting["folder"])

    def run(self, command: Sequence[str], env: dict[str, str], log: Path) -> int:
        """Run a command to its end as the server's account and return its exit code."""
        return int(self._ask({"run": command, "env": env, "log": str(log)})["code"])

    def start(self, command: Sequence[str], env: dict[str, str], log: Path) -> int:
        """Start the server, its output appended to `log`; returns its process id."""
        return int(self._ask({"start": command, "env": env, "log": str(log)})["pid"])

    def exit_code(self) -> int | None:
        """Return the server's exit code, None while it runs (or was never started)."""
        code: int | None = self._ask({"poll": True})["code"]
        return code

    def stop(self, ladder: Ladder) -> None:
        """Stop the server by these signals, and return when it has ended."""
        self._ask({"stop": ladder})

    def close(self) -> None:
        """Let the guard stop the server and remove the run folder; returns when it has."""
        for stream in (self._guard.stdin, self._guard.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._guard.wait()

    def _ask(self, order: dict[str, object]) -> dict[str, Any]:
        with self._turn:
            if self._guard.stdin is None or self._guard.stdin.closed:
                raise SystemicError("The embedded server is closed; open a new one.")
            try:
                self._guard.stdin.write(json.dumps(order) + "\n")
                self._guard.stdin.flush()
            except BrokenPipeError as error:
                raise SystemicError("The guard of the embedded server was killed.") from error
            answer = self._answer()
        if "error" in answer:
            raise SystemicError(f"The embedded server can't be run: {answer['error']}.")
        return answer

    def _answer(self) -> dict[str, Any]:
        line = self._guard.stdout.readline() if self._guard.stdout is not None else ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its guard has ended"}
        return answer
