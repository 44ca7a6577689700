"""Looks up Airflow connections, and says how to set one that is missing."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from batchdrain.errors import ConfigurationError

Address = tuple[str, int]
"""Host and port of a server."""

_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]\s]+)\]|(?P<host>[^\[\]:\s]+))(?::(?P<port>[0-9]{1,5}))?")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


class ConnectionLookup(BaseHook):
    """Mixed into a hook, it turns a missing connection into a sentence."""

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Return the connection.

        Raises ConfigurationError naming the connection id and the ways to set it.
        """
        try:
            return super().get_connection(conn_id)
        except AirflowNotFoundException:
            raise _missing(conn_id) from None

    @classmethod
    async def aget_connection(cls, conn_id: str) -> Connection:
        """Return the connection, as `get_connection` does, in an event loop."""
        try:
            return await super().aget_connection(conn_id)
        except AirflowNotFoundException:
            raise _missing(conn_id) from None


def _missing(conn_id: str) -> ConfigurationError:
    return ConfigurationError(
        f"The Airflow connection {conn_id!r} does not exist: add it under Admin → Connections, "
        f"with `airflow connections add {conn_id}`, or as the environment variable "
        f"AIRFLOW_CONN_{conn_id.upper()}."
    )


def extra_seconds(connection: Connection, name: str, default: float) -> float:
    """Return a time-out from the connection's extra field, in seconds.

    Raises ConfigurationError naming the field if it is no number above 0.
    """
    return _number(connection, name, default, lowest=0.001)


def extra_count(connection: Connection, name: str, default: int) -> int:
    """Return a count from the connection's extra field.

    Raises ConfigurationError naming the field if it is no number of at least 0.
    """
    return int(_number(connection, name, default, lowest=0))


def extra_flag(connection: Connection, name: str, default: bool) -> bool:
    """Return a switch from the connection's extra field: true or false, as JSON or as text.

    A connection given as a URI has texts alone. Raises ConfigurationError naming the field if it
    is neither.
    """
    value: Any = connection.extra_dejson.get(name)
    if value is None or value == "":
        return default
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ConfigurationError(
            f"The extra field {name} of the Airflow connection {connection.conn_id!r} must be true "
            "or false."
        )
    return text in _TRUE


def extra_text(connection: Connection, name: str) -> str:
    """Return a text from the connection's extra field, the empty one where it is missing.

    Raises ConfigurationError naming the field if it is an object, a list, or true or false.
    """
    value: Any = connection.extra_dejson.get(name)
    if isinstance(value, (dict, list, bool)):
        raise ConfigurationError(
            f"The extra field {name} of the Airflow connection {connection.conn_id!r} must be text."
        )
    return "" if value is None else str(value)


def extra_file(connection: Connection, name: str) -> str:
    """Return the path of a file from the connection's extra field, the empty one where it is none.

    Raises ConfigurationError naming the field if there is no such file, or it can't be read.
    """
    path = extra_text(connection, name)
    if path and not (Path(path).is_file() and os.access(path, os.R_OK)):
        raise ConfigurationError(
            f"The extra field {name} of the Airflow connection {connection.conn_id!r} is {path!r}, "
            "but there is no such file here, or it can't be read."
        )
    return path


def extra_addresses(connection: Connection, name: str, port: int) -> tuple[Address, ...]:
    """Return servers from the connection's extra field, none where it is missing.

    It is a list, or a text such as `host-1:6379,host-2,[::1]:6379`; `port` is for those without
    one. Raises ConfigurationError naming the field if it is anything else.
    """
    given: Any = connection.extra_dejson.get(name)
    if not isinstance(given, list):
        given = extra_text(connection, name).split(",")
    addresses = []
    for entry in filter(None, (str(part).strip() for part in given)):
        match = _ADDRESS.fullmatch(entry)
        number = int(match["port"] or port) if match else 0
        if match is None or not 0 < number < 65536:
            raise ConfigurationError(
                f"The extra field {name} of the Airflow connection {connection.conn_id!r} must "
                f"look like host-1:{port},host-2:{port}."
            )
        addresses.append((match["host"] or match["v6"], number))
    return tuple(addresses)


def shown_node(address: Address) -> str:
    """Return host and port as they are written."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _number(connection: Connection, name: str, default: float, *, lowest: float) -> float:
    value: Any = connection.extra_dejson.get(name)
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not lowest <= number < math.inf:
        raise ConfigurationError(
            f"The extra field {name} of the Airflow connection {connection.conn_id!r} must be a "
            f"number of at least {lowest:g}."
        )
    return number
