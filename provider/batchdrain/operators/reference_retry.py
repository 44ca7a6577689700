"""Tries records again that a foreign key refused: what they refer to may have come meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import psycopg

from batchdrain.engine.redrive import Redrive, RedriveOutcome
from batchdrain.engine.refused_records import Choice
from batchdrain.errors import BatchdrainError

ERROR_TYPE = "foreign_key_violation"

MOST_RECORDS = 10_000
"""So many records of one table a drain tries again before it turns to its queue."""


def retry_references(
    redrive: Redrive, times: int, log: logging.Logger | Any, stopped: Callable[[], bool]
) -> RedriveOutcome:
    """Apply the records again that a foreign key has refused at most `times` times more.

    Their first refusal counts as one attempt. Whatever goes wrong is told in the log, and keeps
    nobody from draining: the records stay where they are. The counts are told there, too, and
    nowhere else: these records are not among those of the drain.
    """
    choice = Choice(types=(ERROR_TYPE,), most_attempts=times)
    try:
        if redrive.may_have_records():
            redrive.apply(choice, MOST_RECORDS, note=log.debug, stopped=stopped)
    except BatchdrainError as error:
        log.warning("records that a foreign key refused are not tried again: %s", error)
    except psycopg.Error as error:
        log.warning(
            "records that a foreign key refused are not tried again: PostgreSQL reported %s",
            type(error).__name__,
        )
    # What was committed before an error counts as well.
    outcome = redrive.outcome
    if outcome != RedriveOutcome():
        log.info(
            "records that a foreign key had refused: %d applied, %d refused again, %d left alone",
            outcome.applied,
            outcome.refused,
            outcome.skipped,
        )
    return outcome
