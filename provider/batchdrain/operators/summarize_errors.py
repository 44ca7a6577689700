"""Sums up what a run has applied and what was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import psycopg
from airflow.sdk import BaseNotifier, BaseOperator, Context

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.engine.batch_log import Totals, totals
from batchdrain.engine.catalog import read_table
from batchdrain.engine.error_summary import ErrorGroup, Period, refused_groups
from batchdrain.engine.failures import condition_name
from batchdrain.engine.position import Position, create_state, stopped
from batchdrain.errors import BatchdrainError, ConfigurationError, SystemicError
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.operators.alerts import Thresholds, Waiting, crossed
from batchdrain.operators.drain_log import shown
from batchdrain.operators.dry_run import is_dry_run, summary
from batchdrain.operators.outcome import failing_clearly
from batchdrain.operators.refused_link import RefusedRecordsLink
from batchdrain.operators.text_table import aligned
from batchdrain.operators.waiting import waiting_in

_TOTALS_HEAD = (
    "queue",
    "table",
    "messages",
    "records",
    "applied",
    "refused",
    "lost",
    "batches",
    "isolated",
)
_GROUPS_HEAD = ("error type", "field", "client", "count", "first seen", "last seen", "example id")


class SummarizeErrorsOperator(BaseOperator):
    """Writes the totals of this DAG run, and per table its refused records, to the log and XCom.

    The totals come from `batchdrain.batch_log`, not from what tasks remember. Refused records are
    counted by error type, field and client, with the times of the first and the last (UTC) and the
    id of one of them. Where a threshold of section `[batchdrain]` is crossed, the notifiers are
    called with the figures, each of them even if another fails, which fails the task; without any
    the task fails, too. Of a dry run it tells what the drains
    have found, and alerts of nothing; `list_task_id` and `drain_task_id` name the tasks before it.
    Arguments left out come from that section.
    """

    template_fields: Sequence[str] = ("tables", "prefix", "postgres_conn_id", "redis_conn_id")
    operator_extra_links = (RefusedRecordsLink(),)
    ui_color = "#f6e3c5"

    def __init__(
        self,
        *,
        tables: str | Sequence[str] | AllowList | None = None,
        prefix: str | None = None,
        postgres_conn_id: str | None = None,
        redis_conn_id: str | None = None,
        left_push: bool | str | Sequence[str] | None = None,
        notifiers: Sequence[BaseNotifier] = (),
        list_task_id: str = "list_queues",
        drain_task_id: str = "drain",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.prefix = prefix
        self.postgres_conn_id = postgres_conn_id
        self.redis_conn_id = redis_conn_id
        self.left_push = left_push
        self.notifiers = list(notifiers)
        self.list_task_id = list_task_id
        self.drain_task_id = drain_task_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Sum up the run.

        Returns `totals`, a list by queue, `refused`, lists of groups by table, `stopped`, those
        of the queues under the prefix and of the tables that wait for an operator, held or
        rewound, and `alerts`, sentences. Of a dry run `dry_run`, true, `tried`, the figures of
        each queue, and `failed`, the others.
        """
        with failing_clearly(self.log, "summary"):
            if is_dry_run(context["params"]):
                return self._tried(context)
            hook = BatchPostgresHook(options.POSTGRES_CONN_ID.read(self.postgres_conn_id))
            with hook.connect() as connection:
                create_state(connection)
                task = context["ti"]
                of_run = totals(connection, task.dag_id, task.run_id)
                refused = self._refused(connection, of_run, task.dag_id, task.run_id)
                self._write(of_run, refused)
                held = self._stopped(connection)
                alerts = self._alerts(connection, of_run)
            for queue, position in held.items():
                why = "is held" if position.held else "holds less than was applied"
                self.log.warning("%s %s: nothing is drained until an operator acts", queue, why)
            found = {
                "totals": [_plain(asdict(entry)) for entry in of_run],
                "refused": {
                    table: [_plain(asdict(group)) for group in groups]
                    for table, groups in refused.items()
                },
                "stopped": list(held),
                "alerts": alerts,
            }
            if alerts:
                self._alert(context, alerts, of_run, found)
        return found

    def _tried(self, context: Context) -> dict[str, Any]:
        """Sum up a dry run, of which nothing but the drains' XCom is left."""
        task = context["ti"]
        listed = task.xcom_pull(task_ids=self.list_task_id) or []
        tried = task.xcom_pull(task_ids=[self.drain_task_id]) or []
        return summary(
            self.log,
            [each for each in tried if each is not None],
            [each["queue_key"] for each in listed],
        )

    def _stopped(self, connection: psycopg.Connection[Any]) -> dict[str, Position]:
        """Return those of the own queues that wait for an operator, not other DAGs' queues."""
        prefix = options.PREFIX.read(self.prefix)
        found = stopped(connection)
        if options.TABLES.is_set(self.tables):
            allowed = options.TABLES.read(self.tables)
            if not allowed.any_table:
                own = frozenset(allowed.keys(prefix))
                return {queue: found[queue] for queue in found if queue in own}
        return {queue: found[queue] for queue in found if queue.startswith(f"{prefix}:")}

    def _alerts(self, connection: psycopg.Connection[Any], of_run: Sequence[Totals]) -> list[str]:
        thresholds = Thresholds.read()
        waiting: Sequence[Waiting] = ()
        if thresholds.of_queues:
            with closing(RedisQueueHook(options.REDIS_CONN_ID.read(self.redis_conn_id))) as hook:
                waiting = waiting_in(
                    hook,
                    connection,
                    options.TABLES.read(self.tables),
                    options.PREFIX.read(self.prefix),
                    options.LEFT_PUSH.read(self.left_push),
                )
        return crossed(thresholds, of_run, waiting, datetime.now(UTC))

    def _alert(
        self,
        context: Context,
        alerts: Sequence[str],
        of_run: Sequence[Totals],
        summary: dict[str, Any],
    ) -> None:
        """Tell of the thresholds that were crossed, by the notifiers or by failing."""
        for alert in alerts:
            self.log.warning("%s", alert)
        given = {**context, "batchdrain_alerts": alerts, "batchdrain_summary": _sentence(of_run)}
        # A task that fails returns nothing, and the figures are wanted all the more then.
        context["ti"].xcom_push(key="return_value", value=summary)
        if not self.notifiers:
            raise SystemicError("; ".join(alerts))
        self._notify(given)

    def _notify(self, given: Mapping[str, object]) -> None:
        """Call all notifiers, also those after one that fails, and raise the first failure."""
        failures: list[Exception] = []
        for notifier in self.notifiers:
            try:
                notifier(given)
            except Exception as error:  # noqa: BLE001 - a notifier may be anybody's
                failures.append(error)
                # What is not ours may quote anything, such as a URL with its secret.
                told = str(error) if isinstance(error, BatchdrainError) else type(error).__name__
                self.log.warning("%s has failed: %s", type(notifier).__name__, told)
        if failures:
            raise failures[0]

    def _refused(
        self,
        connection: psycopg.Connection[Any],
        of_run: Sequence[Totals],
        dag_id: str,
        run_id: str,
    ) -> dict[str, Sequence[ErrorGroup]]:
        periods: dict[str, Period] = {}
        for entry in of_run:
            if entry.refused:
                known = periods.get(entry.table)
                periods[entry.table] = Period(
                    dag_id,
                    run_id,
                    min(entry.started_at, known.begin) if known else entry.started_at,
                    max(entry.finished_at, known.end) if known else entry.finished_at,
                )
        found: dict[str, Sequence[ErrorGroup]] = {}
        for table, period in periods.items():
            try:
                found[table] = refused_groups(connection, read_table(connection, table), period)
            except ConfigurationError as error:
                self.log.warning("the refused records of %s can't be counted: %s", table, error)
            except psycopg.Error as error:
                if connection.closed:
                    raise
                why = condition_name(error.sqlstate or "")
                self.log.warning("the refused records of %s can't be counted: %s", table, why)
        return found

    def _write(self, of_run: Sequence[Totals], refused: Mapping[str, Sequence[ErrorGroup]]) -> None:
        if of_run:
            rows = [[getattr(entry, name) for name in _TOTALS_HEAD] for entry in of_run]
            for line in aligned(_TOTALS_HEAD, rows):
                self.log.info("%s", line)
        for table, groups in refused.items():
            self.log.info("refused records of %s:", table)
            for line in aligned(_GROUPS_HEAD, [_row(group) for group in groups]):
                self.log.info("%s", line)
        self.log.info("%s", _sentence(of_run))


def _sentence(of_run: Sequence[Totals]) -> str:
    applied, refused, lost, batches = (
        sum(getattr(entry, name) for entry in of_run)
        for name in ("applied", "refused", "lost", "batches")
    )
    return (
        f"this run: {applied} applied, {refused} refused, {lost} lost, in {batches} batches of "
        f"{len(of_run)} queues"
    )


def _row(group: ErrorGroup) -> list[object]:
    return [
        group.error_type or "",
        group.field or "",
        "" if group.client_id is None else shown(group.client_id),
        group.count,
        _time(group.first_seen),
        _time(group.last_seen),
        shown(group.example),
    ]


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Make the values fit for XCom: times as ISO 8601 texts."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }
