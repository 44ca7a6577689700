"""Which queues are watched, and how many messages count as a backlog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from batchdrain import configuration as options
from batchdrain import option_values as values
from batchdrain.allow_list import AllowList
from batchdrain.errors import ConfigurationError
from batchdrain.queues.backlog import Backlog
from batchdrain.queues.keys import QueueKey

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WatchedQueues:
    """Queues of one server, and the number of messages from which one of them has a backlog."""

    keys: tuple[str, ...]
    prefix: str
    redis_conn_id: str
    threshold: int

    def deep(self, found: Mapping[str, Backlog]) -> dict[str, int]:
        """Return the depths of the queues that have a backlog, in the order of `keys`."""
        return {
            key: found[key].depth
            for key in self.keys
            if key in found and found[key].depth >= self.threshold
        }


def watched_queues(
    *,
    tables: str | Sequence[str] | AllowList | None,
    queues: str | Sequence[str] | None,
    prefix: str | None,
    redis_conn_id: str | None,
    threshold: int | str,
) -> WatchedQueues:
    """Read the arguments that trigger and sensor share.

    Queues are named by their tables, as in the option `tables`, or by their keys. What is left out
    comes from section `[batchdrain]`. Opens no connection. Raises ConfigurationError naming the
    argument or the option that is bad.
    """
    chosen_prefix = options.PREFIX.read(prefix)
    if queues is None:
        keys = _keys_of_tables(tables, chosen_prefix)
    elif tables is not None:
        raise ConfigurationError(
            "The arguments tables and queues both say what to watch: give one of them."
        )
    else:
        keys = _given_keys(queues, chosen_prefix)
    return WatchedQueues(
        keys=keys,
        prefix=chosen_prefix,
        redis_conn_id=options.REDIS_CONN_ID.read(redis_conn_id),
        threshold=read_argument("threshold", threshold, values.integer(1)),
    )


def read_argument(name: str, value: object, parse: Callable[[Any], T]) -> T:
    """Return an argument as `parse` reads it.

    Raises ConfigurationError naming the argument if it is bad.
    """
    try:
        return parse(value)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"The argument {name} is {value!r}, but {error}.") from None


def _keys_of_tables(tables: str | Sequence[str] | AllowList | None, prefix: str) -> tuple[str, ...]:
    allowed = options.TABLES.read(tables)
    if allowed.any_table:
        raise ConfigurationError(
            "The tables to watch are *, but to find their queues all of Redis would have to be "
            'searched at every look: name them, as in tables=["orders", "customers"].'
        )
    return allowed.keys(prefix)


def _given_keys(queues: object, prefix: str) -> tuple[str, ...]:
    listed = [queues] if isinstance(queues, str) else queues
    if (
        not isinstance(listed, (list, tuple))
        or not listed
        or not all(isinstance(key, str) for key in listed)
    ):
        raise ConfigurationError(
            f"The argument queues is {queues!r}, but it must be a queue's key or a list of such, "
            f'as in queues=["{prefix}:orders"].'
        )
    return tuple(dict.fromkeys(str(QueueKey.parse(key, prefix)) for key in listed))
