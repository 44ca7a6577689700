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
        constraint = entry["constraint"] or None
        field = None if entry["readable"] else doubtful_field(ordinal)
        of_table = (entry["schema"], entry["table"])
        refused[ordinal] = Refusal(
            error_type=condition_name(entry["state"]),
            message=entry["message"],
            sqlstate=entry["state"],
            field=field or at_fault(table, of_table, entry["field"], constraint),
            constraint=constraint,
        )
    return refused


def at_fault(
    table: Table, of_table: tuple[str, str], column: str | None, constraint: str | None
) -> str | None:
    """Return the column at fault, or those of the constraint, joined by commas.

    The arguments are PostgreSQL's diagnostics; `of_table` are schema and name, empty where it tells
    none. A trigger or a cascade may fail in another table, whose columns and constraints can have
    the names of this one's: then nothing is at fault here, but where that table refers to this one.
    """
    schema, name = of_table
    foreign = bool(name) and (schema or table.schema, name) != (table.schema, table.name)
    columns = table.constraints.get(constraint or "", ())
    if foreign:
        referring = table.references.get((schema, name, constraint or ""))
        # It may be a partition, and a newer one than `table` tells of.
        if referring is not None or not table.partitioned:
            return ", ".join(referring or ()) or None
        if column and all(column != own.name for own in table.columns):
            return None
    return column or ", ".join(columns) or None
