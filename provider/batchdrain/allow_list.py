"""Which tables may be drained, as the option `tables` gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchdrain.queues.keys import keys_of

_NAME = r"[^:.,*\s\0](?:[^:.,*\0]*[^:.,*\s\0])?"
_ENTRY = re.compile(rf"(?P<table>{_NAME}(?:\.{_NAME})?)(?::(?P<shards>[0-9]+))?")
_BLANK = re.compile(r"\s")
MAX_SHARDS = 1000
"""Airflow expands at most 1,024 mapped tasks by default (`[core] max_map_length`)."""


@dataclass(frozen=True, slots=True)
class AllowedTable:
    """One table of the list; `shards` is the number of its queues, None for one without shards."""

    table: str
    shards: int | None = None

    @property
    def text(self) -> str:
        """The table as the option writes it."""
        return self.table if self.shards is None else f"{self.table}:{self.shards}"

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Return the keys of the table's queues in Redis, shards in order."""
        return tuple(str(key) for key in keys_of(self.table, self.shards, prefix))


@dataclass(frozen=True, slots=True)
class AllowList:
    """The tables that may be drained; `any_table` is `*`, and then `tables` is empty."""

    tables: tuple[AllowedTable, ...] = ()
    any_table: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The tables' names, in the order of the list."""
        return tuple(entry.table for entry in self.tables)

    def serialize(self) -> list[str]:
        """Return the list as `parse_allow_list` reads it; Airflow writes it so into a DAG."""
        return ["*"] if self.any_table else [entry.text for entry in self.tables]

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Return the keys of all queues that the list allows, in its order."""
        return tuple(key for entry in self.tables for key in entry.keys(prefix))

    def covers(self, table: str) -> bool:
        """Tell whether the list names this table, or any."""
        return self.any_table or table in self.names

    def only(self, names: Iterable[str]) -> AllowList:
        """Return the list cut down to these tables.

        Raises ValueError naming those that aren't in it.
        """
        chosen = list(names)
        unknown = [name for name in chosen if name not in self.names]
        if unknown:
            raise ValueError(
                f"{', '.join(map(repr, unknown))} may not be drained; "
                f"these tables may: {', '.join(self.names) or 'none'}"
            )
        return AllowList(tuple(entry for entry in self.tables if entry.table in chosen))


def parse_allow_list(value: str | Sequence[str] | AllowList) -> AllowList:
    """Read a list such as `airports, flights:4`, given as one text or as a sequence, or `*`.

    A name may hold blanks in a sequence, not in a text. Raises ValueError with what is wrong.
    """
    if isinstance(value, AllowList):
        return value
    entries = [entry.strip() for entry in _entries(value) if entry.strip()]
    if "*" in entries:
        if len(entries) > 1:
            raise ValueError("* stands alone: it already means every table")
        return AllowList(any_table=True)
    tables = tuple(_parse_entry(entry) for entry in entries)
    names = [entry.table for entry in tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"it names {', '.join(twice)} twice")
    if not tables:
        raise ValueError("it names no table")
    return AllowList(tables)


def _entries(value: object) -> list[str]:
    if isinstance(value, str):
        entries = value.split(",")
        for entry in entries:
            if _BLANK.search(entry.strip()):
                raise ValueError(
                    f"{entry.strip()!r} is no table: separate tables by commas; a name with a "
                    "blank can't stand in a text, only in a Python list given as an argument, or "
                    "use *"
                )
        return entries
    message = "it must be a list of table names, or one text such as airports, flights:4"
    if isinstance(value, (bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        raise ValueError(message)
    given = list(value)
    if not all(isinstance(entry, str) for entry in given):
        raise ValueError(message)
    return given


def _no_table(entry: str) -> ValueError:
    return ValueError(
        f"{entry!r} is no table: write table, schema.table or table:shards, separated by commas"
    )


def _parse_entry(entry: str) -> AllowedTable:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise _no_table(entry)
    shards = None if match["shards"] is None else int(match["shards"])
    if shards is not None and not 1 <= shards <= MAX_SHARDS:
        raise ValueError(f"{entry!r} must have between 1 and {MAX_SHARDS} shards")
    return AllowedTable(match["table"], shards)
