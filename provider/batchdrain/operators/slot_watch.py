"""Notices drains that wait for a slot while this one lingers in its own."""

from __future__ import annotations

import time
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError

LOOK_SECONDS = 2.0
"""How often Airflow is asked."""

LOOKS = 4
"""In so many looks in a row drains must wait: each waits a moment before it starts."""

_WAITING = ("scheduled", "queued")


class SlotWatch:
    """Asks Airflow whether drains of the same DAG wait to start; `task` is the task at hand."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self._next_look = 0.0
        self._seen = 0

    def somebody_waits(self) -> bool:
        """Tell whether at least one drain has been waiting for some seconds."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._seen = self._seen + 1 if self._waiting() else 0
        return self._seen >= LOOKS

    def _waiting(self) -> int:
        try:
            return int(
                self._task.get_ti_count(
                    dag_id=self._task.dag_id,
                    task_ids=[self._task.task_id],
                    states=list(_WAITING),
                )
            )
        except AirflowRuntimeError:
            # The API server is away for a moment; the heartbeat decides what that means.
            return 0
