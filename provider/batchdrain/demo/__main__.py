"""The guided run: `python -m batchdrain.demo run`, or `up` to keep it running."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from batchdrain.demo.airflow_client import AirflowApiError
from batchdrain.demo.run import run
from batchdrain.demo.up import up
from batchdrain.errors import BatchdrainError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
"""The exit code of a command that was stopped by Ctrl-C, as shells have it."""


def main() -> int:
    """Run the command that the arguments name and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m batchdrain.demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="drain 24,000 real messages, reconcile, leave nothing behind")
    keeping = commands.add_parser("up", help="the same installation, kept running until Ctrl-C")
    keeping.add_argument("--data", type=Path, default=Path(".demo"), help="folder that keeps it")
    arguments = parser.parse_args()
    for number in STOPPING:
        signal.signal(number, _interrupt)
    try:
        return run() if arguments.command == "run" else up(arguments.data)
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return INTERRUPTED
    except (BatchdrainError, AirflowApiError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # Stopping takes some seconds, and a second Ctrl-C must not cut it short.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
