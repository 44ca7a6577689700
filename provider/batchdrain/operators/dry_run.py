"""What a dry run tells: in the drain's log, in XCom, and in the summary of its run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from batchdrain.drain import Rehearsal
from batchdrain.operators.drain_log import on_one_line, refused_lines
from batchdrain.operators.form_check import flag
from batchdrain.operators.text_table import aligned

_COLUMNS_LENGTH = 1_000

_HEAD = ("queue", "table", "waiting", "messages", "records", "would apply", "would refuse")


def is_dry_run(params: Mapping[str, Any]) -> bool:
    """Return the Param `dry_run`. Raises ConfigurationError if it is neither true nor false."""
    return flag(params, "dry_run")


def report(log: logging.Logger | Any, told: Rehearsal) -> None:
    """Write what a drain would do: columns and ids, never values."""
    for change in told.changes:
        columns = on_one_line(", ".join(change.columns), _COLUMNS_LENGTH)
        log.info(
            "would apply: %s of %d records, columns %s", change.operation, change.records, columns
        )
    for line in refused_lines(told.result):
        log.info("would refuse: %s", line)
    for remark in told.remarks:
        log.warning("%s: %s", told.queue, remark)
    if told.brake is not None:
        log.warning("%s: %s", told.queue, told.brake)
    log.info("%s", told.sentence())


def counts(told: Rehearsal) -> dict[str, Any]:
    """Return a dry run's figures for XCom; none has the name of what a drain has really done."""
    return {
        "dry_run": True,
        "queue": told.queue,
        "table": told.table,
        "waiting": told.waiting,
        "messages": told.messages,
        "records": len(told.result.results),
        "would_apply": told.result.applied,
        "would_refuse": told.result.refused,
        "brake": told.brake,
        "remarks": list(told.remarks),
        "seconds": round(told.seconds, 3),
    }


def summary(
    log: logging.Logger | Any, tried: Sequence[Mapping[str, Any]], listed: Sequence[str]
) -> dict[str, Any]:
    """Write what the drains of a dry run have found, and return it.

    `tried` are their figures, `listed` the queues that they were to try.
    """
    if tried:
        rows = [[each[name.replace(" ", "_")] for name in _HEAD] for each in tried]
        for line in aligned(_HEAD, rows):
            log.info("%s", line)
    for each in tried:
        if each["brake"]:
            log.warning("%s: %s", each["queue"], each["brake"])
    known = {each["queue"] for each in tried}
    failed = [queue for queue in listed if queue not in known]
    if failed:
        log.warning("could not be tried, see the logs of their tasks: %s", ", ".join(failed))
    applied, refused = (
        sum(each[name] for each in tried) for name in ("would_apply", "would_refuse")
    )
    log.info(
        "dry run: of %d queues %d records would be applied and %d refused; nothing was changed",
        len(tried),
        applied,
        refused,
    )
    return {"dry_run": True, "tried": [dict(each) for each in tried], "failed": failed}
