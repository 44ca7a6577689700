"""The form that Airflow shows when somebody triggers a drain by hand."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from batchdrain.allow_list import AllowList
from batchdrain.dags.tables_param import tables_param
from batchdrain.engine.settings import STATEMENT_STYLES

_AS_CONFIGURED = "Empty: as configured."


def trigger_form(allowed: AllowList | None) -> dict[str, Param]:
    """Return the Params of a drain DAG; without a list of names the tables are free text."""
    return {
        "tables": tables_param(allowed, "The tables to drain. Empty: all of them."),
        "batch_size": _records(
            "Batch size",
            "The records in one transaction; without it batches adapt to the time that they take, "
            "unless a number is configured.",
            examples=[500, 1000, 5000],
        ),
        "min_batch_size": _records(
            "Smallest adaptive batch", "The fewest records, where batches adapt."
        ),
        "max_batch_size": _records(
            "Largest adaptive batch", "The most records, where batches adapt."
        ),
        "max_records": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Most records per queue",
            description=f"Each drain ends after about this many. {_AS_CONFIGURED}",
            section="Limits",
        ),
        "max_seconds": Param(
            None,
            type=["null", "number"],
            minimum=1,
            title="Most seconds per queue",
            description=f"Each drain ends at the next batch boundary then. {_AS_CONFIGURED}",
            section="Limits",
        ),
        "statement_style": Param(
            None,
            type=["null", "string"],
            enum=[None, *STATEMENT_STYLES],
            values_display={
                "recordset": "recordset: the faster one",
                "values": "values: one parameter for each value",
            },
            title="Statement style",
            description="How records become statements; the results are the same. "
            f"{_AS_CONFIGURED}",
            section="Limits",
        ),
        "max_refused_share": Param(
            None,
            type=["null", "number"],
            minimum=0,
            maximum=1,
            title="Brake",
            description="A drain stops, and consumes nothing more, when more than this share of "
            f"its records would be refused; 1 switches the brake off. {_AS_CONFIGURED}",
            section="Safety",
        ),
        "accept_rewound": Param(
            False,
            type="boolean",
            title="Accept queues that went back",
            description="Go on with a queue that holds less than PostgreSQL has applied (Redis was "
            "restored, failed over or emptied). Messages may have been lost, or may come twice.",
            section="Safety",
        ),
    }


def _records(title: str, description: str, **more: Any) -> Param:
    """Return the Param of a number of records in a batch."""
    return Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=100_000,
        title=title,
        description=f"{description} {_AS_CONFIGURED}",
        section="Limits",
        **more,
    )
