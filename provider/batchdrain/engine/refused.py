"""Turns the refused records of a batch into rows for `<table>_errors`."""

from __future__ import annotations

from batchdrain.engine.error_table import ErrorRow
from batchdrain.engine.json_text import shown
from batchdrain.engine.plan import Plan
from batchdrain.engine.records import BatchResult, Record
from batchdrain.engine.run import Run


def error_rows(plan: Plan, result: BatchResult, queue: str | None, run: Run) -> list[ErrorRow]:
    """Return one row per refused record of the plan's batch, in queue order."""
    rows = []
    for record, entry in zip(plan.records, result.results, strict=True):
        if entry.refusal is None:
            continue
        client_id, ver = (record.members.get(name) for name in ("client_id", "ver"))
        rows.append(
            ErrorRow(
                record_id=entry.record_id,
                client_id=None if client_id is None else shown(client_id),
                ver=None if ver is None else shown(ver),
                operation=entry.operation,
                refusal=entry.refusal,
                data=record.data if isinstance(record, Record) else record.body,
                fields=None if isinstance(record, Record) else record.fields,
                queue=queue,
                message_id=record.message_id or None,
                run=run,
            )
        )
    return rows
