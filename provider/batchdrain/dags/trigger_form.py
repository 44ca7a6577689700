"""The forms that Airflow shows when somebody triggers a DAG by hand."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from batchdrain.allow_list import AllowList
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.operators.control_queues import ACTIONS, MOST_MESSAGES

_AS_CONFIGURED = "Empty: as configured."


def control_form(allowed: AllowList | None) -> dict[str, Param]:
    """Return the Params of a DAG that controls queues."""
    return {
        "action": Param(
            ACTIONS[0],
            type="string",
            enum=list(ACTIONS),
            values_display={
                "look": "look: show how the queues stand, and their oldest messages",
                "hold": "hold: apply nothing until the queues are released",
                "release": "release: apply held queues again",
                "remove": "remove: delete the oldest messages of one queue for good",
            },
            title="Action",
            description="A queue on hold keeps its messages, and loses none.",
        ),
        "tables": _tables(allowed, "The tables whose queues are meant. Empty: all of them."),
        "shard": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Shard",
            description="Only this one of a table's queues. Empty: all of them.",
        ),
        "messages": Param(
            10,
            type="integer",
            minimum=1,
            maximum=MOST_MESSAGES,
            title="Messages to look at",
            description="Of each queue so many of the oldest are shown: their columns, no values.",
            section="Look",
        ),
        "remove": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Messages to remove",
            description="How many of the oldest messages of the one queue chosen are deleted, "
            "unapplied, for good.",
            section="Remove",
        ),
        "confirm": Param(
            None,
            type=["null", "string"],
            title="The queue's key",
            description="To confirm: the key of the queue that messages are removed from.",
            section="Remove",
            examples=["batchdrain:flights"],
        ),
    }


def trigger_form(allowed: AllowList | None) -> dict[str, Param]:
    """Return the Params of a drain DAG; without a list of names the tables are free text."""
    return {
        "tables": _tables(allowed, "The tables to drain. Empty: all of them."),
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


def _tables(allowed: AllowList | None, description: str) -> Param:
    title = "Tables"
    if allowed is None or allowed.any_table:
        return Param(
            [],
            type="array",
            items={"type": "string"},
            title=title,
            description=f"{description} One per line.",
        )
    names = list(allowed.names)
    return Param(
        [],
        type="array",
        items={"type": "string", "enum": names},
        examples=names,
        title=title,
        description=description,
    )
