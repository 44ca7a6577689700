"""Who is measured: each takes the same messages and writes their records in its own way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Servers:
    """The URLs of PostgreSQL and Valkey."""

    postgres: str
    redis: str


Competitor = Callable[[Servers, Scenario], AbstractContextManager[Callable[[], object]]]
"""Connects when entered, and gives what is then timed: from the messages to the last commit."""
