"""The keys of queues in Redis: `<prefix>:<table>` or `<prefix>:<schema>.<table>`, maybe `:<n>`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from batchdrain.errors import ConfigurationError

PREFIX = "batchdrain"
"""The first part of every queue's key, unless the deployment configures another."""

_GLOB_SIGNS = re.compile(r"([*?\[\]^\\-])")
_SHARD = re.compile(r"0|[1-9][0-9]{0,17}")
_FORM = "a queue's key is {prefix}:<table> or {prefix}:<schema>.<table>, with :<n> for a shard"


@dataclass(frozen=True, slots=True)
class QueueKey:
    """One queue's key, taken apart; `str()` puts it together again, byte for byte.

    `schema` is None where the search_path finds the table, `shard` where the table has one queue.
    """

    prefix: str
    schema: str | None
    table: str
    shard: int | None = None

    @classmethod
    def parse(cls, key: str | bytes, prefix: str = PREFIX) -> Self:
        """Take a key apart.

        Raises ConfigurationError, naming the key and what is wrong with it, if it is no queue's.
        """
        text = _text(key)
        _check_prefix(prefix)
        rest = text.removeprefix(f"{prefix}:")
        if rest == text:
            raise _bad_key(text, prefix, f"it does not begin with {prefix}:")
        name, *shards = rest.split(":")
        if len(shards) > 1:
            raise _bad_key(text, prefix, "it has too many parts")
        if shards and not _SHARD.fullmatch(shards[0]):
            raise _bad_key(text, prefix, f"{shards[0]!r} is no decimal shard number")
        schema, table = _split(name, text, prefix)
        return cls(prefix, schema, table, int(shards[0]) if shards else None)

    def __str__(self) -> str:
        shard = "" if self.shard is None else f":{self.shard}"
        return f"{self.prefix}:{self.table_name}{shard}"

    @property
    def table_name(self) -> str:
        """The table as the key names it: `schema.table` or `table`, without quotes."""
        return self.table if self.schema is None else f"{self.schema}.{self.table}"

    def derived(self, name: str) -> str:
        """Return a key of our own beside the queue; a Redis Cluster keeps it in the same slot."""
        return derived(str(self), name)


def derived(key: str, name: str) -> str:
    """Return a key of our own beside the queue with this key."""
    return f"{{{key}}}:{name}"


def glob_of(text: str) -> str:
    """Return the pattern that for Redis matches this text and nothing else."""
    return _GLOB_SIGNS.sub(r"\\\1", text)


def keys_of(table: str, shards: int | None = None, prefix: str = PREFIX) -> tuple[QueueKey, ...]:
    """Return the keys of a table's queues: one, or with `shards` those numbered 0 to shards - 1.

    Raises ConfigurationError if the table's name can have no queue, or `shards` is below 1.
    """
    _check_prefix(prefix)
    schema, name = _split(table, f"{prefix}:{table}", prefix)
    if shards is None:
        return (QueueKey(prefix, schema, name),)
    if shards < 1:
        raise ConfigurationError(f"table {table} must have at least one shard, not {shards}")
    return tuple(QueueKey(prefix, schema, name, shard) for shard in range(shards))


def _split(name: str, key: str, prefix: str) -> tuple[str | None, str]:
    parts = name.split(".")
    if len(parts) > 2 or ":" in name:
        raise _bad_key(key, prefix, "a name that itself holds a dot or a colon can't have a queue")
    if not all(parts) or "\0" in name:
        raise _bad_key(key, prefix, "the name of the table or schema is missing")
    return (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def _check_prefix(prefix: str) -> None:
    if not prefix or prefix.startswith("{"):
        raise ConfigurationError(
            f"the prefix of queue keys must be some text that does not begin with a brace, "
            f"not {prefix!r}"
        )


def _text(key: str | bytes) -> str:
    if isinstance(key, str):
        return key
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"queue key {key!r} is not UTF-8: no table has such a name"
        ) from None


def _bad_key(key: str, prefix: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"queue key {key!r} is wrong: {why}; {_FORM.format(prefix=prefix)}")
