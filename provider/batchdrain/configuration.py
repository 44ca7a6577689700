"""The section `[batchdrain]` of airflow.cfg: its options, how they are read and checked.

A value is looked for in the trigger Param, then in the operator's or the factory's argument, then
in the section (or `AIRFLOW__BATCHDRAIN__…`), then it is the default. Nothing is read on import, and
this module imports Airflow only when a value is asked for: provider discovery loads the options
while Airflow itself is still starting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batchdrain.allow_list import AllowList, parse_allow_list
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.errors import ConfigurationError
from batchdrain.queues.message import OWN_MEMBERS

SECTION = "batchdrain"
VERSION_ADDED = "0.1.0"

_WINDOW = r"([0-9]{1,2}):([0-9]{2})\s*[-\u2013]\s*([0-9]{1,2}):([0-9]{2})"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """One option of the section.

    `kind` is Airflow's name for its type, `default` and `example` are texts as they stand in
    airflow.cfg (`default` None: there is none). `parse` turns such a text, or the value of a Param
    or an argument, into what the code works with; it raises ValueError with what is wrong.
    """

    name: str
    description: str
    kind: str
    default: str | None
    example: str
    parse: Callable[[Any], T]

    def read(
        self,
        argument: object = None,
        *,
        params: Mapping[str, object] | None = None,
        argument_name: str | None = None,
    ) -> T:
        """Return the option's value; None as Param or argument means "not given".

        Raises ConfigurationError naming the place where a bad or missing value stands.
        """
        for value, place in (
            ((params or {}).get(self.name), f"Param {self.name}"),
            (argument, f"argument {argument_name or self.name}"),
            (self._section_value(), f"option {self.name} of section [{SECTION}]"),
            (self.default, f"default of option {self.name}"),
        ):
            if _is_empty(value):
                continue
            try:
                return self.parse(value)
            except (ValueError, TypeError) as error:
                raise ConfigurationError(f"The {place} is {value!r}, but {error}.") from None
        raise ConfigurationError(
            f"The option {self.name} has no value: set it in section [{SECTION}] of airflow.cfg "
            f"(environment: {self.environment}={self.example}) or pass it as the argument "
            f"{argument_name or self.name}."
        )

    def is_set(self, argument: object = None) -> bool:
        """Tell whether `read` would find a value."""
        return not all(map(_is_empty, (argument, self._section_value(), self.default)))

    @property
    def environment(self) -> str:
        """The environment variable that sets the option."""
        return f"AIRFLOW__{SECTION.upper()}__{self.name.upper()}"

    def _section_value(self) -> str | None:
        from airflow.sdk import conf

        value: str | None = conf.get(SECTION, self.name, fallback=None)
        return value.strip() if value is not None else None


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, (str, list, tuple)) and not value)


def _integer(at_least: int) -> Callable[[Any], int]:
    def _parse(value: Any) -> int:
        message = f"it must be a whole number of at least {at_least}"
        if isinstance(value, bool) or not re.fullmatch(r"[+-]?[0-9]+", str(value).strip()):
            raise ValueError(message)
        number = int(value)
        if number < at_least:
            raise ValueError(message)
        return number

    return _parse


def _number(value: Any, message: str) -> float:
    if isinstance(value, bool) or not str(value).isascii():
        raise ValueError(message)
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(message) from None


def _seconds(value: Any) -> float:
    message = "it must be a number of seconds above 0"
    number = _number(value, message)
    if not 0 < number < float("inf"):
        raise ValueError(message)
    return number


def _limit(parse: Callable[[Any], T]) -> Callable[[Any], T | None]:
    def _parse_limit(value: Any) -> T | None:
        return None if str(value).strip() == "none" else parse(value)

    return _parse_limit


def _share(value: Any) -> float:
    message = "it must be a number from 0 to 1 (1 switches the brake off)"
    number = _number(value, message)
    if not 0 <= number <= 1:
        raise ValueError(message)
    return number


def _style(value: Any) -> str:
    name = str(value).strip()
    if name not in STATEMENT_STYLES:
        raise ValueError(f"it must be one of {', '.join(STATEMENT_STYLES)}")
    return name


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must be a name")
    return value.strip()


def _prefix(value: Any) -> str:
    text = _name(value)
    if re.search(r"[{}:*?\[\]\\\s]", text):
        raise ValueError("it must not hold spaces or any of { } : * ? [ ] \\")
    return text


def _zone(value: Any) -> str:
    text = _name(value)
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it must be a time zone such as America/Mexico_City") from None
    return text


def _window(value: Any) -> tuple[int, int] | None:
    if str(value).strip() == "none":
        return None
    match = re.fullmatch(_WINDOW, str(value).strip())
    if match is None:
        raise ValueError("it must look like 07:00-08:00, or be none")
    hour, minute, end_hour, end_minute = map(int, match.groups())
    start, end = hour * 60 + minute, end_hour * 60 + end_minute
    if minute > 59 or end_minute > 59 or start >= 24 * 60 or end > 24 * 60 or start == end:
        raise ValueError("it must name two different times of day such as 07:00-08:00, or be none")
    return start, end


def _cadence(value: Any) -> int:
    message = (
        "it must be a number of seconds that divides a minute (5, 10, 15, 20, 30, 60) "
        "or whole minutes that divide an hour (120 … 3600)"
    )
    try:
        number = _integer(5)(value)
    except ValueError:
        raise ValueError(message) from None
    if (60 % number if number <= 60 else number % 60 or 3600 % number) != 0:
        raise ValueError(message)
    return number


def _scope(value: Any) -> dict[str, str]:
    message = "it must look like _client_id=client_id,_ver=ver, or be none"
    pairs: list[tuple[str, str]] = []
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif str(value).strip() != "none":
        for item in str(value).split(","):
            column, _, member = (part.strip() for part in item.partition("="))
            pairs.append((column, member))
    if not all(isinstance(part, str) and part for pair in pairs for part in pair):
        raise ValueError(message)
    scope = dict(pairs)
    if len(scope) < len(pairs):
        twice = next(column for column in scope if [c for c, _ in pairs].count(column) > 1)
        raise ValueError(f"it names the column {twice} twice")
    for column, member in pairs:
        if member in OWN_MEMBERS:
            raise ValueError(
                f"the member {member} that it gives to {column} has a meaning of its own in every "
                "message; name another member"
            )
    return scope


def _tables(value: Any) -> AllowList:
    return parse_allow_list(value)


def _left_push(value: Any) -> AllowList:
    if isinstance(value, bool):
        return AllowList(any_table=value)
    if isinstance(value, str) and value.strip() == "none":
        return AllowList()
    chosen = parse_allow_list(value)
    if any(entry.shards is not None for entry in chosen.tables):
        raise ValueError("it must name tables without shards")
    return chosen


TABLES: Option[AllowList] = Option(
    "tables",
    "The tables that may be drained, separated by commas, each with its number of shards if its "
    "queue has any (``flights:4`` is the queues ``…:flights:0`` to ``…:flights:3``). ``*`` means "
    "every ordinary table that the database role may write. There is no default: whoever can "
    "write to Redis must not reach any table they like.",
    "string",
    None,
    "airports, airlines, flights:4",
    _tables,
)
PREFIX: Option[str] = Option(
    "prefix",
    "The first part of the queues' keys in Redis.",
    "string",
    "batchdrain",
    "orders",
    _prefix,
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
    _left_push,
)
TIMEZONE: Option[str] = Option(
    "timezone",
    "The time zone of the peak window.",
    "string",
    "UTC",
    "America/Mexico_City",
    _zone,
)
PEAK_WINDOW: Option[tuple[int, int] | None] = Option(
    "peak_window",
    "When load peaks, from and to as times of day, or ``none``. A change needs a restart of the "
    "DAG processor.",
    "string",
    "07:00-08:00",
    "06:30-09:15",
    _window,
)
PEAK_CADENCE: Option[int] = Option(
    "peak_cadence",
    "Seconds between two runs inside the peak window.",
    "integer",
    "15",
    "10",
    _cadence,
)
CADENCE: Option[int] = Option(
    "cadence",
    "Seconds between two runs outside the peak window.",
    "integer",
    "60",
    "120",
    _cadence,
)
POOL: Option[str] = Option(
    "pool",
    "The Airflow pool in which drains run; it must exist. One per target database is a good rule.",
    "string",
    "default_pool",
    "postgres_orders",
    _name,
)
POSTGRES_CONN_ID: Option[str] = Option(
    "postgres_conn_id",
    "The connection to the target database.",
    "string",
    "postgres_default",
    "orders_db",
    _name,
)
REDIS_CONN_ID: Option[str] = Option(
    "redis_conn_id",
    "The connection to the Redis or Valkey server that holds the queues.",
    "string",
    "redis_default",
    "orders_queue",
    _name,
)
BATCH_SIZE: Option[int] = Option(
    "batch_size",
    "The most records applied in one transaction.",
    "integer",
    "1000",
    "5000",
    _integer(1),
)
BATCH_BYTES: Option[int] = Option(
    "batch_bytes",
    "The most bytes of records applied in one transaction.",
    "integer",
    str(8 * 1024 * 1024),
    str(32 * 1024 * 1024),
    _integer(1024),
)
MAX_RECORDS: Option[int | None] = Option(
    "max_records",
    "After about this many records a drain ends; the next run goes on. ``none``: no limit.",
    "string",
    "none",
    "1000000",
    _limit(_integer(1)),
)
MAX_SECONDS: Option[float | None] = Option(
    "max_seconds",
    "After this many seconds a drain ends at a batch boundary; the next run goes on. ``none``: no "
    "limit.",
    "string",
    "none",
    "300",
    _limit(_seconds),
)
MAX_REFUSED_SHARE: Option[float] = Option(
    "max_refused_share",
    "The brake: when more than this share of a drain's records would be refused, the batch is "
    "rolled back and the task fails. 1 switches it off.",
    "float",
    "0.5",
    "0.1",
    _share,
)
BRAKE_AFTER: Option[int] = Option(
    "brake_after",
    "The number of records from which the brake may act.",
    "integer",
    "1000",
    "200",
    _integer(1),
)
SCOPE: Option[dict[str, str]] = Option(
    "scope",
    "The scope columns, and for each the member of the envelope that holds its value; a table is "
    "scoped by those of them that it has. ``none``: no scope.",
    "string",
    "_client_id=client_id,_ver=ver",
    "tenant_id=client_id",
    _scope,
)
STATEMENT_STYLE: Option[str] = Option(
    "statement_style",
    "How records become statements: ``recordset`` hands PostgreSQL their JSON and is by far the "
    "faster one; ``values`` sends a parameter for each value, in INSERT … VALUES, UPDATE … CASE "
    "and DELETE … IN, for proxies that need such statements. The results are the same.",
    "string",
    STATEMENT_STYLES[0],
    STATEMENT_STYLES[1],
    _style,
)
LOCK_TIMEOUT: Option[float] = Option(
    "lock_timeout",
    "Seconds that a statement waits for a lock before the batch is tried again.",
    "float",
    "5",
    "2.5",
    _seconds,
)
STATEMENT_TIMEOUT: Option[float] = Option(
    "statement_timeout",
    "Seconds that a statement may take before it is cut in halves; above lock_timeout.",
    "float",
    "30",
    "120",
    _seconds,
)

OPTIONS: tuple[Option[Any], ...] = (
    TABLES,
    PREFIX,
    LEFT_PUSH,
    TIMEZONE,
    PEAK_WINDOW,
    PEAK_CADENCE,
    CADENCE,
    POOL,
    POSTGRES_CONN_ID,
    REDIS_CONN_ID,
    BATCH_SIZE,
    BATCH_BYTES,
    MAX_RECORDS,
    MAX_SECONDS,
    MAX_REFUSED_SHARE,
    BRAKE_AFTER,
    SCOPE,
    STATEMENT_STYLE,
    LOCK_TIMEOUT,
    STATEMENT_TIMEOUT,
)
