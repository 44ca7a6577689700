"""Stands in for dumb-init, the first process of Airflow's image, where there is no container.

    python first_process.py COMMAND…

Runs the command as the leader of a session and, as dumb-init does (DUMB_INIT_SETSID=1), passes
SIGTERM on to the command's process group. When the command ends, everything that it left behind is
killed, as with a container; SIGQUIT does that at once. Ends with the command's exit code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from types import FrameType

import psutil  # type: ignore[import-untyped]

from batchdrain.demo.airflow_processes import adopt_orphans, bury

SIGNALLED = 128
"""What shells add to a signal's number to make an exit code of it."""


def session_members(leader: int) -> list[int]:
    """Return the processes of the session that this process leads or led."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                found.append(pid)
    return found


def kill_all(leader: int) -> None:
    """Kill whatever is left of a session."""
    for pid in session_members(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Run the command of the arguments."""
    adopt_orphans()
    process = subprocess.Popen(sys.argv[1:], start_new_session=True)

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGQUIT, lambda *_: kill_all(process.pid))
    code = process.wait()
    kill_all(process.pid)
    bury()
    sys.exit(code if code >= 0 else SIGNALLED - code)


if __name__ == "__main__":
    main()
