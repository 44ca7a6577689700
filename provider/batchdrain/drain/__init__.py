"""Joins a queue and an engine. Runs without Airflow."""

from batchdrain.drain.intake import MessageFormat
from batchdrain.drain.linger import Linger
from batchdrain.drain.loop import drain
from batchdrain.drain.rehearsal import Rehearsal, rehearse
from batchdrain.drain.report import (
    BatchReport,
    DrainLimits,
    DrainObserver,
    DrainOutcome,
    Ending,
    StopSignal,
)

__all__ = [
    "BatchReport",
    "DrainLimits",
    "DrainObserver",
    "DrainOutcome",
    "Ending",
    "Linger",
    "MessageFormat",
    "Rehearsal",
    "StopSignal",
    "drain",
    "rehearse",
]
