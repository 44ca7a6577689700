"""The form of a DAG that controls queues."""

from __future__ import annotations

from airflow.sdk import Param

from batchdrain.allow_list import AllowList
from batchdrain.dags.tables_param import tables_param
from batchdrain.operators.control_queues import ACTIONS, MOST_MESSAGES


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
        "tables": tables_param(allowed, "The tables whose queues are meant. Empty: all of them."),
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
