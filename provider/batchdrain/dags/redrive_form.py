"""The form of a DAG that works on refused records."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from batchdrain.allow_list import AllowList
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
        **_which(),
        **_mending(),
    }


def _which() -> dict[str, Param]:
    return {
        "ids": Param(
            [],
            type=["null", "array"],
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
    }


def _mending() -> dict[str, Param]:
    return {
        "set_columns": Param(
            {},
            type="object",
            title="Set columns",
            description="Columns that get another value in every record before it is applied.",
            section="Mend",
        ),
        "drop_columns": Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            title="Leave columns out",
            description="Columns that are left out of every record; one per line.",
            section="Mend",
        ),
    }


def _one_of(names: list[str]) -> dict[str, Any]:
    return {"enum": [None, *names], "values_display": {"null": "none chosen"}} if names else {}


def _choices(title: str, description: str, **more: Any) -> Param:
    return Param(
        [],
        type=["null", "array"],
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
