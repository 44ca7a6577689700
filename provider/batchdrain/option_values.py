"""Reads the values of options: texts from a file or environment, or Python values from arguments.

Each function returns the value, or raises ValueError with the second half of a sentence: "it must
be …".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from batchdrain.allow_list import AllowList, parse_allow_list
from batchdrain.cadence import Lingers
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.queues.message import OWN_MEMBERS

T = TypeVar("T")

_WINDOW = r"([0-9]{1,2}):([0-9]{2})\s*[-\u2013]\s*([0-9]{1,2}):([0-9]{2})"


def integer(at_least: int) -> Callable[[Any], int]:
    """Return what reads a whole number of at least so much."""

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


def seconds(value: Any) -> float:
    """Read a number of seconds above 0."""
    message = "it must be a number of seconds above 0"
    number = _number(value, message)
    if not 0 < number < float("inf"):
        raise ValueError(message)
    return number


def seconds_from(lowest: float) -> Callable[[Any], float]:
    """Return what reads a number of seconds, or a timedelta, of at least so much."""

    def _parse_seconds(value: Any) -> float:
        message = f"it must be a number of seconds of at least {lowest:g}"
        given = value.total_seconds() if isinstance(value, timedelta) else value
        number = _number(given, message)
        if not lowest <= number < float("inf"):
            raise ValueError(message)
        return number

    return _parse_seconds


def limit(parse: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Return what reads a limit, or ``none`` for no limit."""
    return _or_word("none", parse)


def adaptive(parse: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Return what reads a number, or ``adaptive`` (None)."""
    return _or_word("adaptive", parse)


def _or_word(word: str, parse: Callable[[Any], T]) -> Callable[[Any], T | None]:
    def _parse(value: Any) -> T | None:
        if str(value).strip() == word:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ValueError(f"{error}, or {word}") from None

    return _parse


def share(value: Any) -> float:
    """Read a number from 0 to 1."""
    message = "it must be a number from 0 to 1"
    number = _number(value, message)
    if not 0 <= number <= 1:
        raise ValueError(message)
    return number


def style(value: Any) -> str:
    """Read the name of a statement style."""
    name = str(value).strip()
    if name not in STATEMENT_STYLES:
        raise ValueError(f"it must be one of {', '.join(STATEMENT_STYLES)}")
    return name


def linger(value: Any) -> Lingers:
    """Read when drains linger."""
    text = str(value).strip()
    if text not in tuple(Lingers):
        raise ValueError(f"it must be one of {', '.join(Lingers)}")
    return Lingers(text)


def name(value: Any) -> str:
    """Read a name."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must be a name")
    return value.strip()


def prefix(value: Any) -> str:
    """Read the first part of keys in Redis."""
    text = name(value)
    if re.search(r"[{}:*?\[\]\\\s]", text):
        raise ValueError("it must not hold spaces or any of { } : * ? [ ] \\")
    return text


def zone(value: Any) -> str:
    """Read the name of a time zone."""
    text = name(value)
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it must be a time zone such as America/Mexico_City") from None
    return text


def window(value: Any) -> tuple[int, int] | None:
    """Read two times of day as minutes since midnight, or ``none``."""
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


def cadence(value: Any) -> int:
    """Read seconds that divide a minute, or whole minutes that divide an hour."""
    message = (
        "it must be a number of seconds that divides a minute (5, 10, 15, 20, 30, 60) "
        "or whole minutes that divide an hour (120 … 3600)"
    )
    try:
        number = integer(5)(value)
    except ValueError:
        raise ValueError(message) from None
    if (60 % number if number <= 60 else number % 60 or 3600 % number) != 0:
        raise ValueError(message)
    return number


def scope(value: Any) -> dict[str, str]:
    """Read scope columns and their envelope members, or ``none``."""
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


def tables(value: Any) -> AllowList:
    """Read a list of tables."""
    return parse_allow_list(value)


def left_push(value: Any) -> AllowList:
    """Read a list of tables without shards, ``*`` or ``none``."""
    if isinstance(value, bool):
        return AllowList(any_table=value)
    if (isinstance(value, str) and value.strip() == "none") or value in ([], ()):
        return AllowList()
    chosen = parse_allow_list(value)
    if any(entry.shards is not None for entry in chosen.tables):
        raise ValueError("it must name tables without shards")
    return chosen
