"""What batchdrain claims, and the judgement of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Claim:
    """A bound for the rate `of` one measurement divided by that `over` another.

    Without `of` the claim is about a count of that name. `at_most` turns the bound round.
    """

    name: str
    bound: float
    of: str = ""
    over: str = ""
    at_most: bool = False

    @property
    def bound_in_words(self) -> str:
        """The bound as the tables show it."""
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}"

    def holds(self, value: float | None) -> bool:
        """Whether a value keeps the bound; what was not measured does not."""
        if value is None:
            return False
        return value <= self.bound if self.at_most else value >= self.bound


CLAIMS = (
    Claim("insert_vs_one_row", 15, "insert_recordset", "insert_one_row"),
    Claim("insert_vs_insert_rows", 10, "insert_recordset", "insert_insert_rows"),
    Claim("insert_vs_executemany", 1.8, "insert_recordset", "insert_executemany"),
    Claim("insert_vs_execute_values", 2, "insert_recordset", "insert_execute_values"),
    Claim("insert_vs_values_style", 3, "insert_recordset", "insert_values"),
    Claim("insert_vs_copy_limit", 0.5, "insert_recordset", "insert_copy_limit"),
    Claim("update_vs_case_style", 4, "update_recordset", "update_values"),
    Claim("update_vs_executemany", 1.5, "update_recordset", "update_executemany"),
    Claim("delete_vs_in_style", 1, "delete_recordset", "delete_values"),
    Claim("drain_stream_vs_copy_limit", 0.4, "drain_stream", "insert_copy_limit"),
    Claim("drain_list_vs_copy_limit", 0.4, "drain_list", "insert_copy_limit"),
    Claim("bad_01pct_vs_clean", 0.75, "bad_01pct", "insert_recordset"),
    Claim("bad_1pct_vs_clean", 0.5, "bad_1pct", "insert_recordset"),
    Claim("bad_10pct_vs_clean", 0.4, "bad_10pct", "insert_recordset"),
    Claim("bad_1pct_vs_one_by_one_fallback", 10, "bad_1pct", "bad_1pct_one_by_one"),
    Claim("backlog_1m_vs_24k", 0.85, "backlog_1m", "backlog_24k"),
    Claim("rtt_5ms_vs_one_row", 200, "rtt_5ms_recordset", "rtt_5ms_one_row"),
    Claim("round_trips_per_clean_batch", 2, at_most=True),
    Claim("rss_growth_mib_1m", 64, at_most=True),
)


def ratios(
    rates: Mapping[str, Sequence[float]], counts: Mapping[str, Sequence[float]]
) -> dict[str, list[float]]:
    """Return the ratios, or counts, of each claim that was measured: one for each round.

    Rates are divided within a round, so that a machine that slows down in the course of a run
    slows both. What was measured in fewer rounds was measured in the first ones.
    """
    found: dict[str, list[float]] = {}
    for claim in CLAIMS:
        if claim.of:
            pairs = zip(rates.get(claim.of, ()), rates.get(claim.over, ()), strict=False)
            values = [one / other for one, other in pairs]
        else:
            values = list(counts.get(claim.name, ()))
        if values:
            found[claim.name] = values
    return found


def shortfalls(found: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the names of the claims that do not hold, by the medians of the rounds."""
    return [
        claim.name
        for claim in CLAIMS
        if not claim.holds(median(found[claim.name]) if claim.name in found else None)
    ]
