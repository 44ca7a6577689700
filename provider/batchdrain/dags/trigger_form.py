"""The forms that Airflow shows when somebody triggers a DAG by hand."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from batchdrain.allow_list import AllowList
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.operators.control_queues import ACTIONS, MOST_MESSAGES
from batchdrain.operators.redrive_errors import MOST_RECORDS, REDRIVE_ACTIONS

_COMMON_ERRORS = [
    "foreign_key_violation",
    "unique_violation",
    "not_null_violation",
    "check_violation",
    "invalid_text_representation",
    "not_found",
    "scope_mismatch",
]

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


def redrive_form(allowed: AllowList | None) -> dict[str, Param]:
    """Return the Params of a DAG that works on refused records."""
    names = [] if allowed is None else list(allowed.names)
    return {
        "action": Param(
            REDRIVE_ACTIONS[0],
            type="string",
            enum=list(REDRIVE_ACTIONS),
            values_display={
                "inspect": "inspect: show the records, without their values",
                "redrive": "redrive: apply the records again",
                "discard": "discard: resolve the records without applying them",
            },
            title="Action",
            description="Only records that are not resolved yet are meant.",
        ),
        "table": Param(
            names[0] if len(names) == 1 else None,
            type=["null", "string"],
            title="Table",
            description="The table whose refused records are meant.",
            **_one_of(names),
        ),
        "error_types": _choices(
            "Error types",
            "Only records that were refused for these, as column error_type names them; one per "
            "line. Empty: all.",
            examples=_COMMON_ERRORS,
        ),
        "clients": _choices("Clients", "Only records of these clients; one per line. Empty: all."),
        "ids": Param(
            [],
            type="array",
            items={"type": "integer"},
            title="Rows",
            description="Only these rows of the error table, by their id. Empty: all.",
            section="Which records",
        ),
        "since": _time("From", "Only records that were refused at this time or later."),
        "until": _time("Before", "Only records that were refused before this time."),
        "most": Param(
            10_000,
            type="integer",
            minimum=1,
            maximum=MOST_RECORDS,
            title="Most records",
            description="The oldest come first. Counted anew if the task is tried again.",
            section="Which records",
        ),
        "set_columns": Param(
            {},
            type="object",
            title="Set columns",
            description="Columns that get another value in every record before it is applied.",
            section="Mend",
        ),
        "drop_columns": Param(
            [],
            type="array",
            items={"type": "string"},
            title="Leave columns out",
            description="Columns that are left out of every record; one per line.",
            section="Mend",
        ),
    }


def _one_of(names: list[str]) -> dict[str, Any]:
    return {"enum": [None, *names]} if names else {}


def _choices(title: str, description: str, **more: Any) -> Param:
    return Param(
        [],
        type="array",
        items={"type": "string"},
        title=title,
        description=description,
        section="Which records",
        **more,
    )


def _time(title: str, description: str) -> Param:
    return Param(
        None,
        type=["null", "string"],
        format="date-time",
        title=title,
        description=description,
        section="Which records",
    )


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
