"""Reads what set statements and the isolation block tell about single records."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from batchdrain.engine.catalog import Table
from batchdrain.engine.failures import condition_name
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Refusal
from batchdrain.errors import TransientError


class OvertakenError(TransientError):
    """Another session changed rows while a batch waited for them; a second attempt sees them."""

    def __init__(self, table: Table) -> None:
        super().__init__(
            f"rows of table {table.qualified_name} were changed by another session while a batch "
            "waited for them"
        )


NOT_FOUND = Refusal("not_found", "there is no row with this key")


def elsewhere(table: Table) -> Refusal:
    """Return the refusal of a record whose row belongs to another scope."""
    return Refusal(
        error_type="scope_mismatch",
        message="the row with this key belongs to another scope",
        field=", ".join(s.column for s in table.scope if s.column not in table.key) or None,
    )


def read_report(
    row: Sequence[Any] | None, records: Sequence[Ready], table: Table
) -> dict[int, Refusal]:
    """Return the refusals in a set statement's report, by ordinal.

    The report has three arrays of 1-based positions in `records`: keys that do not exist, keys that
    exist outside the record's scope, and rows that another session has changed meanwhile. Raises
    OvertakenError where there are any of these: nobody knows by now what became of their records.
    """
    missing, outside, overtaken = row or (None, None, None)
    if overtaken:
        raise OvertakenError(table)
    refused = {records[n - 1].ordinal: NOT_FOUND for n in missing or ()}
    refused.update({records[n - 1].ordinal: elsewhere(table) for n in outside or ()})
    return refused


def read_outcome(
    outcome: str, table: Table, doubtful_field: Callable[[int], str | None]
) -> dict[int, Refusal]:
    """Return the refusals that the isolation block left, by ordinal.

    `doubtful_field` names the column of a record whose JSON jsonb does not take.
    """
    refused: dict[int, Refusal] = {}
    for entry in json.loads(outcome):
        ordinal = entry["ordinal"]
        if "missing" in entry:
            refused[ordinal] = NOT_FOUND if entry["missing"] else elsewhere(table)
            continue
        field = entry["field"] or None
        if not entry["readable"]:
            field = doubtful_field(ordinal)
        constraint = entry["constraint"] or None
        refused[ordinal] = Refusal(
            error_type=condition_name(entry["state"]),
            message=entry["message"],
            sqlstate=entry["state"],
            field=field or constrained(table, constraint),
            constraint=constraint,
        )
    return refused


def constrained(table: Table, constraint: str | None) -> str | None:
    """Return the columns of one of the table's constraints, joined by commas."""
    columns = table.constraints.get(constraint) if constraint else None
    return ", ".join(columns) if columns else None
