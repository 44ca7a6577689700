"""Runs Airflow's four components for `batchdrain.demo.airflow_server`, and stops all they started.

A script of its own: it first migrates the metadata database, then starts the components, each as
the leader of a session. It ends when one of them ends, on SIGTERM, or when its parent is gone,
and stops every process of their sessions (tasks run in process groups of their own) before that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from types import FrameType

import psutil  # type: ignore[import-untyped]

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
GRACE = 4.0
"""Seconds from SIGTERM to SIGKILL; Airflow's triggerer alone would take twelve."""
GIVE_UP = 10.0
"""Seconds after which processes that survive SIGKILL are no longer waited for."""
INTERVAL = 0.05
WATCH_SECONDS = 0.3
PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""


class Stopped(Exception):
    """We were asked to end."""


class AirflowProcesses:
    """The running commands, each with the log in `folder` that is named after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parent = os.getppid()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self) -> str:
        """Migrate, start the components and watch them; returns what ended, in one sentence.

        Raises Stopped when it is asked to end, or the parent is gone.
        """
        code = self._watch({"migration": self._spawn("migration", "db", "migrate")})
        if code["migration"] != 0:
            return f"airflow db migrate ended with code {code['migration']}."
        running = {component: self._spawn(component, component) for component in COMPONENTS}
        ended = self._watch(running)
        return " ".join(f"Airflow's {name} ended with code {code}." for name, code in ended.items())

    def stop(self) -> None:
        """Stop every process of every session that was started."""
        stop_sessions({process.pid for process in self._running.values()})
        bury()

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "airflow", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running[name] = process
        return process

    def _watch(self, processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, int]:
        """Wait until one of them ends, and return the exit codes of those that have."""
        while True:
            if os.getppid() != self._parent:
                raise Stopped
            codes = {name: process.poll() for name, process in processes.items()}
            if ended := {name: code for name, code in codes.items() if code is not None}:
                return ended
            time.sleep(WATCH_SECONDS)


def adopt_orphans() -> None:
    """Become the parent of the components' orphans, so that none stays behind as a zombie.

    Only Linux has that, and only where process 1 is no init does it matter.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury() -> None:
    """Reap all children that have ended, ours and the adopted."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def stop_sessions(leaders: Collection[int]) -> None:
    """Stop every process in the sessions that these processes lead or led, gently first."""
    for leader in leaders:
        _signal(leader, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while (members := _members(leaders)) and time.monotonic() < deadline:
        time.sleep(INTERVAL)
    deadline = time.monotonic() + GIVE_UP
    while members and time.monotonic() < deadline:
        for pid in members:
            _signal(pid, signal.SIGKILL)
        time.sleep(INTERVAL)
        members = _members(leaders)


def _members(sessions: Collection[int]) -> list[int]:
    return [pid for pid in psutil.pids() if _session(pid) in sessions and not _is_zombie(pid)]


def _session(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return None


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def main() -> None:
    """Run Airflow in the folder given as the first argument; the environment configures it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    adopt_orphans()
    processes = AirflowProcesses(Path(sys.argv[1]))
    try:
        sys.exit(processes.run())
    except Stopped:
        pass
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        processes.stop()


if __name__ == "__main__":
    main()
