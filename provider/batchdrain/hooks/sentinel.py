"""Finds the queues' server through Redis Sentinel, and the new one after a failover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import redis
from airflow.sdk import Connection
from redis import asyncio, exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncPool
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from batchdrain.errors import ConfigurationError
from batchdrain.hooks.connection import (
    Address,
    extra_addresses,
    extra_flag,
    extra_text,
    shown_node,
)

_PORT = 26379
"""The port of a sentinel, unless another is given (Redis Sentinel's own default)."""

_FOR_SENTINELS = ("socket_connect_timeout", "socket_timeout", "socket_keepalive")


@dataclass(frozen=True, slots=True)
class SentinelGroup:
    """The sentinels that watch one master, as an Airflow connection names them.

    `options` are redis-py's for connections to the sentinels; they hold their password.
    """

    conn_id: str
    master: str
    nodes: tuple[Address, ...]
    options: Mapping[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return f"master {self.master} of the sentinels {', '.join(map(shown_node, self.nodes))}"


def sentinel_group(
    connection: Connection, options: Mapping[str, Any] = MappingProxyType({})
) -> SentinelGroup | None:
    """Return the sentinels that a connection names, None if it leads to the server itself.

    `options` are redis-py's for the server: time-outs and TLS hold for the sentinels, too, unless
    the extra field `sentinel_ssl` says otherwise. Without the extra field `sentinels` the
    connection's host and port are the one sentinel. Raises ConfigurationError naming a bad field.
    """
    master = extra_text(connection, "sentinel_master").strip()
    listed = extra_addresses(connection, "sentinels", _PORT)
    if not master and not listed:
        return None
    if not master:
        raise _bad(connection, "sentinel_master", "must name the master that the sentinels watch")
    if extra_flag(connection, "cluster", False):
        raise _bad(connection, "cluster", "must be false where sentinel_master is set")
    encrypted = extra_flag(connection, "sentinel_ssl", bool(options.get("ssl")))
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    return SentinelGroup(
        conn_id=str(connection.conn_id),
        master=master,
        nodes=listed or ((connection.host or "localhost", connection.port or _PORT),),
        options={
            **{name: options[name] for name in _FOR_SENTINELS if name in options},
            **({**tls, "ssl": True} if encrypted else {}),
            "username": extra_text(connection, "sentinel_username") or None,
            "password": extra_text(connection, "sentinel_password") or None,
        },
    )


def blocking_master(group: SentinelGroup, options: Mapping[str, Any], database: int) -> Any:
    """Return a client of the group's master; it asks the sentinels whenever it connects.

    So a command that fails in a failover reaches the new master when it is tried again. `options`
    are redis-py's for the server.
    """
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        group.master, _Sentinels(group), db=database, **_of_master(options)
    )
    return redis.Redis.from_pool(pool)


def async_master(group: SentinelGroup, options: Mapping[str, Any], database: int) -> Any:
    """Return such a client for an event loop; the retry in `options` is one for event loops."""
    pool: Any = AsyncPool  # redis-py types only a part of it.
    return asyncio.Redis.from_pool(
        pool(group.master, _AsyncSentinels(group), db=database, **_of_master(options))
    )


def _of_master(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without those that a pool can't take: an address, and TLS if it is off."""
    encrypted = bool(options.get("ssl"))
    kept = {
        name: value
        for name, value in options.items()
        if name not in ("host", "port") and (encrypted or not name.startswith("ssl_"))
    }
    return {**kept, "ssl": encrypted}


class _Sentinels(Sentinel):
    """Asks the sentinels one after the other, first the one that knew the master last.

    No connection to them is kept: they are asked when the client connects, and at no other time.
    """

    def __init__(self, group: SentinelGroup) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            group.nodes, sentinel_kwargs={**group.options, "retry": Retry(NoBackoff(), 0)}
        )
        self._group = group
        self._asked = list(zip(group.nodes, self.sentinels, strict=True))

    def discover_master(self, service_name: str) -> Address:
        """Return host and port of the master.

        Raises MasterNotFoundError if there may be one later, ConfigurationError if somebody has to
        mend the connection first.
        """
        inquiry = _Inquiry(self._group.conn_id, service_name)
        for node, client in self._asked:
            try:
                found = inquiry.answered(node, client.sentinel_masters())
            except (exceptions.RedisError, OSError) as error:
                inquiry.failed(node, error)
                continue
            finally:
                client.close()
            if found is not None:
                self._asked.sort(key=lambda asked: asked[0] != node)
                return found
        raise inquiry.failure()


class _AsyncSentinels(AsyncSentinel):
    """Asks the sentinels as `_Sentinels` does, without blocking an event loop."""

    def __init__(self, group: SentinelGroup) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            group.nodes, sentinel_kwargs={**group.options, "retry": AsyncRetry(NoBackoff(), 0)}
        )
        self._group = group
        self._asked = list(zip(group.nodes, self.sentinels, strict=True))

    async def discover_master(self, service_name: str) -> Address:
        """Return host and port of the master; raises as the blocking one does."""
        inquiry = _Inquiry(self._group.conn_id, service_name)
        for node, client in self._asked:
            try:
                found = inquiry.answered(node, await client.sentinel_masters())
            except (exceptions.RedisError, OSError) as error:
                inquiry.failed(node, error)
                continue
            finally:
                await client.aclose()
            if found is not None:
                self._asked.sort(key=lambda asked: asked[0] != node)
                return found
        raise inquiry.failure()


class _Inquiry:
    """What the sentinels of a connection have answered, until one of them knew the master."""

    def __init__(self, conn_id: str, master: str) -> None:
        self._conn_id = conn_id
        self._master = master
        self._passing: list[str] = []
        self._mistakes: list[str] = []

    def answered(self, node: Address, masters: Any) -> Address | None:
        """Take the answer to SENTINEL MASTERS; return the master's address if it is in it."""
        state = masters.get(self._master)
        if state is None:
            self._mistakes.append(f"{shown_node(node)} watches {_named(masters)}")
        elif not state["is_master"] or state["is_sdown"] or state["is_odown"]:
            self._passing.append(f"{shown_node(node)} takes it for down")
        else:
            return str(state["ip"]), int(state["port"])
        return None

    def failed(self, node: Address, error: Exception) -> None:
        """Take what redis-py raised instead of an answer."""
        mistake = _mistake(error)
        told = self._passing if mistake is None else self._mistakes
        told.append(f"{shown_node(node)} {mistake or f'does not answer ({error})'}")

    def failure(self) -> Exception:
        """Return what to raise when no sentinel had it."""
        reasons = "; ".join([*self._mistakes, *self._passing])
        if self._passing:
            return MasterNotFoundError(f"no sentinel leads to {self._master}: {reasons}")
        return ConfigurationError(
            f"No sentinel of the Airflow connection {self._conn_id!r} leads to the master "
            f"{self._master!r}: {reasons}; mend the extra fields sentinels, sentinel_master, "
            "sentinel_username or sentinel_password."
        )


def _mistake(error: Exception) -> str | None:
    """Say what is wrong with the connection's fields, None if the sentinel may answer later."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return "refuses the login"
    if isinstance(error, exceptions.NoPermissionError):
        return "does not let its user ask SENTINEL MASTERS"
    if "unknown command" in str(error).lower():
        return "is no sentinel"
    return None


def _named(masters: Iterable[str]) -> str:
    return f"only {', '.join(sorted(masters))}" if masters else "no master at all"


def _bad(connection: Connection, name: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The extra field {name} of the Airflow connection {connection.conn_id!r} {what}."
    )
