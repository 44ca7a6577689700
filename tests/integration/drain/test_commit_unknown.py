"""The connection is lost at COMMIT: the position tells whether the batch was committed."""

from __future__ import annotations

import pytest

from batchdrain.drain import DrainLimits, Ending
from batchdrain.errors import TransientError
from drain_lab import QUICK, Lab, Notes, insert
from proxy import Fate, PostgresProxy

pytestmark = pytest.mark.parametrize("kind", ["stream", "list"])

FATES = [Fate.REQUEST_LOST, Fate.REQUEST_LATE, Fate.REPLY_LOST]


@pytest.mark.parametrize("fate", FATES, ids=lambda fate: fate.name.lower())
@pytest.mark.parametrize("spared", [0, 2], ids=["first", "last"])
def test_a_drain_finds_out_whether_its_batch_was_committed(
    lab: Lab, fate: Fate, spared: int
) -> None:
    """Arrived, late or lost: applied once, counted once, in the same drain."""
    lab.push(map(insert, range(250)))
    with PostgresProxy(lab.database) as proxy:
        proxy.strike(fate, spared=spared)
        notes = Notes()
        outcome = lab.drain(lab.engine(proxy.url), observer=notes)
        assert proxy.struck.is_set()
    assert (outcome.ending, outcome.left) == (Ending.EMPTY, 0)
    assert (outcome.messages, outcome.records, outcome.applied) == (250, 250, 250)
    assert [report.messages for report in notes.batches] == [100, 100, 50]
    assert len(notes.sentences) == 1
    lab.assert_all_applied_once(range(250))


@pytest.mark.parametrize("fate", FATES, ids=lambda fate: fate.name.lower())
def test_refused_records_of_an_unconfirmed_batch_are_there_once(lab: Lab, fate: Fate) -> None:
    """Their rows belong to the transaction, and the counts to what was committed."""
    lab.push(insert("none" if n % 10 == 0 else n) for n in range(200))
    with PostgresProxy(lab.database) as proxy:
        proxy.strike(fate, spared=1)
        outcome = lab.drain(lab.engine(proxy.url))
    assert (outcome.applied, outcome.refused, outcome.left) == (180, 20, 0)
    assert lab.logged() == (200, 180, 20, 0)
    assert lab.payloads() == [n for n in range(200) if n % 10]
    assert lab.sql("SELECT count(*) FROM t_errors") == [20]


@pytest.mark.parametrize("fate", FATES, ids=lambda fate: fate.name.lower())
def test_what_a_drain_cannot_find_out_the_next_one_does(lab: Lab, fate: Fate) -> None:
    """A single attempt, so the drain fails without an answer; nobody has to guess."""
    lab.push(map(insert, range(250)))
    with PostgresProxy(lab.database) as proxy:
        proxy.strike(fate, spared=1)
        with pytest.raises(TransientError):
            lab.drain(lab.engine(proxy.url), limits=DrainLimits(batch_records=100, attempts=1))
    lab.drain(limits=QUICK)
    lab.assert_all_applied_once(range(250))
