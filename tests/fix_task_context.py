"""A context for operators that tests execute by themselves, outside a DAG run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class TaskStandIn:
    """What our operators ask of a task instance.

    `others` holds states by run id and task, `returned` what tasks of the run have returned.
    """

    dag_id: str = "test_dag"
    run_id: str = "test_run"
    task_id: str = "drain"
    try_number: int = 1
    max_tries: int = 1
    map_index: int = -1
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    waiting: int = 0
    pushed: dict[str, Any] = field(default_factory=dict)
    returned: Mapping[str, Any] = field(default_factory=dict)

    def xcom_pull(self, task_ids: str | list[str]) -> Any:
        """Return what a task has returned, or a list of what the mapped tasks have."""
        if isinstance(task_ids, str):
            return self.returned.get(task_ids)
        return [value for task_id in task_ids for value in self.returned.get(task_id, [None])]

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what is pushed."""
        self.pushed[key] = value

    def get_task_states(
        self, dag_id: str, task_ids: Sequence[str], run_ids: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return the states of the other runs that are asked for."""
        return {run_id: self.others[run_id] for run_id in run_ids if run_id in self.others}

    def get_ti_count(self, dag_id: str, task_ids: Sequence[str], states: Sequence[str]) -> int:
        """Return how many drains wait; none ever runs."""
        return self.waiting if "scheduled" in states else 0


@dataclass
class Outlet:
    """Collects the assets that are added to an alias."""

    added: list[Any] = field(default_factory=list)

    def add(self, asset: Any, extra: Mapping[str, Any]) -> None:
        """Remember the asset and what is told about it."""
        self.added.append((asset, extra))


class Outlets(dict[Any, Outlet]):
    """The outlet events of a task, by alias name."""

    def __getitem__(self, alias: Any) -> Outlet:
        return self.setdefault(alias.name, Outlet())


def drain_context(task: TaskStandIn | None = None, **params: Any) -> Any:
    """Return the parts of an Airflow context that our operators use."""
    task = task or TaskStandIn()
    return {"ti": task, "run_id": task.run_id, "params": params, "outlet_events": Outlets()}
