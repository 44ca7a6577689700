"""Looks at the server of the queues before drains rely on it; it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redis import exceptions

from batchdrain.errors import BatchdrainError
from batchdrain.finding import Finding, Level
from batchdrain.queues.failures import translated

SERVER = "Redis"
"""The subject of what is found about the server."""

_OLDEST = (7, 0)
_NEARLY_FULL = 0.8

_ANOTHER_POLICY = "CONFIG SET maxmemory-policy noeviction, or a server of their own for the queues"
_APPEND_ONLY = "set appendonly yes, and appendfsync always if not one message may be lost"


def server_findings(client: Any, address: str) -> list[Finding]:
    """Look at the server; `address` names it in the findings.

    What a user, or a managed service, may not ask is told, and no more than that.
    """
    try:
        with translated(client, "PING"):
            client.ping()
            info = _information(client)
            settings = _settings(client)
    except BatchdrainError as error:
        return [Finding.of_error(SERVER, error)]
    if info is None:
        what = f"{address} answers, but its user may not ask INFO, so nothing else was looked at"
        return [Finding(Level.INFO, SERVER, what, "allow +info, to see version and memory here")]
    return [
        *_version(info, address),
        *_role(info),
        *_persistence(info, settings),
        *_eviction(info),
    ]


def _information(client: Any) -> Mapping[str, Any] | None:
    """Return INFO of the server (of one node, in a cluster), None where it is refused."""
    try:
        info: Any = client.info()
    except exceptions.ResponseError:
        return None
    if info and all(isinstance(value, dict) for value in info.values()):
        info = next(iter(info.values()))
    return dict(info)


def _settings(client: Any) -> Mapping[str, str]:
    """Return the server's settings that matter, as far as it tells them."""
    try:
        answer: Any = client.config_get("save", "appendfsync")
    except exceptions.ResponseError:
        return {}
    return {_text(name): _text(value) for name, value in answer.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _version(info: Mapping[str, Any], address: str) -> list[Finding]:
    version = str(info.get("redis_version", ""))
    if "valkey_version" in info:
        named = f"Valkey {info['valkey_version']}"
    else:
        named = f"Redis {version or 'of an unknown version'}"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < _OLDEST:
        what = f"{address} is {named}; batchdrain needs Redis 7.0 or newer, or Valkey"
        return [Finding(Level.ERROR, SERVER, what, "upgrade the server")]
    return [Finding(Level.OK, SERVER, f"{address} answers: {named}")]


def _role(info: Mapping[str, Any]) -> list[Finding]:
    if info.get("role") != "slave":
        return []
    what = "it is a replica and takes no writes"
    do = "let the connection lead to the master, through Redis Sentinel where there is one"
    return [Finding(Level.ERROR, SERVER, what, do)]


def _persistence(info: Mapping[str, Any], settings: Mapping[str, str]) -> list[Finding]:
    found = [_on_disk(info, settings)]
    for name, file in (
        ("aof_last_write_status", "append-only file"),
        ("rdb_last_bgsave_status", "snapshot"),
    ):
        if info.get(name, "ok") != "ok":
            what = f"it could not write its last {file}, and may refuse all writes until it can"
            found.append(Finding(Level.WARNING, SERVER, what, "look into its log and at its disk"))
    return found


def _on_disk(info: Mapping[str, Any], settings: Mapping[str, str]) -> Finding:
    """Tell what a crash of the server would cost."""
    append_only, fsync, save = (
        info.get("aof_enabled"),
        settings.get("appendfsync"),
        settings.get("save"),
    )
    if append_only is None:
        what = "it does not tell whether it writes messages to disk"
        return Finding(Level.INFO, SERVER, what, "ask who runs it what a crash may cost")
    if append_only:
        if fsync == "always":
            return Finding(Level.OK, SERVER, "every message is on disk before it is answered")
        if fsync == "no":
            what = "the operating system decides when messages reach the disk (appendfsync no)"
            return Finding(Level.WARNING, SERVER, what, _APPEND_ONLY)
        how = "appendfsync everysec" if fsync else "CONFIG GET is refused, so maybe none is"
        what = f"a crash may lose the messages of the last second ({how})"
        return Finding(Level.INFO, SERVER, what, "set appendfsync always, if that is too much")
    if save is None:
        what = "it keeps no append-only file: a crash loses at least what is newer than a snapshot"
    elif save:
        what = f"a crash loses all messages since the last snapshot (save {save})"
    else:
        what = "nothing is written to disk: a restart loses every message"
    return Finding(Level.WARNING, SERVER, what, _APPEND_ONLY)


def _eviction(info: Mapping[str, Any]) -> list[Finding]:
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    policy = str(info.get("maxmemory_policy", ""))
    if not policy:
        what = "it does not tell what it does when its memory is full"
        return [Finding(Level.INFO, SERVER, what, "ask who runs it for the policy noeviction")]
    if not most:
        return [Finding(Level.OK, SERVER, "no key is ever evicted (maxmemory 0)")]
    found = []
    if policy.startswith("allkeys"):
        what = f"it evicts any key when its memory is full, queues too (maxmemory-policy {policy})"
        found.append(Finding(Level.WARNING, SERVER, what, _ANOTHER_POLICY))
    elif policy == "noeviction":
        found.append(Finding(Level.OK, SERVER, "no key is ever evicted (noeviction)"))
    else:
        what = f"it evicts keys that have an expiry when its memory is full ({policy})"
        found.append(Finding(Level.INFO, SERVER, what, "give queues no expiry"))
    if used > _NEARLY_FULL * most:
        what = f"{used / most:.0%} of its memory is used; producers are refused once it is full"
        found.append(Finding(Level.WARNING, SERVER, what, "raise maxmemory, or drain more often"))
    return found
