"""Builds a DAG that drains queues: list_queues → drain, once per queue → summarize_errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseNotifier, MultipleCronTriggerTimetable, Param, TriggerRule

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.cadence import Cadence
from batchdrain.dags.form_params import merged_params
from batchdrain.dags.trigger_form import trigger_form
from batchdrain.errors import ConfigurationError
from batchdrain.operators.backoff import retry_arguments
from batchdrain.operators.drain_queue import PARENT_WAIT_SECONDS, RETRIES, DrainQueueOperator
from batchdrain.operators.list_queues import ListQueuesOperator
from batchdrain.operators.pool_check import DEFAULT_POOL
from batchdrain.operators.summarize_errors import SummarizeErrorsOperator
from batchdrain.operators.watch_pool import WatchPoolOperator

FROM_CONFIGURATION = "from configuration"
"""The schedule that the options cadence, peak_cadence, peak_window and timezone make."""

_DOCS = """
Applies the records that wait in Redis queues to the PostgreSQL tables they belong to, in batches,
each of them exactly once.

**Runs:** {when}. **Tables:** {tables}.

- `list_queues` finds the queues with a backlog. It leaves out those that another run is working on.
- `drain`, once per queue, applies the backlog; tables that others refer to come first. One that
  lingers stays on its empty queue until the next run takes it over.
- `summarize_errors` counts what was applied and what was refused. Refused records are in
  `<table>_errors`, each with the reason.
- `all_drained` makes the run fail if a drain has failed.
- `watch_pool`, where the drains have a pool of their own, tells when they get no slot of it.

Trigger it with **Dry run** to see what would be applied and refused; nothing is changed then.

