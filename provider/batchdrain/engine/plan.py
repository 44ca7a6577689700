"""A batch that is ready to be sent: its steps, and what is already known to be refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchdrain.engine.catalog import Table
from batchdrain.engine.classify import Classified, Classifier
from batchdrain.engine.cut import Step, cut
from batchdrain.engine.records import BatchResult, Malformed, Record, RecordResult, Refusal


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch of one table: `keys` has the JSON of every readable key, by ordinal."""

    table: Table
    records: Sequence[Record | Malformed]
    steps: tuple[Step, ...]
    refused: dict[int, Refusal]
    keys: dict[int, tuple[bytes | None, ...]]

    @property
    def size(self) -> int:
        """The records' JSON (of malformed messages: their bodies) in bytes."""
        return sum(
            [
                len(record.data if isinstance(record, Record) else record.body or b"")
                for record in self.records
            ]
        )

    @property
    def one_by_one(self) -> bool:
        """Whether some of the records need statements of their own."""
        return any(not step.together for step in self.steps)

    @property
    def distinct_keys(self) -> bool:
        """Whether no two of the records have the same key."""
        ready = [record.identity for step in self.steps for record in step.records]
        return len(set(ready)) == len(ready)

    def result(self, refused: dict[int, Refusal], *, isolated: bool) -> BatchResult:
        """Put one result per record together; `refused` adds to what the plan refuses itself."""
        everything = {**self.refused, **refused}
        results = [
            RecordResult(
                operation=record.operation,
                message_id=record.message_id,
                key=self.keys.get(ordinal, ()),
                refusal=everything.get(ordinal),
            )
            for ordinal, record in enumerate(self.records)
        ]
        return BatchResult(results, len(everything), isolated)


def plan(
    table: Table,
    classifier: Classifier,
    records: Sequence[Record | Malformed],
    found: Classified,
) -> Plan:
    """Cut a classified batch, every doubt in it settled, into steps."""
    keys = {ready.ordinal: ready.key for ready in found.ready}
    for ordinal in found.refused:
        record = records[ordinal]
        if isinstance(record, Record):
            keys[ordinal] = classifier.key_of(record)
    steps = cut(table, found.ready, keys_known=found.keys_known)
    return Plan(table, records, tuple(steps), found.refused, keys)
