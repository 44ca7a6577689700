"""Lists the queues that a run of a drain DAG has to drain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from airflow.sdk import BaseOperator, Context

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.cadence import Cadence
from batchdrain.engine.parents import Verdict, parent_tables, verdicts
from batchdrain.engine.position import create_state, positions
from batchdrain.errors import ConfigurationError
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.hooks.queue import Backlog, RedisQueueHook
from batchdrain.operators.outcome import failing_clearly
from batchdrain.operators.owners import leave_out
from batchdrain.operators.pool_check import DEFAULT_POOL, check_pool
from batchdrain.operators.queue_plan import Candidate, plan_drains
from batchdrain.queues.keys import QueueKey

_QUEUE_TYPES = ("stream", "list")


class ListQueuesOperator(BaseOperator):
    """Returns the arguments of one DrainQueueOperator for each queue with a backlog.

    Parents come before their children. Arguments left out come from section `[batchdrain]`; the
    Param `tables` cuts the allow-list down. `drain_pool` is the pool in which `drain_task_id` runs;
    it is checked. `cadence` is only told in the log.
    """

    template_fields: Sequence[str] = ("tables", "prefix", "postgres_conn_id", "redis_conn_id")
    ui_color = "#dbe9f6"

    def __init__(
        self,
        *,
        tables: str | Sequence[str] | AllowList | None = None,
        prefix: str | None = None,
        postgres_conn_id: str | None = None,
        redis_conn_id: str | None = None,
        drain_pool: str = DEFAULT_POOL,
        drain_task_id: str = "drain",
        cadence: Cadence | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.prefix = prefix
        self.postgres_conn_id = postgres_conn_id
        self.redis_conn_id = redis_conn_id
        self.drain_pool = drain_pool
        self.drain_task_id = drain_task_id
        self.cadence = cadence

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the queues.

        Raises AirflowFailException with a sentence for a bad option, connection or table name.
        """
        with failing_clearly(self.log, "list of queues"):
            if self.cadence is not None:
                peak = "peak" if self.cadence.is_peak(datetime.now(UTC)) else "off-peak"
                self.log.info("%s (%s)", peak, self.cadence.words())
            check_pool(self.drain_pool, context["ti"], self.drain_task_id)
            return self._list(context)

    def _list(self, context: Context) -> list[dict[str, Any]]:
        allowed = options.TABLES.read(self.tables)
        prefix = options.PREFIX.read(self.prefix)
        chosen = _chosen_tables(context["params"])
        redis_hook = RedisQueueHook(options.REDIS_CONN_ID.read(self.redis_conn_id))
        postgres_hook = BatchPostgresHook(options.POSTGRES_CONN_ID.read(self.postgres_conn_id))
        self.log.info("queues at %s, tables at %s", redis_hook.address(), postgres_hook.address())
        with postgres_hook.connect() as connection:
            if allowed.any_table:
                keys = self._found_keys(connection, redis_hook, prefix, chosen)
            else:
                keys = list(_narrowed(allowed, chosen).keys(prefix))
            backlogs = [
                backlog
                for backlog in redis_hook.survey(keys)
                if backlog.depth or backlog.kind not in (*_QUEUE_TYPES, "none")
            ]
            redis_hook.close()
            return self._planned(context, connection, backlogs, prefix)

    def _found_keys(
        self,
        connection: psycopg.Connection[Any],
        redis_hook: RedisQueueHook,
        prefix: str,
        chosen: Sequence[str],
    ) -> list[str]:
        """Find the queues in Redis; leave out those of tables that `*` doesn't cover."""
        found = {key: QueueKey.parse(key, prefix) for key in redis_hook.scan(prefix)}
        tables = sorted({key.table_name for key in found.values()})
        unknown = [name for name in chosen if name not in tables]
        if unknown:
            raise ConfigurationError(
                f"The Param tables names {', '.join(unknown)}, but there are only queues for: "
                f"{', '.join(tables) or 'no table'}."
            )
        covered = verdicts(connection, tables)
        for table in tables:
            if covered[table] is Verdict.NOT_ALLOWED:
                self.log.warning("left out: %s is no table that * covers", table)
        return [
            text
            for text, key in sorted(found.items())
            if covered[key.table_name] is not Verdict.NOT_ALLOWED
            and (not chosen or key.table_name in chosen)
        ]

    def _planned(
        self,
        context: Context,
        connection: psycopg.Connection[Any],
        backlogs: Sequence[Backlog],
        prefix: str,
    ) -> list[dict[str, Any]]:
        if not backlogs:
            self.log.info("no queue has a backlog")
            return []
        due, awaited = self._due(context, connection, backlogs, prefix)
        tables = [candidate.table for candidate in (*due, *awaited)]
        plan = plan_drains(due, parent_tables(connection, tables), elsewhere=awaited)
        for child, parent in plan.ignored:
            self.log.warning(
                "%s and %s refer to each other; %s is drained without waiting for %s",
                child,
                parent,
                child,
                parent,
            )
        depths = {backlog.key: backlog.depth for backlog in backlogs}
        for drain in plan.drains:
            after = f", after {', '.join(drain.parents)}" if drain.parents else ""
            self.log.info("%s: %d messages%s", drain.queue_key, depths[drain.queue_key], after)
        self.log.info("%d of %d queues with a backlog to drain", len(due), len(backlogs))
        return [
            {"queue_key": drain.queue_key, "parents": dict(drain.parents)} for drain in plan.drains
        ]

    def _due(
        self,
        context: Context,
        connection: psycopg.Connection[Any],
        backlogs: Sequence[Backlog],
        prefix: str,
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Sort the queues out that are left to other runs; return those due and those awaited."""
        create_state(connection)
        known = positions(connection, [backlog.key for backlog in backlogs])
        task = context["ti"]

        def _states(dag_id: str, run_id: str, task_id: str) -> Mapping[str, str]:
            found: Mapping[str, Mapping[str, str]] = task.get_task_states(
                dag_id=dag_id, task_ids=[task_id], run_ids=[run_id]
            )
            return found.get(run_id, {})

        due: list[Candidate] = []
        awaited: list[Candidate] = []
        for backlog in backlogs:
            table = QueueKey.parse(backlog.key, prefix).table_name
            candidate = Candidate(backlog.key, table, backlog.last_id)
            position = known.get(backlog.key)
            left = position and leave_out(position, context["run_id"], _states)
            if not left:
                due.append(candidate)
                continue
            self.log.info("%s: %d messages, left out: %s", backlog.key, backlog.depth, left.reason)
            if left.awaited:
                awaited.append(candidate)
        return due, awaited


def _chosen_tables(params: Mapping[str, Any]) -> list[str]:
    """Return the Param `tables`: empty means all that are allowed."""
    chosen = params.get("tables") or []
    if not isinstance(chosen, list) or not all(isinstance(name, str) for name in chosen):
        raise ConfigurationError("The Param tables must be a list of names of tables.")
    return [name.strip() for name in chosen if name.strip()]


def _narrowed(allowed: AllowList, chosen: Sequence[str]) -> AllowList:
    if not chosen:
        return allowed
    try:
        return allowed.only(chosen)
    except ValueError as error:
        raise ConfigurationError(f"The Param tables is {chosen!r}, but {error}.") from None
