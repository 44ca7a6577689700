"""The Param that chooses tables."""

from __future__ import annotations

from airflow.sdk import Param

from batchdrain.allow_list import AllowList


def tables_param(allowed: AllowList | None, description: str) -> Param:
    """Return it; without a list of names the tables are free text.

    The form sends null where a choice was taken back.
    """
    title = "Tables"
    if allowed is None or allowed.any_table:
        return Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            title=title,
            description=f"{description} One per line.",
        )
    names = list(allowed.names)
    return Param(
        [],
        type=["null", "array"],
        items={"type": "string", "enum": names},
        examples=names,
        title=title,
        description=description,
    )
