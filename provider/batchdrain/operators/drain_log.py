"""What a drain writes into its task's log: one line per batch, refused records by type."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from batchdrain.drain import BatchReport, DrainLimits
from batchdrain.engine.records import BatchResult

IDS_SHOWN = 10
"""Of each type of error in a batch, so many record ids are named."""

_ID_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Tally:
    """What one try has committed so far; `size` is the records' JSON in bytes."""

    batches: int = 0
    records: int = 0
    applied: int = 0
    refused: int = 0
    size: int = 0

    def plus(self, report: BatchReport) -> Tally:
        """Return the tally with one more batch."""
        result = report.result
        return Tally(
            self.batches + 1,
            self.records + len(result.results),
            self.applied + result.applied,
            self.refused + result.refused,
            self.size + report.size,
        )

    def sentence(self) -> str:
        """Say it, as the end of a line that tells of a failure."""
        if not self.batches:
            return "; this try has committed nothing"
        return (
            f"; this try has committed {self.batches} batches: {self.applied} applied, "
            f"{self.refused} refused"
        )


class LogObserver:
    """Writes a drain's batches and notes; row values never, record ids only for refused records."""

    def __init__(self, log: logging.Logger | Any) -> None:
        self._log = log
        self.tally = Tally()

    def batch(self, report: BatchReport) -> None:
        """Write one line for a committed batch, and a folded group if records were refused."""
        self.tally = self.tally.plus(report)
        result = report.result
        isolated = ", isolated" if result.isolated else ""
        rate = len(result.results) / report.seconds if report.seconds else 0.0
        self._log.info(
            "batch %d: %d messages, %d records (%d bytes), %d applied, %d refused%s, "
            "%.3f s, %.0f records/s, position %s",
            report.number,
            report.messages,
            len(result.results),
            report.size,
            result.applied,
            result.refused,
            isolated,
            report.seconds,
            rate,
            report.position,
        )
        if result.refused:
            self._refused(report)

    def sized(self, records: int, reason: str) -> None:
        """Write how many records the next batches have, and why."""
        self._log.info("batches of %d records from here on: %s", records, reason)

    def note(self, sentence: str) -> None:
        """Write a sentence."""
        self._log.warning("%s", sentence)

    def _refused(self, report: BatchReport) -> None:
        self._log.info("::group::Refused in batch %d", report.number)
        for line in refused_lines(report.result):
            self._log.info("%s", line)
        self._log.info("::endgroup::")


def refused_lines(result: BatchResult) -> list[str]:
    """Return a line for each type of error and field: how many records, and some of their ids."""
    ids: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in result.results:
        if entry.refusal is not None:
            kind = (entry.refusal.error_type, entry.refusal.field or "")
            ids[kind].append(shown(entry.record_id))
    lines = []
    for (error_type, field), records in sorted(ids.items()):
        where = f" in {field}" if field else ""
        more = len(records) - IDS_SHOWN
        rest = f" and {more} more" if more > 0 else ""
        lines.append(f"{error_type}{where}: {len(records)}: {', '.join(records[:IDS_SHOWN])}{rest}")
    return lines


def shown(record_id: str | None) -> str:
    """Return a record's id on one line and not too long, `(no id)` where it has none."""
    return "(no id)" if record_id is None else on_one_line(record_id, _ID_LENGTH)


def on_one_line(text: str, length: int) -> str:
    """Return a text without line breaks, cut where it is too long."""
    line = text if text.isprintable() else repr(text)
    return line if len(line) <= length else f"{line[:length]}\u2026"


def size_in_words(limits: DrainLimits) -> str:
    """Say how many records a batch may have."""
    sizes = limits.sizes
    if sizes.least == sizes.most:
        return str(sizes.first)
    return f"{sizes.least} to {sizes.most} (about {sizes.target:g} s, {sizes.first} at first)"
