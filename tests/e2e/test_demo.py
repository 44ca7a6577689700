"""The guided run, stopped half way: nothing of it stays on the machine."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

PATIENCE = 120.0
COMPONENTS = {"api-server", "scheduler", "dag-processor", "triggerer"}


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A short temporary folder that other users may enter, as servers need it."""
    folder = Path(tempfile.mkdtemp(prefix="demo", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_stopped_leaves_no_process_and_no_file(
    temporary: Path, number: signal.Signals
) -> None:
    """Ctrl-C, a polite kill and SIGKILL, while Airflow's components are starting."""
    with subprocess.Popen(
        [sys.executable, "-m", "batchdrain.demo", "run"],
        cwd=temporary,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        started = processes_with_all_components(demo.pid)
        assert list(temporary.iterdir())

        demo.send_signal(number)

        assert demo.wait(PATIENCE) == (-number if number == signal.SIGKILL else 130)
        _, alive = psutil.wait_procs(started, timeout=PATIENCE)
        assert alive == []
        deadline = time.monotonic() + PATIENCE
        while list(temporary.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(temporary.iterdir()) == []


def processes_with_all_components(pid: int) -> list[psutil.Process]:
    """Wait until the demo has started Airflow's components; returns all of its descendants."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
        if {word for process in found for word in words(process)} >= COMPONENTS:
            return found
        time.sleep(0.1)
    raise AssertionError("The demo did not start Airflow's components.")


def words(process: psutil.Process) -> list[str]:
    """Return a process's command line, nothing when it has just ended."""
    try:
        line: list[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return []
    return line
