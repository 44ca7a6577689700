"""What a test needs to know of a table to try batches for it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TableCase:
    """One table: how it is created, its rows at first, and what records may say about it.

    In the DDL `{s}` stands for the schema. `values` maps columns to JSON texts, good ones more
    often; the key columns' texts name few keys, in several spellings.
    Records carry the columns in `seldom` seldom. `undetermined` is a key column that a sequence
    fills from 1000 on, `beside` another table that is written with this one. `clients` and
    `versions` are the envelope's scope values, `key` is what records nearly always carry,
    `operations` are what they do, some more often.
    """

    name: str
    cutting: str
    ddl: str
    seed: str
    values: dict[str, list[str]]
    seldom: tuple[str, ...] = ("_client_id", "_ver")
    undetermined: str | None = None
    beside: str | None = None
    key: tuple[str, ...] = ("id",)
    clients: tuple[str, ...] = field(default=('"c1"', '"c1"', '"c1"', '"c2"'))
    versions: tuple[str, ...] = field(default=('"1"',))
    operations: tuple[str, ...] = ("INSERT", "INSERT", "UPDATE", "UPDATE", "DELETE", "UPSERT")
