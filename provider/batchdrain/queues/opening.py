"""Opens queues by their keys, and finds them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import redis
from redis import exceptions

from batchdrain.errors import ConfigurationError
from batchdrain.queues.backlog import wrong_type
from batchdrain.queues.failures import address, translated
from batchdrain.queues.keys import PREFIX, QueueKey, glob_of
from batchdrain.queues.list import ListQueue
from batchdrain.queues.list_keys import ListKeys, queue_of
from batchdrain.queues.queue import MAX_CLAIM_BYTES, Queue
from batchdrain.queues.stream import StreamQueue

_OLDEST_REDIS = (7, 0)
_KEYS_PER_STEP = 1_000

_log = logging.getLogger(__name__)


def open_queue(
    client: redis.Redis,
    key: str | QueueKey,
    *,
    max_bytes: int = MAX_CLAIM_BYTES,
    left_push: bool = False,
) -> Queue:
    """Return the queue behind a key.

    An empty list has no key in Redis; the counter beside it tells that it is one. A key without
    either is taken for an empty stream. `max_bytes` bounds a claim, `left_push` tells that
    producers fill the queue with LPUSH if it is a list. Raises ConfigurationError if the client
    decodes answers, the server is older than Redis 7.0, or the key is neither stream nor list;
    TransientError if the server is away.
    """
    name = str(key)
    _check_bytes(client)
    with translated(client, name):
        _check_version(client)
        answer: Any = client.type(name)
        kind = answer.decode()
        if kind == "none" and client.exists(ListKeys(name).counter):
            kind = "list"
    if kind == "list":
        return ListQueue(client, name, max_bytes=max_bytes, left_push=left_push)
    if kind not in ("stream", "none"):
        raise wrong_type(name, kind)
    return StreamQueue(client, name, max_bytes=max_bytes)


def scan_keys(client: redis.Redis, prefix: str = PREFIX) -> tuple[QueueKey, ...]:
    """Find the keys of all streams and lists under a prefix, sorted.

    A list that is empty, or wholly in flight, has no key and is found by its counter. Goes through
    the whole key space, in steps that don't hold Redis up. Keys that name no table are left out,
    and logged. Raises TransientError if the server is away, ConfigurationError if it refuses.
    """
    found: set[QueueKey] = set()
    pattern = f"{glob_of(prefix)}:*"
    searches = (("STREAM", pattern), ("LIST", pattern), ("STRING", ListKeys(pattern).counter))
    with translated(client, pattern):
        for kind, match in searches:
            for key in client.scan_iter(match=match, count=_KEYS_PER_STEP, _type=kind):
                try:
                    queue = queue_of(key) if kind == "STRING" else key
                    found.add(QueueKey.parse(queue, prefix))
                except ConfigurationError as error:
                    _log.warning("Left out: %s", error)
    return tuple(sorted(found, key=str))


def _check_bytes(client: redis.Redis) -> None:
    if client.get_encoder().decode_responses:
        raise ConfigurationError(
            "the Redis client must return bytes, for messages may be compressed; create it without "
            "decode_responses"
        )


def _check_version(client: redis.Redis) -> None:
    """Refuse an old server by name.

    A user that may not ask for the version goes on: the stream's own facts show it, too.
    """
    with suppress(exceptions.NoPermissionError):
        version = str(client.info("server")["redis_version"])
        if tuple(map(int, version.split(".")[:2])) < _OLDEST_REDIS:
            raise ConfigurationError(
                f"Redis at {address(client)} is version {version}; batchdrain needs Redis 7.0 or "
                "newer, or Valkey"
            )
