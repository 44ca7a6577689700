"""What a clean batch costs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from drain_lab import Lab, Notes, insert
from proxy import PostgresProxy

KEYS = {"bigint": lambda n: n, "uuid": lambda n: f"00000000-0000-4000-8000-{n:012}"}


@pytest.mark.parametrize("type_", KEYS)
def test_a_clean_batch_takes_two_round_trips_to_postgresql(lab: Lab, type_: str) -> None:
    """Everything up to the position in one pipeline, then COMMIT; whatever the batch does."""
    lab.sql(f"DROP TABLE t; CREATE TABLE t (id {type_} PRIMARY KEY, payload int)")
    keys = [KEYS[type_](n) for n in range(400)]
    lab.push(insert(n, id=key) for n, key in enumerate(keys))
    for operation in ("UPDATE", "UPSERT", "DELETE"):
        lab.push(
            {"operation": operation, "record": {"id": key, "payload": -1}} for key in keys[:300]
        )
    with PostgresProxy(lab.database, delay=0.003) as proxy:
        trips: list[int] = []
        notes = Notes(lambda report: trips.append(proxy.trips))
        outcome = lab.drain(lab.engine(proxy.url), observer=notes)
    assert (outcome.applied, outcome.refused, outcome.batches) == (1300, 0, 13)
    spent = [after - before for before, after in pairwise(trips)]
    assert spent == [2] * 12
