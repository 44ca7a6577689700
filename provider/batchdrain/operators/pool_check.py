"""Notices a pool that doesn't exist: Airflow leaves its tasks scheduled for ever, silently.

A task can't ask Airflow for its pools, so two signs stand in: the metadata database where it can be
reached (`dag.test()`, `airflow tasks test`), and drains of earlier runs that wait for a slot while
none runs.
"""

from __future__ import annotations

import time
from typing import Any

from batchdrain.errors import ConfigurationError

DEFAULT_POOL = "default_pool"
PATIENCE_SECONDS = 10.0
"""How long drains may wait while none runs, before the pool is blamed."""

LONG_PATIENCE_SECONDS = 20.0
"""How long the drains of a run may wait for their first slot."""

_POLL_SECONDS = 1.0
_UNDER_WAY = ("queued", "running")
_BEGUN = (*_UNDER_WAY, "success", "failed", "up_for_retry", "skipped", "upstream_failed")


def check_pool(
    pool: str, task: Any, drain_task_id: str, patience: float = PATIENCE_SECONDS
) -> None:
    """Check that tasks in the pool can start; `task` is the running task instance.

    Raises ConfigurationError with a sentence if the pool doesn't exist, or nothing starts in it.
    """
    if pool == DEFAULT_POOL:
        return
    if _known(pool) is False:
        raise ConfigurationError(
            f"The pool {pool!r} does not exist: create it under Admin → Pools or with "
            f"`airflow pools set {pool} 4 batchdrain`, or change the option pool."
        )
    deadline = time.monotonic() + patience
    while waiting := _stuck(task, drain_task_id):
        if time.monotonic() >= deadline:
            raise ConfigurationError(_suspicion(pool, waiting))
        time.sleep(_POLL_SECONDS)


def await_start(
    pool: str, task: Any, drain_task_id: str, patience: float = LONG_PATIENCE_SECONDS
) -> None:
    """Wait until a drain of the run of `task`, or of another run, gets a slot of the pool.

    Where the metadata database can be reached it tells; tasks may run one after the other there, so
    that no drain starts before this one has ended. Raises ConfigurationError with a sentence if
    none does within `patience` seconds.
    """
    if _known(pool):
        return
    deadline = time.monotonic() + patience

    def _drains(states: tuple[str, ...], **where: Any) -> int:
        return int(
            task.get_ti_count(
                dag_id=task.dag_id, task_ids=[drain_task_id], states=list(states), **where
            )
        )

    while not _drains(_BEGUN, run_ids=[task.run_id]) and not _drains(_UNDER_WAY):
        if time.monotonic() >= deadline:
            waiting = _drains(("scheduled",), run_ids=[task.run_id])
            raise ConfigurationError(_suspicion(pool, waiting))
        time.sleep(_POLL_SECONDS)


def _suspicion(pool: str, waiting: int) -> str:
    return (
        f"{waiting} drains wait for a slot of the pool {pool!r} and none runs: the pool "
        "does not exist, or other tasks hold all of it. Create it under Admin → Pools or "
        f"with `airflow pools set {pool} 4 batchdrain`, or give it more slots."
    )


def _stuck(task: Any, drain_task_id: str) -> int:
    """Count this DAG's drains that wait to be queued, 0 as soon as one of them gets its turn."""

    def _count(*states: str) -> int:
        return int(
            task.get_ti_count(dag_id=task.dag_id, task_ids=[drain_task_id], states=list(states))
        )

    waiting = _count("scheduled")
    return 0 if not waiting or _count("queued", "running") else waiting


def _known(pool: str) -> bool | None:
    """Tell whether the metadata database has the pool, None where a task may not ask it."""
    from airflow.models.pool import Pool

    try:
        return Pool.get_pool(pool) is not None
    except (RuntimeError, AttributeError):
        return None
