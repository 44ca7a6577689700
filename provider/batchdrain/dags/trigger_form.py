"""The form that Airflow shows when somebody triggers a drain by hand."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.dags.tables_param import tables_param
from batchdrain.engine.settings import STATEMENT_STYLES

_AS_CONFIGURED = "Empty: as configured."

_MOST_AT_ONCE = 100_000
_MOST_RECORDS = 1_000_000_000
_MOST_SECONDS = 86_400


def trigger_form(allowed: AllowList | None) -> dict[str, Param]:
    """Return the Params of a drain DAG; without a list of names the tables are free text.

    Their limits bound what a person may have meant; the options of the section go further.
    """
    return {
        "tables": tables_param(allowed, "The tables to drain. Empty: all of them."),
        **_batches(),
        **_limits(),
        "statement_style": Param(
            None,
            type=["null", "string"],
            enum=[None, *STATEMENT_STYLES],
            values_display={
                "null": "as configured",
                "recordset": "recordset: the faster one",
                "values": "values: one parameter for each value",
            },
            examples=list(STATEMENT_STYLES),
            title="Statement style",
            description="How records become statements; the results are the same. "
            f"{_AS_CONFIGURED}",
            section="Statements",
        ),
        **_safety(),
        **_dry_run(),
    }


def _batches() -> dict[str, Param]:
    return {
        "batch_size": _number(
            "Batch size",
            "The records in one transaction, 1000 say; without it batches adapt to the time that "
            "they take, unless a number is configured.",
            "Batches",
            [500, 1000, 5000],
        ),
        "min_batch_size": _number(
            "Smallest adaptive batch",
            "The fewest records, 100 say, where batches adapt.",
            "Batches",
            [100, 500],
        ),
        "max_batch_size": _number(
            "Largest adaptive batch",
            "The most records, 5000 say, where batches adapt; not below the smallest.",
            "Batches",
            [5000, 20_000],
        ),
    }


def _limits() -> dict[str, Param]:
    return {
        "max_records": _number(
            "Most records per queue",
            "Each drain ends after about this many, 100000 say.",
            "Limits of each queue",
            [10_000, 100_000],
            maximum=_MOST_RECORDS,
        ),
        "max_seconds": _number(
            "Most seconds per queue",
            "Each drain ends at the next batch boundary after this time, 60 say.",
            "Limits of each queue",
            [60, 300],
            kind="number",
            maximum=_MOST_SECONDS,
        ),
    }


def _safety() -> dict[str, Param]:
    return {
        "max_refused_share": _number(
            "Brake",
            "A drain stops, and consumes nothing more, when more than this share of its records "
            "would be refused, 0.1 say; 1 switches the brake off.",
            "Safety",
            [0.1, 1],
            kind="number",
            minimum=0,
            maximum=1,
        ),
        "accept_rewound": Param(
            False,
            type="boolean",
            examples=[True],
            title="Accept queues that went back",
            description="Go on with a queue that holds less than PostgreSQL has applied (Redis was "
            "restored, failed over or emptied). Messages may have been lost, or may come twice.",
            section="Safety",
        ),
    }


def _dry_run() -> dict[str, Param]:
    return {
        "dry_run": Param(
            False,
            type="boolean",
            examples=[True],
            title="Dry run",
            description="Only try the oldest records of each queue, in a transaction that is "
            "rolled back, and tell in the log what would be applied and refused. Nothing is "
            "changed, and no drain is thrown out.",
            section="Dry run",
        ),
        options.DRY_RUN_LIMIT.name: _number(
            "Most records to try",
            "A dry run tries so many of each queue, 1000 say, and keeps their rows locked until "
            "it is over.",
            "Dry run",
            [200, 1000],
        ),
    }


def _number(
    title: str,
    description: str,
    section: str,
    examples: list[Any],
    *,
    kind: str = "integer",
    minimum: int = 1,
    maximum: int = _MOST_AT_ONCE,
) -> Param:
    """Return the Param of a number, which may be left empty."""
    return Param(
        None,
        type=["null", kind],
        minimum=minimum,
        maximum=maximum,
        examples=examples,
        title=title,
        description=f"{description} {_AS_CONFIGURED}",
        section=section,
    )
