"""The section `[batchdrain]` of airflow.cfg: its options, how they are read and checked.

A value is looked for in the trigger Param, then in the operator's or the factory's argument, then
in the section (or `AIRFLOW__BATCHDRAIN__…`), then it is the default. Nothing is read on import.
"""

from __future__ import annotations

from typing import Any

from batchdrain import option_values as values
from batchdrain.allow_list import AllowList
from batchdrain.cadence import Cadence, Lingers
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.option import Option

VERSION_ADDED = "0.1.0"

TABLES: Option[AllowList] = Option(
    "tables",
    "The tables that may be drained, separated by commas, each with its number of shards if its "
    "queue has any (``flights:4`` is the queues ``…:flights:0`` to ``…:flights:3``). ``*`` means "
    "every ordinary table that the database role may write. A name with a blank can only be given "
    "in a Python list, as an argument in the DAG's file, or by ``*``. There is no default: whoever "
    "can write to Redis must not reach any table they like.",
    "string",
    None,
    "airports, airlines, flights:4",
    values.tables,
)
PREFIX: Option[str] = Option(
    "prefix",
    "The first part of the queues' keys in Redis.",
    "string",
    "batchdrain",
    "orders",
    values.prefix,
)
LEFT_PUSH: Option[AllowList] = Option(
    "left_push",
    "The tables whose queues, where they are lists, are filled with LPUSH, so that the oldest "
    "message is the rightmost; separated by commas, ``*`` for all, ``none`` where producers use "
    "RPUSH. It must be what producers do: the order of messages depends on it. Streams have one "
    "direction only.",
    "string",
    "none",
    "orders, sales.returns",
    values.left_push,
)
TIMEZONE: Option[str] = Option(
    "timezone",
    "The time zone of the peak window.",
    "string",
    "UTC",
    "America/Mexico_City",
    values.zone,
)
PEAK_WINDOW: Option[tuple[int, int] | None] = Option(
    "peak_window",
    "When load peaks, from and to as times of day, or ``none``. A change needs a restart of the "
    "DAG processor.",
    "string",
    "07:00-08:00",
    "06:30-09:15",
    values.window,
)
PEAK_CADENCE: Option[int] = Option(
    "peak_cadence",
    "Seconds between two runs inside the peak window.",
    "integer",
    "15",
    "10",
    values.cadence,
)
CADENCE: Option[int] = Option(
    "cadence",
    "Seconds between two runs outside the peak window.",
    "integer",
    "60",
    "120",
    values.cadence,
)
LINGER: Option[Lingers] = Option(
    "linger",
    "When drains stay on their queues after these are empty, so that records are applied about a "
    "second after they came: ``off``, ``peak`` (in the peak window) or ``always``. They stay until "
    "the next run's drain takes over. Each occupies a slot of the pool meanwhile; tables that "
    "refer to others that are drained don't linger.",
    "string",
    "off",
    "peak",
    values.linger,
)
LINGER_SLOTS: Option[int] = Option(
    "linger_slots",
    "How many queues linger at once: those with messages first, then those that had some last. "
    "Have more slots in the pool; a drain that waits for one ends the lingering.",
    "integer",
    "2",
    "4",
    values.integer(1),
)
LINGER_MAX: Option[float] = Option(
    "linger_max",
    "After so many seconds a drain lingers no longer, whether another has taken over or not.",
    "float",
    "300",
    "120",
    values.seconds,
)
POOL: Option[str] = Option(
    "pool",
    "The Airflow pool in which drains run; it must exist. One per target database is a good rule.",
    "string",
    "default_pool",
    "postgres_orders",
    values.name,
)
POSTGRES_CONN_ID: Option[str] = Option(
    "postgres_conn_id",
    "The connection to the target database.",
    "string",
    "postgres_default",
    "orders_db",
    values.name,
)
REDIS_CONN_ID: Option[str] = Option(
    "redis_conn_id",
    "The connection to the Redis or Valkey server that holds the queues.",
    "string",
    "redis_default",
    "orders_queue",
    values.name,
)
BATCH_SIZE: Option[int | None] = Option(
    "batch_size",
    "The records applied in one transaction, or ``adaptive``: as many as take about "
    "``batch_seconds``, but fewer while many are refused.",
    "string",
    "adaptive",
    "1000",
    values.adaptive(values.integer(1)),
)
MIN_BATCH_SIZE: Option[int] = Option(
    "min_batch_size",
    "The fewest records that an adaptive batch has, as long as there are so many.",
    "integer",
    "100",
    "500",
    values.integer(1),
)
MAX_BATCH_SIZE: Option[int] = Option(
    "max_batch_size",
    "The most records that an adaptive batch has.",
    "integer",
    "5000",
    "20000",
    values.integer(1),
)
BATCH_SECONDS: Option[float] = Option(
    "batch_seconds",
    "The seconds that an adaptive batch is to take.",
    "float",
    "0.25",
    "1",
    values.seconds,
)
BATCH_BYTES: Option[int] = Option(
    "batch_bytes",
    "The most bytes of records applied in one transaction.",
    "integer",
    str(8 * 1024 * 1024),
    str(32 * 1024 * 1024),
    values.integer(1024),
)
MAX_RECORDS: Option[int | None] = Option(
    "max_records",
    "After about this many records a drain ends; the next run goes on. ``none``: no limit.",
    "string",
    "none",
    "1000000",
    values.limit(values.integer(1)),
)
MAX_SECONDS: Option[float | None] = Option(
    "max_seconds",
    "After this many seconds a drain ends at a batch boundary; the next run goes on. ``none``: no "
    "limit.",
    "string",
    "none",
    "300",
    values.limit(values.seconds),
)
MAX_REFUSED_SHARE: Option[float] = Option(
    "max_refused_share",
    "The brake: when more than this share of a drain's records would be refused, the batch is "
    "rolled back and the task fails. 1 switches it off.",
    "float",
    "0.5",
    "0.1",
    values.share,
)
BRAKE_AFTER: Option[int] = Option(
    "brake_after",
    "The number of records from which the brake may act.",
    "integer",
    "1000",
    "200",
    values.integer(1),
)
DRY_RUN_LIMIT: Option[int] = Option(
    "dry_run_limit",
    "The most records of a queue that a dry run tries. They lock their rows until it is over.",
    "integer",
    "1000",
    "200",
    values.integer(1),
)
REFERENCE_RETRIES: Option[int] = Option(
    "reference_retries",
    "How often later drains of a queue try its records again that a foreign key refused, because "
    "what they refer to came later. 0: never; then, and after so many times, they wait in "
    "``<table>_errors`` for somebody to replay them.",
    "integer",
    "0",
    "3",
    values.integer(0),
)
SCOPE: Option[dict[str, str]] = Option(
    "scope",
    "The scope columns, and for each the member of the envelope that holds its value; a table is "
    "scoped by those of them that it has. ``none``: no scope.",
    "string",
    "_client_id=client_id,_ver=ver",
    "tenant_id=client_id",
    values.scope,
)
STATEMENT_STYLE: Option[str] = Option(
    "statement_style",
    "How records become statements: ``recordset`` hands PostgreSQL their JSON and is by far the "
    "faster one; ``values`` sends a parameter for each value, in INSERT … VALUES, UPDATE … CASE "
    "and DELETE … IN, for proxies that need such statements. The results are the same.",
    "string",
    STATEMENT_STYLES[0],
    STATEMENT_STYLES[1],
    values.style,
)
LOCK_TIMEOUT: Option[float] = Option(
    "lock_timeout",
    "Seconds that a statement waits for a lock before the batch is tried again.",
    "float",
    "5",
    "2.5",
    values.seconds,
)
STATEMENT_TIMEOUT: Option[float] = Option(
    "statement_timeout",
    "Seconds that a statement may take before it is cut in halves; above lock_timeout.",
    "float",
    "30",
    "120",
    values.seconds,
)

