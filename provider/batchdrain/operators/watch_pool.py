"""Tells when the drains of a run get no slot of their pool."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context

from batchdrain.operators.outcome import failing_clearly
from batchdrain.operators.pool_check import await_start


class WatchPoolOperator(BaseOperator):
    """Succeeds as soon as a drain starts in the pool, and fails with a sentence if none does.

    Airflow leaves tasks in a pool that does not exist scheduled for ever, without a word, and a
    task cannot ask for the pools there are. The drains go on by themselves once there is a slot.
    """

    ui_color = "#dbe9f6"

    def __init__(self, *, watched_pool: str, drain_task_id: str = "drain", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.watched_pool = watched_pool
        self.drain_task_id = drain_task_id

    def execute(self, context: Context) -> None:
        """Watch the pool.

        Raises AirflowFailException when no drain gets a slot.
        """
        with failing_clearly(self.log, f"pool {self.watched_pool}"):
            await_start(self.watched_pool, context["ti"], self.drain_task_id)
            self.log.info("drains start in the pool %s", self.watched_pool)
