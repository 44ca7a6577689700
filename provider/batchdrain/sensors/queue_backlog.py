"""Waits until messages wait in queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from batchdrain.allow_list import AllowList
from batchdrain.errors import SystemicError, TransientError
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.queues.backlog import queues_only
from batchdrain.triggers.backlog_reached import BacklogReached
from batchdrain.triggers.looks import SHORTEST_INTERVAL
from batchdrain.triggers.watched_queues import WatchedQueues, watched_queues

POKE_SECONDS = 5.0


class QueueBacklogSensor(BaseSensorOperator):
    """Waits until one of some queues holds at least `threshold` messages; returns their depths.

    The value is a dict of the queues that have a backlog, by their keys. Depths count what Redis
    holds: of a stream all its entries, of a list those in flight, too. Queues are named by their
    `tables`, as the option of that name does, or as `queues`, by their keys; what is left out comes
    from section `[batchdrain]` when the task runs.

    While it waits it takes no worker's slot, but the triggerer's time; with `deferrable` False it
    waits in the worker, in the `mode` of Airflow's sensors. It looks every `poke_interval` seconds
    for at most `timeout` seconds; an outage of Redis is waited out.
    """

    template_fields: Sequence[str] = (
        "tables",
        "queues",
        "prefix",
        "redis_conn_id",
        "threshold",
    )
    ui_color = "#dbe9f6"

    def __init__(
        self,
        *,
        tables: str | Sequence[str] | AllowList | None = None,
        queues: str | Sequence[str] | None = None,
        prefix: str | None = None,
        redis_conn_id: str | None = None,
        threshold: int | str = 1,
        deferrable: bool = True,
        poke_interval: timedelta | float = POKE_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.tables = tables
        self.queues = queues
        self.prefix = prefix
        self.redis_conn_id = redis_conn_id
        self.threshold = threshold
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Look, and wait if there is no backlog.

        Raises AirflowFailException with a sentence for a bad argument, option or connection.
        """
        if not self.deferrable:
            return super().execute(context)
        found = self._first_look(context)
        if not found:
            self._wait()
        return found.xcom_value

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, int]:  # noqa: ARG002
        """Return the depths that the trigger has seen.

        Raises AirflowFailException if waiting would not have helped.
        """
        if "error" in event:
            self.log.error("failed, trying again would not help: %s", event["error"])
            raise AirflowFailException(event["error"])
        return self._told(event["queues"])

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """Look once; an outage of Redis counts as no backlog."""
        try:
            deep = self._look(self._watched())
        except TransientError as error:
            self.log.warning("%s; looking again until it answers", error)
            deep = {}
        except SystemicError as error:
            self.log.error("failed, trying again would not help: %s", error)
            raise AirflowFailException(str(error)) from None
        return PokeReturnValue(bool(deep), self._told(deep) if deep else None)

    def _first_look(self, context: Context) -> PokeReturnValue:
        try:
            return self.poke(context)
        except AirflowFailException as error:
            # As Airflow does for sensors that are not deferred.
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from None
            raise

    def _wait(self) -> None:
        watched = self._watched()
        self.log.info("waiting for a backlog of %s", ", ".join(watched.keys))
        self.defer(
            trigger=BacklogReached(
                queues=watched.keys,
                prefix=watched.prefix,
                redis_conn_id=watched.redis_conn_id,
                threshold=watched.threshold,
                poll_interval=max(SHORTEST_INTERVAL, self.poke_interval),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def _watched(self) -> WatchedQueues:
        return watched_queues(
            tables=self.tables,
            queues=self.queues,
            prefix=self.prefix,
            redis_conn_id=self.redis_conn_id,
            threshold=self.threshold,
        )

    def _look(self, watched: WatchedQueues) -> dict[str, int]:
        with closing(RedisQueueHook(watched.redis_conn_id)) as hook:
            return watched.deep(queues_only(hook.survey(watched.keys)))

    def _told(self, deep: dict[str, int]) -> dict[str, int]:
        for key, depth in deep.items():
            self.log.info("%s: %d messages", key, depth)
        return deep