ALERT_REFUSED_SHARE: Option[float | None] = Option(
    "alert_refused_share",
    "The share of a run's records that may be refused before the summary alerts. ``none``: any.",
    "string",
    "none",
    "0.01",
    values.limit(values.share),
)
ALERT_ISOLATED_SHARE: Option[float | None] = Option(
    "alert_isolated_share",
    "The share of a run's batches that may be isolated, because they had bad records, before the "
    "summary alerts. ``none``: any.",
    "string",
    "none",
    "0.2",
    values.limit(values.share),
)
ALERT_BACKLOG: Option[int | None] = Option(
    "alert_backlog",
    "The messages that may wait in one queue when a run is over before the summary alerts. "
    "``none``: any number.",
    "string",
    "none",
    "50000",
    values.limit(values.integer(1)),
)
ALERT_OLDEST: Option[float | None] = Option(
    "alert_oldest",
    "The seconds that a stream's oldest message may have waited when a run is over before the "
    "summary alerts. ``none``: any time.",
    "string",
    "none",
    "300",
    values.limit(values.seconds),
)
REDRIVE_DAG: Option[str] = Option(
    "redrive_dag",
    "The DAG that applies refused records again, made by ``build_redrive_dag``; the page of "
    "refused records leads there, if it exists.",
    "string",
    "redrive_errors",
    "redrive_orders",
    values.name,
)

OPTIONS: tuple[Option[Any], ...] = (
    TABLES,
    PREFIX,
    LEFT_PUSH,
    TIMEZONE,
    PEAK_WINDOW,
    PEAK_CADENCE,
    CADENCE,
    LINGER,
    LINGER_SLOTS,
    LINGER_MAX,
    POOL,
    POSTGRES_CONN_ID,
    REDIS_CONN_ID,
    BATCH_SIZE,
    MIN_BATCH_SIZE,
    MAX_BATCH_SIZE,
    BATCH_SECONDS,
    BATCH_BYTES,
    MAX_RECORDS,
    MAX_SECONDS,
    MAX_REFUSED_SHARE,
    BRAKE_AFTER,
    DRY_RUN_LIMIT,
    REFERENCE_RETRIES,
    SCOPE,
    STATEMENT_STYLE,
    LOCK_TIMEOUT,
    STATEMENT_TIMEOUT,
    ALERT_REFUSED_SHARE,
    ALERT_ISOLATED_SHARE,
    ALERT_BACKLOG,
    ALERT_OLDEST,
    REDRIVE_DAG,
)


def read_cadence(
    off_peak: int | None = None,
    peak: int | None = None,
    window: str | None = None,
    timezone: str | None = None,
) -> Cadence:
    """Return the cadence that four arguments and their options make.

    Raises ConfigurationError as `Option.read` does.
    """
    return Cadence(
        off_peak=CADENCE.read(off_peak),
        peak=PEAK_CADENCE.read(peak),
        window=PEAK_WINDOW.read(window),
        timezone=TIMEZONE.read(timezone),
    )
