"""Processes of the benchmark's own, spoken to in lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MODULES = Path(__file__).parents[1]

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Sends an order and returns the answer to it."""


class SilentProcessError(Exception):
    """A process ended without an answer; its words are on standard error."""


@contextmanager
def child(module: str) -> Iterator[Ask]:
    """Run a module in a process that ends when its standard input does, also if we are killed."""
    with subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_MODULES)},
    ) as process:
        orders, answers = process.stdin, process.stdout
        assert orders is not None
        assert answers is not None

        def _ask(order: Mapping[str, Any]) -> dict[str, Any]:
            orders.write(json.dumps(order) + "\n")
            orders.flush()
            line = answers.readline()
            if not line:
                raise SilentProcessError(f"{module} ended with {process.wait()}")
            answer: dict[str, Any] = json.loads(line)
            return answer

        try:
            yield _ask
        finally:
            orders.close()
            process.wait()


def orders() -> Iterator[dict[str, Any]]:
    """Yield what a process is asked, until its standard input ends."""
    for line in sys.stdin:
        yield json.loads(line)


def answer(told: Mapping[str, Any]) -> None:
    """Answer the last order."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
