"""What is to be done to a table: the messages, its content before, and what it must hold after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from benchmarks import records, table
from benchmarks.records import Record
from benchmarks.scale import Scale
from benchmarks.table import CANOTA, CANOTA_UNIQUE, Fingerprint

BAD_SHARES = {"bad_01pct": 0.001, "bad_1pct": 0.01, "bad_10pct": 0.1, "bad_50pct": 0.5}
"""Shares of bad records by the names of their scenarios."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Messages in batches, and the table they are for; `before` is a block of rows for COPY."""

    table: str
    batches: Sequence[Sequence[bytes]]
    before: bytes
    after: Fingerprint
    refused: int = 0

    @property
    def records(self) -> int:
        """How many records the messages carry: one each."""
        return sum(map(len, self.batches))

    def first_batch(self) -> Scenario:
        """Return a scenario of the first batch only, whose outcome is not to be checked."""
        return replace(self, batches=self.batches[:1])

    def first(self, count: int, after: Fingerprint) -> Scenario:
        """Return the scenario of only so many records."""
        few = [message for batch in self.batches for message in batch][:count]
        return replace(self, batches=[few], after=after)


def scenarios(connection: psycopg.Connection[Any], scale: Scale) -> dict[str, Scenario]:
    """Make all scenarios, by name."""
    # Rows that are there beforehand have keys and numbers that no other record has.
    everything = list(records.records(scale.records + scale.batch))
    given, taken = everything[: scale.records], everything[scale.records :]
    changed = list(records.changes(given))
    updated = [{**old, **new} for old, new in zip(given, changed, strict=True)]
    before = table.copy_block(given)
    all_there = table.expected(connection, given)
    all_changed = table.expected(connection, updated)
    none_left = table.expected(connection, [])
    insert = Scenario(CANOTA, _batches("INSERT", given, scale), b"", all_there)
    update = Scenario(CANOTA, _batches("UPDATE", changed, scale), before, all_changed)
    delete = Scenario(
        CANOTA, _batches("DELETE", list(records.keys(given)), scale), before, none_left
    )
    few = table.expected(connection, given[: scale.link_records])
    return {
        "insert": insert,
        "update": update,
        "delete": delete,
        "insert_few": insert.first(scale.link_records, few),
        "unique_insert": replace(insert, table=CANOTA_UNIQUE),
        "unique_update": replace(update, table=CANOTA_UNIQUE),
        **{
            name: _bad(connection, given, taken, share, scale) for name, share in BAD_SHARES.items()
        },
    }


def _bad(
    connection: psycopg.Connection[Any],
    given: Sequence[Record],
    taken: Sequence[Record],
    share: float,
    scale: Scale,
) -> Scenario:
    mixed, good = records.spoiled(given, share, taken)
    left = [record for record, fine in zip(mixed, good, strict=True) if fine]
    return Scenario(
        CANOTA,
        _batches("INSERT", mixed, scale),
        table.copy_block(taken),
        table.expected(connection, [*taken, *left]),
        good.count(False),
    )


def _batches(operation: str, given: Sequence[Record], scale: Scale) -> list[Sequence[bytes]]:
    return records.batches(list(records.messages(operation, given)), scale.batch)