A drain that fails changes nothing but what it has already committed; its retry goes on from there.
"""


def build_drain_dag(
    dag_id: str,
    *,
    tables: str | Sequence[str] | AllowList | None = None,
    prefix: str | None = None,
    postgres_conn_id: str | None = None,
    redis_conn_id: str | None = None,
    schedule: Any = FROM_CONFIGURATION,
    cadence: int | None = None,
    peak_cadence: int | None = None,
    peak_window: str | None = None,
    timezone: str | None = None,
    linger: str | None = None,
    linger_slots: int | None = None,
    linger_max: float | None = None,
    pool: str | None = None,
    batch_size: int | str | None = None,
    min_batch_size: int | None = None,
    max_batch_size: int | None = None,
    batch_seconds: float | None = None,
    max_records: int | None = None,
    max_seconds: float | None = None,
    max_refused_share: float | None = None,
    reference_retries: int | None = None,
    dry_run_limit: int | None = None,
    left_push: bool | str | Sequence[str] | None = None,
    scope: Mapping[str, str] | str | None = None,
    statement_style: str | None = None,
    parent_wait: float = PARENT_WAIT_SECONDS,
    retries: int = RETRIES,
    max_active_runs: int = 3,
    notifiers: Sequence[BaseNotifier] = (),
    tags: Sequence[str] = (),
    **dag_arguments: Any,
) -> DAG:
    """Return a DAG that drains the queues of some tables into one target database.

    What is left out comes from section `[batchdrain]`; schedule and pool are read here, everything
    else when a task runs. `schedule` is anything that Airflow takes, None for a DAG that is only
    triggered. `parent_wait` bounds, in seconds, how long a table's drain waits for the tables it
    refers to. `notifiers` are called when a run crosses one of the thresholds `alert_…`; without
    any `summarize_errors` fails then. Further arguments go to Airflow's DAG, `params` beside those
    of the trigger form. Opens no connection. Raises ConfigurationError naming the option or the
    argument that is bad.
    """
    tuning = {
        "batch_size": batch_size,
        "min_batch_size": min_batch_size,
        "max_batch_size": max_batch_size,
        "batch_seconds": batch_seconds,
        "max_records": max_records,
        "max_seconds": max_seconds,
        "max_refused_share": max_refused_share,
        "reference_retries": reference_retries,
        "dry_run_limit": dry_run_limit,
        "left_push": left_push,
        "scope": scope,
        "statement_style": statement_style,
        "linger_max": linger_max,
    }
    lingering = {"linger": linger, "linger_slots": linger_slots}
    _check({**tuning, **lingering})
    rhythm: Cadence | None = None
    if schedule == FROM_CONFIGURATION:
        rhythm = options.read_cadence(cadence, peak_cadence, peak_window, timezone)
        schedule = MultipleCronTriggerTimetable(*rhythm.crons(), timezone=rhythm.timezone)
    else:
        _refuse_rhythm(
            cadence=cadence, peak_cadence=peak_cadence, peak_window=peak_window, timezone=timezone
        )
    allowed = options.TABLES.read(tables) if options.TABLES.is_set(tables) else None
    chosen_pool = options.POOL.read(pool)
    stays = options.LINGER.read(linger).words()
    when = rhythm.words() if rhythm else "on a schedule of its own"
    said = f"{when}; {stays}" if stays else when
    shown = {
        "description": f"Drains Redis queues into PostgreSQL: {said}",
        "doc_md": _DOCS.format(when=said, tables=_described(allowed)),
        "start_date": datetime(2025, 1, 1, tzinfo=UTC),
    }
    connections: dict[str, Any] = {
        "prefix": prefix,
        "postgres_conn_id": postgres_conn_id,
        "redis_conn_id": redis_conn_id,
    }
    with DAG(
        dag_id,
        schedule=schedule,
        max_active_runs=max_active_runs,
        tags=["batchdrain", *(when.split("; ") if rhythm else ()), *tags],
        **{**shown, **_dag_arguments(dag_arguments, trigger_form(allowed))},
    ) as dag:
        _add_tasks(
            {
                "tables": tables,
                "cadence": rhythm,
                "drain_pool": chosen_pool,
                **lingering,
                **connections,
            },
            {
                "pool": chosen_pool,
                **tuning,
                "parent_wait": parent_wait,
                **connections,
                **retry_arguments(retries),
            },
            {"tables": tables, "left_push": left_push, "notifiers": notifiers, **connections},
        )
    return dag


def _refuse_rhythm(**arguments: object) -> None:
    given = [name for name, argument in arguments.items() if argument is not None]
    if given:
        raise ConfigurationError(
            f"The argument {given[0]} has no effect on a schedule of your own: leave out either "
            "that or the argument schedule."
        )


def _check(arguments: Mapping[str, object]) -> None:
    """Refuse a bad argument when the file is parsed; a template is known only when a task runs.

    The arguments are named as the options whose place they take.
    """
    known = {option.name: option for option in options.OPTIONS}
    for name, argument in arguments.items():
        template = isinstance(argument, str) and ("{{" in argument or "{%" in argument)
        if argument is not None and not template:
            known[name].read(argument)


def _dag_arguments(given: Mapping[str, Any], form: Mapping[str, Param]) -> dict[str, Any]:
    """Return the further arguments of the DAG, with its own params added to the form.

    Raises ConfigurationError for `catchup`, and for params that are no mapping.
    """
    if given.get("catchup"):
        raise ConfigurationError(
            "The argument catchup can't be set: a run drains what is there, so runs for the past "
            "would find nothing left; leave it out."
        )
    params = merged_params(form, given.get("params"))
    return {**given, "params": params, "catchup": False}


def _add_tasks(
    listing: Mapping[str, Any], draining: Mapping[str, Any], summing_up: Mapping[str, Any]
) -> None:
    """Add the tasks to the DAG at hand; the arguments are those of the three operators."""
    queues = ListQueuesOperator(task_id="list_queues", **listing, **retry_arguments(2))
    drained = DrainQueueOperator.partial(
        task_id="drain",
        map_index_template="{{ task.queue_key | default('?') }}{{ ' (lingers)' if task.linger }}",
        **draining,
    ).expand_kwargs(queues.output)
    summary = SummarizeErrorsOperator(
        task_id="summarize_errors",
        trigger_rule=TriggerRule.ALL_DONE,
        **summing_up,
        **retry_arguments(2),
    )
    drained >> [
        summary,
        EmptyOperator(task_id="all_drained", trigger_rule=TriggerRule.NONE_FAILED),
    ]
    if draining["pool"] != DEFAULT_POOL:
        queues >> WatchPoolOperator(task_id="watch_pool", watched_pool=draining["pool"])


def _described(allowed: AllowList | None) -> str:
    if allowed is None:
        return f"none yet; set {options.TABLES.environment}"
    return "every table that the role may write" if allowed.any_table else ", ".join(allowed.names)
