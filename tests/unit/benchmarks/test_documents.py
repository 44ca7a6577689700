"""How the figures of a run get into documents and chart."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from pathlib import Path

from benchmarks.cases import cases
from benchmarks.chart import chart
from benchmarks.claims import CLAIMS
from benchmarks.competitors import Servers
from benchmarks.documents import claims, filled, rates, resumen, summary
from benchmarks.labels import GROUPS
from benchmarks.report import Report, Spread
from benchmarks.scale import FULL
from benchmarks.scenario import BAD_SHARES, Scenario
from benchmarks.table import Fingerprint

_SCENARIOS = ("insert", "update", "delete", "insert_few", "unique_insert", "unique_update")
_LABELS = {name for labels in GROUPS.values() for name in labels}


def report(rate: float = 1000.0) -> Report:
    """A report in which every rate is the same."""
    spread = Spread(rate / 2, rate, rate * 2, 5)
    return Report(
        dict.fromkeys(_LABELS, spread),
        {claim.name: Spread(claim.bound, claim.bound, claim.bound, 5) for claim in CLAIMS},
        {"date": "2025-01-01", "postgresql": "18.6", "cores": 2},
        FULL.records,
        FULL.batch,
        complete=True,
    )


def measured() -> set[str]:
    """The names of all rates that a run measures."""
    empty = Scenario("t", [[b"{}"]], b"", Fingerprint(0, Decimal(0)))
    near = Servers("", "")
    scenarios = dict.fromkeys((*_SCENARIOS, *BAD_SHARES), empty)
    return {case.name for case in cases(scenarios, near, near)} | {"backlog_24k", "backlog_1m"}


def test_every_rate_has_a_label_and_every_claim_its_rates() -> None:
    """Nothing that was measured is missing from the tables, and nothing claimed is unmeasured."""
    assert measured() == _LABELS
    claimed = {name for claim in CLAIMS if claim.of for name in (claim.of, claim.over)}
    assert claimed <= measured()


def test_figures_go_between_their_comments_only() -> None:
    """Again and again, with the rest of the document left as it is."""
    text = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n<!-- bench:y -->\n<!-- /bench:y -->\n"
    once = filled(text, "x", r"new \1")
    assert once == text.replace("old", r"new \1")
    assert filled(once, "x", r"new \1") == once


def test_a_claim_that_falls_short_shows_as_such() -> None:
    """In the documents, too."""
    short = report()
    ratios = {**short.ratios, "insert_vs_one_row": Spread(1, 2, 3, 5)}
    table = claims(Report(short.rates, ratios, short.environment, 1, 1, complete=True))
    assert "| `insert_vs_one_row` | at least 15 | **2.00: short** | 1.00 to 3.00 |" in table
    assert table.count("short") == 1


def test_all_rates_are_in_the_tables() -> None:
    """By label and by name."""
    table = rates(report())
    assert all(f"`{name}` | 1,000 | 500 to 2,000 | 5 |" in table for name in _LABELS)


def test_both_readmes_get_the_same_figures() -> None:
    """Under heads in their own languages."""
    (head, *rows), (cabecera, *filas) = (
        table(report()).splitlines() for table in (summary, resumen)
    )
    assert rows == filas
    assert head.count("|") == cabecera.count("|")
    assert "registros/s" in cabecera


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    """So that documents can be filled later."""
    path = tmp_path / "new" / "report.json"
    report().write(path)
    assert Report.read(path) == report()


def test_the_chart_is_an_image_with_a_bar_for_every_rate_that_it_shows() -> None:
    """Well-formed, and no bar beyond its edge."""
    root = ElementTree.fromstring(chart(report()))
    space = "{http://www.w3.org/2000/svg}"
    background, *bars = root.findall(f"{space}rect")
    assert len(bars) > 20
    for bar in bars:
        assert float(bar.get("x", 0)) + float(bar.get("width", 0)) <= float(
            background.get("width", 0)
        )
