"""How a run is judged."""

from __future__ import annotations

from benchmarks.claims import CLAIMS, ratios, shortfalls


def test_rates_are_divided_within_a_round() -> None:
    """A machine that slows down between rounds changes no ratio; rounds missing count for none."""
    rates = {"insert_recordset": [60.0, 30.0, 90.0], "insert_one_row": [4.0, 2.0]}
    assert ratios(rates, {}) == {"insert_vs_one_row": [15.0, 15.0]}


def test_counts_are_taken_as_they_are() -> None:
    """What is bounded from above is no ratio."""
    assert ratios({}, {"rss_growth_mib_1m": [3.5]}) == {"rss_growth_mib_1m": [3.5]}


def test_a_claim_holds_at_its_bound_and_falls_short_beyond_it() -> None:
    """For bounds from below and from above, and by the median."""
    exact = {claim.name: [claim.bound] for claim in CLAIMS}
    assert shortfalls(exact) == []
    missed = {
        **exact,
        "insert_vs_one_row": [14.9, 99.0, 14.9],
        "round_trips_per_clean_batch": [3.0],
    }
    assert shortfalls(missed) == ["insert_vs_one_row", "round_trips_per_clean_batch"]


def test_a_claim_that_was_not_measured_falls_short() -> None:
    """Leaving a measurement out never makes a run pass."""
    exact = {claim.name: [claim.bound] for claim in CLAIMS}
    del exact["drain_list_vs_copy_limit"]
    assert shortfalls(exact) == ["drain_list_vs_copy_limit"]
