"""Looks at the keys of queues before drains rely on them; it writes nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import exceptions

from batchdrain.errors import BatchdrainError, ConfigurationError
from batchdrain.finding import Finding, Level
from batchdrain.queues.consumer_groups import OUR_GROUP, is_no_such_key
from batchdrain.queues.failures import translated
from batchdrain.queues.keys import QueueKey
from batchdrain.queues.list_keys import ListKeys

QUEUES = "queues"
"""The subject of what is found about all queues together."""

_KINDS = ("stream", "list", "none")
_KIND_NAMES = {"stream": "as streams", "list": "as lists", "none": "empty", "other": "no queues"}
_KEYS_PER_STEP = 1_000
_MOST_KEYS = 2_000_000
"""Keys that are looked through without being asked to: 2,000 steps, a few seconds."""

_GLOB_SIGNS = re.compile(r"([*?\[\]^\\-])")
_NO_ENTRY = "0-0"
"""An id that no entry has: asking for it, or deleting it, finds nothing."""

_COMMANDS = "+@read +@write +@scripting +@transaction +@connection +info"
"""What drains, the DAGs started by hand, and this look need."""


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """The queues that there are under a prefix.

    `bad` tells of keys that name no table; `complete` is false where there were too many keys to
    look through, and nothing was found.
    """

    queues: tuple[QueueKey, ...]
    bad: tuple[str, ...]
    complete: bool


def queue_findings(client: Any, keys: Sequence[str]) -> list[Finding]:
    """Look at queues by their keys: type, expiry, consumer groups, and the rights on them."""
    try:
        with translated(client, "the queues"):
            kinds = [_text(kind) for kind in _pipelined(client, [("TYPE", key) for key in keys])]
            expiries = _pipelined(client, [("TTL", key) for key in keys])
            found = list(_of_each(client, keys, kinds, expiries))
    except BatchdrainError as error:
        return [Finding.of_error(QUEUES, error)]
    counted = Counter(kind if kind in _KINDS else "other" for kind in kinds)
    told = ", ".join(
        f"{counted[kind]} {name}" for kind, name in _KIND_NAMES.items() if counted[kind]
    )
    what = f"{len(keys)} that may be drained ({told})" if keys else "none may be drained"
    return [Finding(Level.OK, QUEUES, what), *found]


def found_keys(client: Any, prefix: str, *, everything: bool = False) -> FoundKeys:
    """Find the queues under a prefix, of whatever type, with those that are wholly in flight.

    Goes through the whole key space, in steps that don't hold Redis up; through more than two
    million keys only if it has to find everything. Raises TransientError if the server is away,
    ConfigurationError if it refuses.
    """
    pattern = "*" + _GLOB_SIGNS.sub(r"\\\1", prefix) + ":*"
    start = f"{prefix}:".encode()
    queues: set[QueueKey] = set()
    bad: set[str] = set()
    with translated(client, pattern):
        if not everything and client.dbsize() > _MOST_KEYS:
            return FoundKeys((), (), complete=False)
        for key in client.scan_iter(match=pattern, count=_KEYS_PER_STEP):
            own = _queue_of(key)
            if own.startswith(start):
                try:
                    queues.add(QueueKey.parse(own, prefix))
                except ConfigurationError as error:
                    bad.add(str(error))
    return FoundKeys(tuple(sorted(queues, key=str)), tuple(sorted(bad)), complete=True)


def _queue_of(key: bytes) -> bytes:
    """Return a key, or the queue's if it is one of ours beside a queue."""
    beside = re.fullmatch(rb"\{(.*)\}:(?:seq|owner|settled|inflight:[0-9]+)", key, re.DOTALL)
    return beside[1] if beside else key


def _of_each(
    client: Any, keys: Sequence[str], kinds: Sequence[str], expiries: Sequence[int]
) -> Iterator[Finding]:
    tried: set[str] = set()
    for key, kind, seconds in zip(keys, kinds, expiries, strict=True):
        if kind not in _KINDS:
            what = f"it is a {kind}, neither stream nor list, so its drain would fail"
            do = "remove the key, or rename it; producers append with XADD or RPUSH"
            yield Finding(Level.ERROR, key, what, do)
            continue
        if seconds >= 0:
            what = f"it expires in {seconds} s, with all its messages"
            yield Finding(Level.WARNING, key, what, "PERSIST it, and see who set the expiry")
        if kind == "stream":
            yield from _groups(client, key)
        # The rights on one key of a kind tell those on the others: users have patterns.
        if kind not in tried:
            tried.add(kind)
            yield from _rights(client, key, kind)


def _groups(client: Any, key: str) -> Iterator[Finding]:
    try:
        groups = client.xinfo_groups(key)
    except exceptions.ResponseError as error:
        if is_no_such_key(error):
            return
        raise
    for group in groups:
        name = group["name"]
        if name == OUR_GROUP:
            continue
        behind = (group.get("lag") or 0) + int(group["pending"])
        shown = name.decode(errors="backslashreplace")
        if behind:
            what = f"consumer group {shown} has not read or acknowledged everything: {behind} left"
            do = f"let it, or XGROUP DESTROY {key} {shown}: until then messages stay in Redis"
            yield Finding(Level.WARNING, key, what, do)
        else:
            what = f"consumer group {shown} reads it, too; nothing is removed before it has"
            yield Finding(Level.INFO, key, what)


def _rights(client: Any, key: str, kind: str) -> Iterator[Finding]:
    """Try what a drain does, on entries that can't exist: it finds, and changes, nothing."""
    beside = ListKeys(key).counter
    commands: list[tuple[str | int, ...]] = [("EXISTS", beside)]
    if kind == "list":
        commands += [("EVAL", "return 0", 2, key, beside), ("LLEN", key), ("GET", beside)]
    else:
        commands += [
            ("XRANGE", key, _NO_ENTRY, _NO_ENTRY),
            ("XINFO GROUPS", key),
            ("XDEL", key, _NO_ENTRY),
        ]
    refused: list[str] = []
    for command in commands:
        try:
            client.execute_command(*command)
        except exceptions.NoPermissionError:
            refused.append(str(command[0]))
        except exceptions.ResponseError as error:
            if not is_no_such_key(error):
                raise
    if refused:
        what = f"the user may not {', '.join(refused)} here, so its drain would fail"
        prefix = key.split(":", 1)[0]
        do = f"give it the keys ~{prefix}:* ~{{{prefix}:* and the commands {_COMMANDS} in its ACL"
        yield Finding(Level.ERROR, key, what, do)


def _pipelined(client: Any, commands: Sequence[tuple[str, str]]) -> list[Any]:
    if not commands:
        return []
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return list(pipeline.execute())


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
