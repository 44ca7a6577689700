"""The report of a run: `.bench/report.json`, and the tables on the screen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from benchmarks.claims import CLAIMS, ratios
from benchmarks.scale import Scale

REPORT = Path(".bench") / "report.json"


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds, between their lowest and highest."""

    low: float
    median: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of at least one value."""
        return cls(min(values), median(values), max(values), len(values))


@dataclass(frozen=True, slots=True)
class Report:
    """Rates in records/s, the ratios of the claims, and the environment that they come from."""

    rates: Mapping[str, Spread]
    ratios: Mapping[str, Spread]
    environment: Mapping[str, str | int]
    records: int
    batch: int
    complete: bool

    @classmethod
    def of(
        cls,
        rates: Mapping[str, Sequence[float]],
        counts: Mapping[str, Sequence[float]],
        environment: Mapping[str, str | int],
        scale: Scale,
        complete: bool,
    ) -> Self:
        """Make the report of a run; `complete` if all was measured and in full."""
        return cls(
            {name: Spread.of(values) for name, values in rates.items()},
            {name: Spread.of(values) for name, values in ratios(rates, counts).items()},
            environment,
            scale.records,
            scale.batch,
            complete,
        )

    @classmethod
    def read(cls, path: Path = REPORT) -> Self:
        """Read a report again."""
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            _spreads(told, "rates"),
            _spreads(told, "ratios"),
            told["environment"],
            told["records"],
            told["batch"],
            told["complete"],
        )

    def write(self, path: Path = REPORT) -> None:
        """Write the report as JSON: medians by name, their spread beside them."""
        told: dict[str, Any] = {
            "rates": {name: spread.median for name, spread in self.rates.items()},
            "ratios": {name: spread.median for name, spread in self.ratios.items()},
            "spread": {"rates": _lists(self.rates), "ratios": _lists(self.ratios)},
            "claims": {claim.name: claim.bound_in_words for claim in CLAIMS},
            "environment": dict(self.environment),
            "records": self.records,
            "batch": self.batch,
            "complete": self.complete,
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print rates and claims."""
        rates = Table("measurement", title="records/s")
        for heading in ("median", "lowest", "highest", "rounds"):
            rates.add_column(heading, justify="right")
        for name, spread in self.rates.items():
            rates.add_row(name, *(f"{v:,.0f}" for v in _numbers(spread)), str(spread.rounds))
        claims = Table("claim", "bound", title="claims")
        for heading in ("median", "lowest", "highest"):
            claims.add_column(heading, justify="right")
        claims.add_column("")
        for claim in CLAIMS:
            found = self.ratios.get(claim.name)
            if found is not None:
                held = "" if claim.holds(found.median) else "short"
                claims.add_row(
                    claim.name, claim.bound_in_words, *map(in_digits, _numbers(found)), held
                )
        console.print(rates)
        console.print(claims)


def in_digits(value: float) -> str:
    """Return a ratio as the tables show it."""
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _numbers(spread: Spread) -> tuple[float, float, float]:
    return spread.median, spread.low, spread.high


def _lists(spreads: Mapping[str, Spread]) -> dict[str, list[float]]:
    return {name: [spread.low, spread.high, spread.rounds] for name, spread in spreads.items()}


def _spreads(told: Mapping[str, Any], kind: str) -> dict[str, Spread]:
    found: dict[str, Spread] = {}
    for name, value in told[kind].items():
        low, high, rounds = told["spread"][kind][name]
        found[name] = Spread(low, value, high, rounds)
    return found
