"""What a page of refused records offers to apply them again: a DAG, and what fills its form in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from batchdrain import configuration as options
from batchdrain.engine.refused_view import RefusedView, Shown
from batchdrain.errors import ConfigurationError
from batchdrain.plugins import page
from batchdrain.plugins.access import form_of, may_read, tasks_of
from batchdrain.plugins.reach import Reach, reach_of

MOST_IDS = 1_000
"""Rows that a form is given by their ids."""

_NO_DAG = (
    "There is no DAG that you may see that applies them again: build_redrive_dag makes one, and "
    "the option redrive_dag names it."
)


def offer(asked: page.Request, reach: Reach, view: RefusedView, user: Any) -> page.Replay | str:
    """Return the DAG that applies the page's rows again, or a sentence that says why none does.

    `reach` is that of the page: the DAG has to work on the same table of the same database.
    """
    dag_id = options.REDRIVE_DAG.read()
    if not may_read(dag_id, user):
        return _NO_DAG
    unfit = misfit(dag_id, tasks_of(dag_id) or (), reach.connection, str(asked.table))
    if unfit is not None:
        return unfit
    ids = ids_of_run(asked, view)
    return ids if isinstance(ids, str) else page.Replay(dag_id, form_of(dag_id), ids)


def misfit(dag_id: str, tasks: Iterable[Any], connection: str, table: str) -> str | None:
    """Tell why a DAG with these tasks can't apply rows of a table again; None where it can."""
    named = f"The DAG {dag_id}, which the option redrive_dag names,"
    try:
        reaches = reach_of(tasks)
    except ConfigurationError as error:
        return f"{named} does not tell which tables it works on: {error}"
    if not reaches:
        why = "does not tell which tables it works on before it runs"
    elif connection not in reaches:
        why = f"does not work by the connection {connection}"
    elif not reaches[connection].covers(table):
        why = f"does not cover the table {table}"
    else:
        return None
    return f"{named} {why}, so it can't apply these again: build_redrive_dag makes one that does."


def ids_of_run(asked: page.Request, view: RefusedView) -> list[int] | str | None:
    """Return the ids of the rows to choose, None where the form's other fields choose the same.

    The form knows no runs: what a page shows of one run is chosen by its rows. A sentence says why
    that can't be done, for a form without ids would choose the rows of every run.
    """
    if asked.run is None or not view.knows_runs:
        return None
    ids = view.ids(Shown(asked.error_type, asked.run), MOST_IDS)
    if ids is None:
        return (
            "What is shown of this run can't be chosen in the form of a replay: it is more than "
            f"{MOST_IDS:,} rows, or they have no id that is a number. Narrow it down by error "
            "type, or leave the run out."
        )
    return ids or "No row of this run is left to be applied again."
