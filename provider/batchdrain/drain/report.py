"""What a drain is told, and what it tells while it runs and at its end."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from batchdrain.engine.records import BatchResult
from batchdrain.engine.sizing import SizeLimits
from batchdrain.errors import ConfigurationError


class Ending(StrEnum):
    """Why a drain ended without an error."""

    EMPTY = "empty"
    MAX_RECORDS = "max_records"
    MAX_SECONDS = "max_seconds"
    STOPPED = "stopped"
    HELD = "held"
    HANDED_OVER = "handed over"


@dataclass(frozen=True, slots=True)
class DrainLimits:
    """How much a drain takes at once and in all; times in seconds, sizes in bytes.

    A batch ends with the message that reaches a limit: messages are never split. The first has
    `batch_records` records; where `least_batch_records` or `most_batch_records` differ from that,
    later ones get so many that each takes about `batch_seconds`. `attempts`
    bounds how often a batch is tried when a server is away or a lock is not to be had.
    `max_refused_share` is the brake: above it, once `brake_after` records were seen, the batch at
    hand is rolled back and the drain fails.
    """

    batch_records: int = 1000
    least_batch_records: int | None = None
    most_batch_records: int | None = None
    batch_seconds: float = 0.25
    batch_bytes: int = 8 * 1024 * 1024
    max_records: int | None = None
    max_seconds: float | None = None
    max_refused_share: float = 0.5
    brake_after: int = 1000
    attempts: int = 7
    first_pause: float = 0.2
    longest_pause: float = 5.0

    @property
    def sizes(self) -> SizeLimits:
        """The limits of a batch's records; raises ConfigurationError if they contradict."""
        first = self.batch_records
        least, most = self.least_batch_records, self.most_batch_records
        return SizeLimits(
            first=first,
            least=first if least is None else least,
            most=first if most is None else most,
            target=self.batch_seconds,
        )

    def __post_init__(self) -> None:
        """Check the limits.

        Raises ConfigurationError that names the limit.
        """
        for name in ("batch_records", "batch_bytes", "attempts"):
            if getattr(self, name) < 1:
                raise ConfigurationError(
                    f"{name} must be at least 1, not {getattr(self, name)}: set it to how much "
                    "one transaction may hold (1000 records are a good start)"
                )
        _ = self.sizes
        for name in ("max_records", "max_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigurationError(f"{name} must be above 0, or left out, not {value}")
        if not 0 <= self.max_refused_share <= 1:
            raise ConfigurationError(
                f"max_refused_share is a share from 0 to 1, not {self.max_refused_share}"
            )


class StopSignal:
    """Asks a drain to end at its next batch boundary; safe from threads and signal handlers."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask for the end."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until somebody asks; True if so."""
        return self._event.wait(seconds)


@dataclass(frozen=True, slots=True)
class BatchReport:
    """One committed batch: `number` counts from 1, `size` is the records' JSON in bytes."""

    number: int
    messages: int
    size: int
    seconds: float
    position: str
    result: BatchResult


class DrainObserver(Protocol):
    """Whoever wants to know what a drain does, while it does it."""

    def batch(self, report: BatchReport) -> None:
        """Called after each batch has been committed."""
        ...

    def sized(self, records: int, reason: str) -> None:
        """Called when later batches get another number of records, with why."""
        ...

    def note(self, sentence: str) -> None:
        """Called with a sentence for people (without row values)."""
        ...


class Silent:
    """An observer that keeps everything to itself."""

    def batch(self, report: BatchReport) -> None:
        """Ignore the batch."""

    def sized(self, records: int, reason: str) -> None:
        """Ignore the size."""

    def note(self, sentence: str) -> None:
        """Ignore the sentence."""


@dataclass(frozen=True, slots=True)
class DrainOutcome:
    """What one drain did.

    `left` counts the messages that Redis still held at its end; `remark` says more about
    the ending.
    """

    queue: str
    table: str
    ending: Ending
    messages: int
    records: int
    applied: int
    refused: int
    lost: int
    batches: int
    isolated: int
    seconds: float
    left: int
    remark: str | None = None

    def counts(self) -> dict[str, Any]:
        """Return all but the remark, as XCom and asset events have it."""
        return {
            "queue": self.queue,
            "table": self.table,
            "ending": str(self.ending),
            "messages": self.messages,
            "records": self.records,
            "applied": self.applied,
            "refused": self.refused,
            "lost": self.lost,
            "batches": self.batches,
            "isolated": self.isolated,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }

    def sentence(self) -> str:
        """Say it in one line."""
        remark = f" ({self.remark})" if self.remark else ""
        lost = f", {self.lost} lost before they were read" if self.lost else ""
        return (
            f"{self.queue} → {self.table}: {self.ending}{remark}: {self.applied} applied, "
            f"{self.refused} refused in {self.batches} batches ({self.isolated} isolated) and "
            f"{self.seconds:.2f} s, {self.left} left{lost}"
        )
