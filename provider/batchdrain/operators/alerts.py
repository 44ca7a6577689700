"""Thresholds that somebody wants to hear of when a run crosses them. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from batchdrain import configuration as options
from batchdrain.engine.batch_log import Totals
from batchdrain.operators.message_age import waited


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is too much; None never is.

    The shares are of a run's records and batches, `backlog` is in messages and `oldest` in seconds,
    each of one queue.
    """

    refused_share: float | None = None
    isolated_share: float | None = None
    backlog: int | None = None
    oldest: float | None = None

    @classmethod
    def read(cls) -> Thresholds:
        """Read section `[batchdrain]`."""
        return cls(
            options.ALERT_REFUSED_SHARE.read(),
            options.ALERT_ISOLATED_SHARE.read(),
            options.ALERT_BACKLOG.read(),
            options.ALERT_OLDEST.read(),
        )

    @property
    def of_queues(self) -> bool:
        """Whether the queues have to be looked at."""
        return self.backlog is not None or self.oldest is not None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in a queue after a run: messages, and the id of the oldest of them."""

    queue: str
    messages: int
    oldest_id: str | None


def crossed(
    thresholds: Thresholds, totals: Sequence[Totals], waiting: Sequence[Waiting], now: datetime
) -> list[str]:
    """Return a sentence with its figures for each threshold that a run has crossed."""
    records, refused = _sum(totals, "records"), _sum(totals, "refused")
    batches, isolated = _sum(totals, "batches"), _sum(totals, "isolated")
    found = [
        *_share("records were refused", refused, records, thresholds.refused_share),
        *_share("batches were isolated", isolated, batches, thresholds.isolated_share),
    ]
    for queue in waiting:
        if thresholds.backlog is not None and queue.messages > thresholds.backlog:
            found.append(
                f"{queue.queue}: {queue.messages} messages wait, more than {thresholds.backlog}"
            )
        age = waited(queue.oldest_id, now)
        if thresholds.oldest is not None and age is not None and age > thresholds.oldest:
            found.append(
                f"{queue.queue}: the oldest message has waited {age:.0f} s, more than "
                f"{thresholds.oldest:g} s"
            )
    return found


def _share(what: str, part: int, whole: int, most: float | None) -> list[str]:
    if most is None or not whole or part / whole <= most:
        return []
    return [f"{part} of {whole} {what} ({part / whole:.1%}), more than {most:.1%}"]


def _sum(totals: Sequence[Totals], name: str) -> int:
    values: list[Any] = [getattr(entry, name) for entry in totals]
    return sum(values)
