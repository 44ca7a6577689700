"""The guard of one embedded server: a process that outlives whoever started it.

Run as a script (standard library only) by `batchdrain.demo.lifeline`. It owns the server's run
folder and is the server's parent process. It takes orders, one JSON object per line, on its
standard input; when that pipe closes, or its own parent is gone (even by SIGKILL), it stops the
server, removes the run folder and ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WATCH_SECONDS = 0.3
RUN_SECONDS = 60.0
REMOVE_SECONDS = 5.0


class Guard:
    """Starts, stops and finally clears away one server; all orders come through `obey`."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._user: int | None = spec["user"]
        self._group: int | None = spec["group"]
        self._ladder: Sequence[tuple[str, float]] = spec["ladder"]
        self._server: subprocess.Popen[bytes] | None = None
        self._lock = -1 if spec["lock"] is None else take_lock(spec["lock"], spec["patience"])
        self.folder = tempfile.mkdtemp(prefix=spec["prefix"], dir=spec["base"])
        if self._user is not None:
            os.chown(self.folder, self._user, self._group or 0)

    def obey(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one order and return the answer: `code`, or `pid` for a start.

        Orders: `run` (a command, to its end), `start` (the server), `poll` (its exit code, null
        while it runs), `stop` (pairs of signal name and seconds to wait for its effect).
        """
        if "run" in order:
            return {"code": self._spawn(order["run"], order).wait(RUN_SECONDS)}
        if "start" in order:
            self._server = self._spawn(order["start"], order)
            return {"pid": self._server.pid}
        if "stop" in order:
            self._stop(order["stop"])
        return {"code": None if self._server is None else self._server.poll()}

    def watch(self) -> None:
        """Reap the server's exit, should it have ended on its own."""
        if self._server is not None:
            self._server.poll()

    def clear(self) -> None:
        """Stop the server and remove the run folder, which its last processes may still touch."""
        self._stop(self._ladder)
        deadline = time.monotonic() + REMOVE_SECONDS
        while Path(self.folder).exists() and time.monotonic() < deadline:
            shutil.rmtree(self.folder, ignore_errors=True)
            time.sleep(0.02)

    def _spawn(self, command: Sequence[str], order: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        with Path(order["log"]).open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=order["env"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._group,
                extra_groups=None if self._user is None else [],
                start_new_session=True,
                # The lock stays taken for as long as a server runs, should the guard be killed.
                pass_fds=() if self._lock < 0 else (self._lock,),
            )

    def _stop(self, ladder: Sequence[tuple[str, float]]) -> None:
        if self._server is None:
            return
        for name, seconds in ladder:
            if self._server.poll() is not None:
                return
            self._server.send_signal(signal.Signals[name])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(seconds)


def take_lock(path: str, seconds: float) -> int:
    """Lock a kept folder for one server and return the lock's descriptor.

    Waits so many seconds, because the guard of an earlier run may still be stopping its server.
    Raises BlockingIOError when the folder stays in use.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return descriptor


def say(answer: Mapping[str, Any]) -> None:
    """Send one answer to the parent."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve the process whose id the specification (first argument, JSON) gives, until it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, not SIG_IGN, which the server would inherit.
        signal.signal(number, lambda *_: None)
    spec = json.loads(sys.argv[1])
    try:
        guard = Guard(spec)
    except OSError as error:
        say({"error": type(error).__name__})
        return
    try:
        with contextlib.suppress(BrokenPipeError):
            say({"folder": guard.folder})
            attend(guard, spec["parent"])
    finally:
        guard.clear()


def attend(guard: Guard, parent: int) -> None:
    """Take orders until the pipe closes or the process `parent` is no longer our parent."""
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], WATCH_SECONDS)
        # A forked child of the parent may still hold the pipe open: the process id tells as well.
        if os.getppid() != parent:
            return
        guard.watch()
        if not readable:
            continue
        line = sys.stdin.readline()
        if not line:
            return
        try:
            answer = guard.obey(json.loads(line))
        except (OSError, subprocess.SubprocessError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        say(answer)


if __name__ == "__main__":
    main()
