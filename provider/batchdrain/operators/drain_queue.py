"""Drains one queue into its table."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias, BaseOperator, Context, RetryPolicy

from batchdrain import configuration as options
from batchdrain.drain import (
    DrainLimits,
    DrainOutcome,
    Ending,
    Linger,
    MessageFormat,
    StopSignal,
    drain,
    rehearse,
)
from batchdrain.engine.catalog import Table, read_table
from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.position import create_state
from batchdrain.engine.redrive import Redrive
from batchdrain.engine.settings import EngineSettings
from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.operators.assets import counts_of_run, table_asset, tables_alias
from batchdrain.operators.backoff import (
    DOUBLED,
    FIRST_DELAY,
    JITTERED,
    LONGEST_DELAY,
    policy_with,
)
from batchdrain.operators.drain_log import LogObserver, Tally, size_in_words
from batchdrain.operators.dry_run import counts, is_dry_run, report
from batchdrain.operators.form_check import flag
from batchdrain.operators.lineage import Flow, lineage_of
from batchdrain.operators.outcome import failing_clearly
from batchdrain.operators.parent_wait import read_positions, wait_for_parents
from batchdrain.operators.reference_retry import retry_references
from batchdrain.operators.refused_link import RefusedRecordsLink
from batchdrain.operators.slot_watch import SlotWatch
from batchdrain.operators.task_run import run_of
from batchdrain.queues.keys import QueueKey

if TYPE_CHECKING:
    from batchdrain.operators.lineage import Lineage

RETRIES = 5
OUTLETS = [tables_alias()]
"""A list, and no tuple: of a mapped task Airflow adds it to another list."""

_FIRST_BATCH = 1000
"""Records with which adaptive batches begin, within their limits."""

PARENT_WAIT_SECONDS = 30.0
"""How long a drain waits for queues that come first while they make no progress."""


class DrainQueueOperator(BaseOperator):
    """Drains a queue until it is empty or a limit is reached, and returns the counts.

    The newest drain of a queue owns it: an older one ends with success at its next batch. A retry
    goes on after the last commit. `table` is the one that the queue's key names, unless given.
    `parents` maps queues to entry ids that they have to pass first; the wait for them ends when
    they make no progress for `parent_wait` seconds. `left_push` is for a list that producers fill
    with LPUSH: true, or the names of such tables. `accept_rewound` takes a queue that holds less
    than PostgreSQL has applied as it is. With `linger` the drain stays on the empty queue, for at
    most `linger_max` seconds, until another takes over. Arguments left out come from section
    `[batchdrain]`; Params of the same name come first.
    """

    template_fields: Sequence[str] = (
        "queue_key",
        "parents",
        "table",
        "prefix",
        "postgres_conn_id",
        "redis_conn_id",
        "batch_size",
        "min_batch_size",
        "max_batch_size",
        "batch_seconds",
        "max_records",
        "max_seconds",
        "max_refused_share",
        "statement_style",
        "dry_run_limit",
    )
    operator_extra_links = (RefusedRecordsLink(),)
    ui_color = "#cfe8d5"

    def __init__(
        self,
        *,
        queue_key: str,
        table: str | None = None,
        parents: Mapping[str, str] | None = None,
        parent_wait: float = PARENT_WAIT_SECONDS,
        prefix: str | None = None,
        postgres_conn_id: str | None = None,
        redis_conn_id: str | None = None,
        batch_size: int | str | None = None,
        min_batch_size: int | str | None = None,
        max_batch_size: int | str | None = None,
        batch_seconds: float | str | None = None,
        batch_bytes: int | None = None,
        max_records: int | str | None = None,
        max_seconds: float | str | None = None,
        max_refused_share: float | str | None = None,
        brake_after: int | None = None,
        left_push: bool | str | Sequence[str] | None = None,
        scope: Mapping[str, str] | str | None = None,
        statement_style: str | None = None,
        accept_rewound: bool = False,
        reference_retries: int | None = None,
        dry_run_limit: int | str | None = None,
        linger: bool = False,
        linger_max: float | None = None,
        retries: int | None = RETRIES,
        retry_delay: timedelta | float = FIRST_DELAY,
        retry_exponential_backoff: float = DOUBLED,
        max_retry_delay: timedelta | float | None = LONGEST_DELAY,
        retry_policy: RetryPolicy | None = JITTERED,
        outlets: Any = OUTLETS,
        **kwargs: Any,
    ) -> None:
        # Airflow reads these defaults from here for mapped tasks, and lets default_args override
        # them.
        super().__init__(
            retries=retries,
            retry_delay=retry_delay,
            retry_exponential_backoff=retry_exponential_backoff,
            max_retry_delay=max_retry_delay,
            retry_policy=policy_with(retry_policy, retry_delay, max_retry_delay),
            outlets=outlets,
            **kwargs,
        )
        self.queue_key = queue_key
        self.table = table
        self.parents = parents
        self.parent_wait = parent_wait
        self.prefix = prefix
        self.postgres_conn_id = postgres_conn_id
        self.redis_conn_id = redis_conn_id
        self.batch_size = batch_size
        self.min_batch_size = min_batch_size
        self.max_batch_size = max_batch_size
        self.batch_seconds = batch_seconds
        self.batch_bytes = batch_bytes
        self.max_records = max_records
        self.max_seconds = max_seconds
        self.max_refused_share = max_refused_share
        self.brake_after = brake_after
        self.left_push = left_push
        self.scope = scope
        self.statement_style = statement_style
        self.accept_rewound = accept_rewound
        self.reference_retries = reference_retries
        self.dry_run_limit = dry_run_limit
        self.linger = linger
        self.linger_max = linger_max
        self._killed = False
        self._stop: StopSignal | None = None
        self._engine: BatchEngine | Redrive | None = None
        self._flow: Flow | None = None
        self._observer: LogObserver | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Drain the queue and return the counts of this try; with Param `dry_run` only try it.

        Raises AirflowFailException with a sentence when trying again would not help, otherwise
        AirflowException; what was committed before stays committed.
        """
        with failing_clearly(self.log, self.queue_key, lambda: self._tally().sentence()):
            if is_dry_run(context["params"]):
                return self._rehearse(context)
            outcome = self._drain(context)
            if outcome.ending is Ending.STOPPED and outcome.left:
                raise TransientError(f"stopped from outside, {outcome.left} left in the queue")
            self.log.info("%s", outcome.sentence())
        return outcome.counts()

    def on_kill(self) -> None:
        """Have the drain end at its next batch boundary, and cancel the running statement.

        Airflow calls this from a signal handler; the task has about five seconds left then.
        """
        self._killed = True
        if self._stop is not None:
            self._stop.set()
        if self._engine is not None:
            threading.Thread(target=self._engine.cancel, daemon=True).start()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Lineage:
        """Tell OpenLineage the queue, the table and the counts of this try, failed or not."""
        del task_instance
        return lineage_of(self._flow, self._tally())

    def _tally(self) -> Tally:
        return Tally() if self._observer is None else self._observer.tally

    def _drain(self, context: Context) -> DrainOutcome:
        params = context["params"]
        key = QueueKey.parse(self.queue_key, options.PREFIX.read(self.prefix))
        name = self.table or key.table_name
        limits = self._limits(params)
        settings = self._settings(params)
        postgres_hook, redis_hook = self._hooks(settings)
        observer = self._observer = LogObserver(self.log)
        self.log.info(
            "%s at %s into %s at %s, %s records a batch",
            self.queue_key,
            redis_hook.address(),
            name,
            postgres_hook.address(),
            size_in_words(limits),
        )
        stop = self._stop = StopSignal()
        if self._killed:
            stop.set()
        engine = postgres_hook.engine(name, queue=self.queue_key, run=run_of(context))
        with contextlib.closing(redis_hook), engine:
            left_push = options.LEFT_PUSH.read(self.left_push).covers(key.table_name)
            queue = redis_hook.open_queue(self.queue_key, left_push=left_push)
            table = self._prepare(context, postgres_hook, name, observer)
            where = postgres_hook.location(), redis_hook.location()
            self._flow = Flow(table, *where, self.queue_key)
            self._retry_references(context, postgres_hook, name)
            self._engine = engine
            try:
                outcome = drain(
                    queue,
                    engine,
                    limits=limits,
                    message_format=MessageFormat(members=tuple(settings.scope.values())),
                    stop=stop,
                    observer=observer,
                    accept_rewound=flag(params, "accept_rewound") or self.accept_rewound,
                    linger=self._linger(context),
                )
            finally:
                self._engine = None
        self._announce(context, postgres_hook, table, outcome)
        return outcome

    def _hooks(self, settings: EngineSettings) -> tuple[BatchPostgresHook, RedisQueueHook]:
        postgres_conn_id = options.POSTGRES_CONN_ID.read(self.postgres_conn_id)
        redis_conn_id = options.REDIS_CONN_ID.read(self.redis_conn_id)
        return BatchPostgresHook(postgres_conn_id, settings=settings), RedisQueueHook(redis_conn_id)

    def _rehearse(self, context: Context) -> dict[str, Any]:
        """Try what a drain would do, write it into the log and return its figures."""
        params = context["params"]
        key = QueueKey.parse(self.queue_key, options.PREFIX.read(self.prefix))
        name = self.table or key.table_name
        settings, limits = self._settings(params), self._limits(params)
        most = options.DRY_RUN_LIMIT.read(self.dry_run_limit, params=params)
        postgres_hook, redis_hook = self._hooks(settings)
        self.log.info(
            "dry run: nothing is changed; %s at %s into %s at %s, at most %d records",
            self.queue_key,
            redis_hook.address(),
            name,
            postgres_hook.address(),
            most,
        )
        engine = postgres_hook.engine(name, queue=self.queue_key, run=run_of(context))
        with contextlib.closing(redis_hook), engine:
            left_push = options.LEFT_PUSH.read(self.left_push).covers(key.table_name)
            if self._killed:
                raise TransientError("stopped from outside; nothing was changed")
            self._engine = engine
            try:
                told = rehearse(
                    redis_hook.open_queue(self.queue_key, left_push=left_push),
                    engine,
                    limit=most,
                    limits=limits,
                    message_format=MessageFormat(members=tuple(settings.scope.values())),
                    accept_rewound=flag(params, "accept_rewound") or self.accept_rewound,
                )
            finally:
                self._engine = None
        report(self.log, told)
        return counts(told)

    def _prepare(
        self, context: Context, hook: BatchPostgresHook, name: str, observer: LogObserver
    ) -> Table:
        """Look at the table before anything is claimed, and wait for the queues of its parents.

        Raises TransientError when the wait was in vain: a parent may want the slot that this task
        has. The next try goes on even so, and PostgreSQL refuses rows whose parents are missing.
        """
        with hook.connect() as connection:
            table = read_table(connection, name, hook.settings.scope)
            if not self.parents:
                return table
            create_state(connection)
            task = context["ti"]
            passed = wait_for_parents(
                self.parents,
                read_positions(connection),
                seconds=self.parent_wait,
                stop=self._stop or StopSignal(),
                note=observer.note,
            )
            if not passed and not self._killed and task.try_number == 1 <= task.max_tries:
                raise TransientError("the tables it refers to come first; leaving its slot to them")
        return table

    def _retry_references(self, context: Context, hook: BatchPostgresHook, name: str) -> None:
        times = options.REFERENCE_RETRIES.read(self.reference_retries)
        if not times:
            return
        redrive = self._engine = Redrive(
            hook.connect, name, settings=hook.settings, run=run_of(context), queue=self.queue_key
        )
        try:
            # Looked at once `on_kill` can cancel: of a kill in between nothing is missed.
            if not self._killed:
                retry_references(redrive, times, self.log, lambda: self._killed)
        finally:
            self._engine = None

    def _limits(self, params: Mapping[str, Any]) -> DrainLimits:
        fixed = options.BATCH_SIZE.read(self.batch_size, params=params)
        least = options.MIN_BATCH_SIZE.read(self.min_batch_size, params=params)
        most = options.MAX_BATCH_SIZE.read(self.max_batch_size, params=params)
        if fixed is None and least > most:
            raise ConfigurationError(
                f"min_batch_size is {least}, but max_batch_size is {most}: mend one of them"
            )
        return DrainLimits(
            batch_records=fixed or min(max(_FIRST_BATCH, least), most),
            least_batch_records=fixed or least,
            most_batch_records=fixed or most,
            batch_seconds=options.BATCH_SECONDS.read(self.batch_seconds, params=params),
            batch_bytes=options.BATCH_BYTES.read(self.batch_bytes),
            max_records=options.MAX_RECORDS.read(self.max_records, params=params),
            max_seconds=options.MAX_SECONDS.read(self.max_seconds, params=params),
            max_refused_share=options.MAX_REFUSED_SHARE.read(self.max_refused_share, params=params),
            brake_after=options.BRAKE_AFTER.read(self.brake_after),
        )

    def _linger(self, context: Context) -> Linger | None:
        if not self.linger:
            return None
        seconds = options.LINGER_MAX.read(self.linger_max)
        return Linger(seconds, SlotWatch(context["ti"]).somebody_waits)

    def _settings(self, params: Mapping[str, Any]) -> EngineSettings:
        return EngineSettings(
            scope=options.SCOPE.read(self.scope),
            lock_timeout=options.LOCK_TIMEOUT.read(),
            statement_timeout=options.STATEMENT_TIMEOUT.read(),
            statement_style=options.STATEMENT_STYLE.read(self.statement_style, params=params),
        )

    def _announce(
        self, context: Context, hook: BatchPostgresHook, table: Table, outcome: DrainOutcome
    ) -> None:
        """Add the table's asset to the alias, so that DAGs scheduled on it start.

        Airflow passes on only what the try that succeeds has added, so it tells of earlier ones.
        """
        aliases = [outlet for outlet in self.outlets if isinstance(outlet, AssetAlias)]
        counts = outcome.counts()
        if context["ti"].try_number > 1:
            run = run_of(context)
            counts |= counts_of_run(hook.connect, run, outcome.queue, table.qualified_name)
        if not counts["applied"]:
            return
        asset = table_asset(*hook.location(), table.schema, table.name)
        for alias in aliases:
            context["outlet_events"][alias].add(asset, extra=counts)
