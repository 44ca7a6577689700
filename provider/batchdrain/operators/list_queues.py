"""Lists the queues that a run of a drain DAG has to drain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from airflow.sdk import BaseOperator, Context

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.cadence import Cadence, Lingers
from batchdrain.engine.glance import passing_state
from batchdrain.engine.parents import Verdict, parent_tables, verdicts
from batchdrain.engine.position import Position, create_state, positions
from batchdrain.errors import ConfigurationError
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.hooks.queue import Backlog, RedisQueueHook
from batchdrain.operators.dry_run import is_dry_run
from batchdrain.operators.due_queues import Due, Found, is_empty, sort_out
from batchdrain.operators.form_check import check_form
from batchdrain.operators.outcome import failing_clearly
from batchdrain.operators.owners import LeftOut, leave_out
from batchdrain.operators.pool_check import DEFAULT_POOL, check_pool
from batchdrain.operators.queue_plan import Candidate, plan_drains
from batchdrain.queues.keys import QueueKey


class ListQueuesOperator(BaseOperator):
    """Returns the arguments of one DrainQueueOperator for each queue with a backlog.

    Parents come before their children. Arguments left out come from section `[batchdrain]`; the
    Param `tables` cuts the allow-list down. `drain_pool` is the pool in which `drain_task_id` runs;
    it is checked. `cadence` is told in the log, and has the peak window in which drains may linger.
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
        linger: str | None = None,
        linger_slots: int | None = None,
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
        self.linger = linger
        self.linger_slots = linger_slots

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the queues.

        Raises AirflowFailException with a sentence for a bad option, connection or table name.
        """
        with failing_clearly(self.log, "list of queues"):
            check_form(context)
            if is_dry_run(context["params"]):
                self.log.info("dry run: queues are tried, and nothing is changed")
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
            backlogs = redis_hook.survey(keys)
            redis_hook.close()
            due = self._due(context, connection, backlogs, prefix)
            return self._planned(connection, due, is_dry_run(context["params"]))

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
        self, connection: psycopg.Connection[Any], due: Due, dry: bool
    ) -> list[dict[str, Any]]:
        if not due.drained and not due.left_out:
            self.log.info("no queue has a backlog")
            return []
        drained = [_candidate(queue) for queue in due.drained]
        awaited = [_candidate(queue) for queue, left in due.left_out if left.awaited]
        tables = [candidate.table for candidate in (*drained, *awaited)]
        # In a dry run no queue gets on, so that none is awaited.
        parents = {} if dry else parent_tables(connection, tables)
        plan = plan_drains(drained, parents, elsewhere=awaited)
        for child, parent in plan.ignored:
            self.log.warning(
                "%s and %s refer to each other; %s is drained without waiting for %s",
                child,
                parent,
                child,
                parent,
            )
        depths = {queue.backlog.key: queue.backlog.depth for queue in due.drained}
        for drain in plan.drains:
            after = f", after {', '.join(drain.parents)}" if drain.parents else ""
            stays = ", lingers" if drain.queue_key in due.lingering else ""
            self.log.info(
                "%s: %d messages%s%s", drain.queue_key, depths[drain.queue_key], after, stays
            )
        what = "try" if dry else "drain"
        self.log.info("%d queues to %s, %d left out", len(due.drained), what, len(due.left_out))
        return [
            {
                "queue_key": drain.queue_key,
                "parents": dict(drain.parents),
                **({"linger": True} if drain.queue_key in due.lingering else {}),
            }
            for drain in plan.drains
        ]

    def _due(
        self,
        context: Context,
        connection: psycopg.Connection[Any],
        backlogs: Sequence[Backlog],
        prefix: str,
    ) -> Due:
        """Sort the queues out, and say which are left to other runs, and why."""
        dry = is_dry_run(context["params"])
        slots = options.LINGER_SLOTS.read(self.linger_slots) if self._lingers() and not dry else 0
        known = _positions(connection, [backlog.key for backlog in backlogs], dry)
        for key in [backlog.key for backlog in backlogs if is_empty(backlog)]:
            if key in known and known[key].held:
                self.log.info("%s: no messages, and it is held", key)
        if not slots:
            backlogs = [backlog for backlog in backlogs if not is_empty(backlog)]
        task = context["ti"]

        def _states(dag_id: str, run_id: str, task_id: str) -> Mapping[str, str]:
            states: Mapping[str, Mapping[str, str]] = task.get_task_states(
                dag_id=dag_id, task_ids=[task_id], run_ids=[run_id]
            )
            return states.get(run_id, {})

        def _left(backlog: Backlog) -> LeftOut | None:
            position = known.get(backlog.key)
            if position is None or not (backlog.depth or position.held or position.owner):
                return None
            left = leave_out(position, context["run_id"], _states)
            if left is not None and dry:
                self.log.info("%s: is tried although %s", backlog.key, left.reason)
            return None if dry else left

        found = [
            Found(
                backlog,
                QueueKey.parse(backlog.key, prefix).table_name,
                _left(backlog),
                known.get(backlog.key),
            )
            for backlog in backlogs
        ]
        due = sort_out(found, lambda tables: parent_tables(connection, tables), slots)
        for queue, left in due.left_out:
            key, depth = queue.backlog.key, queue.backlog.depth
            self.log.info("%s: %d messages, left out: %s", key, depth, left.reason)
        return due

    def _lingers(self) -> bool:
        when = options.LINGER.read(self.linger)
        if when is Lingers.PEAK:
            return (self.cadence or options.read_cadence()).is_peak(datetime.now(UTC))
        return when is Lingers.ALWAYS


def _positions(
    connection: psycopg.Connection[Any], keys: Sequence[str], dry: bool
) -> Mapping[str, Position]:
    if dry:
        with passing_state(connection):
            return positions(connection, keys)
    create_state(connection)
    return positions(connection, keys)


def _candidate(queue: Found) -> Candidate:
    return Candidate(queue.backlog.key, queue.table, queue.backlog.last_id)


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
