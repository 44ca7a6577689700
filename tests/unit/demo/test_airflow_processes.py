"""Stopping Airflow: whatever its components started is gone, whether it listens or not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from batchdrain.demo import airflow_processes
from batchdrain.demo.airflow_processes import stop_sessions

STUBBORN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)  # as Airflow's tasks do
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
time.sleep(60)
"""


def test_processes_that_ignore_sigterm_in_groups_of_their_own_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_processes, "GRACE", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN, str(tmp_path)], start_new_session=True
    ) as leader:
        deadline = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        started = [psutil.Process(int(file.name)) for file in tmp_path.iterdir()]
        assert len(started) == 2

        stop_sessions({leader.pid})

        leader.wait()
        _, alive = psutil.wait_procs(started, timeout=10)
        assert alive == []
