"""Puts the figures of the last run into the documents, so that nobody types them.

They go between pairs of comments, `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.chart import draw
from benchmarks.claims import CLAIMS
from benchmarks.labels import GROUPS
from benchmarks.report import REPORT, Report, in_digits

DOCUMENTS = (Path("README.md"), Path("README.es.md"), Path("docs") / "performance.md")

_SUMMARY_HEAD = (
    "records/s",
    "one row at a time",
    "executemany",
    "**batchdrain**",
    "COPY, the limit",
)
_SPANISH_HEAD = (
    "registros/s",
    "una fila cada vez",
    "executemany",
    "**batchdrain**",
    "COPY, el límite",
)

_LEFT_OUT = ("fsync", "synchronous_commit", "full_page_writes", "appendfsync")


def filled(text: str, name: str, body: str) -> str:
    """Return a document with `body` between the comments of this name, wherever it has them."""
    opening, closing = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    pattern = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.S)
    return pattern.sub(lambda _: f"{opening}\n{body}\n{closing}", text)


def claims(report: Report) -> str:
    """Return the claims as a table, with what was found."""
    lines = ["| claim | bound | median | lowest to highest |", "|---|---|---|---|"]
    for claim in CLAIMS:
        found = report.ratios.get(claim.name)
        if found is not None:
            median = in_digits(found.median)
            if not claim.holds(found.median):
                median = f"**{median}: short**"
            spread = f"{in_digits(found.low)} to {in_digits(found.high)}"
            lines.append(f"| `{claim.name}` | {claim.bound_in_words} | {median} | {spread} |")
    return "\n".join(lines)


def summary(report: Report, head: Sequence[str] = _SUMMARY_HEAD) -> str:
    """Return a short table for the README: three operations, four ways, in records/s."""
    lines = [f"| {' | '.join(head)} |", "|---|--:|--:|--:|--:|"]
    for operation in ("insert", "update", "delete"):
        ways = (f"{operation}_{way}" for way in ("one_row", "executemany", "recordset"))
        found = [report.rates.get(name) for name in (*ways, f"{operation}_copy_limit")]
        shown = (f"{spread.median:,.0f}" if spread else "" for spread in found)
        lines.append(f"| {operation.upper()} | {' | '.join(shown)} |")
    return "\n".join(lines)


def resumen(report: Report) -> str:
    """Return the same table for the README in Spanish."""
    return summary(report, _SPANISH_HEAD)


def rates(report: Report) -> str:
    """Return all rates as tables, in records/s."""
    return "\n".join(_rates(report))


def environment(report: Report) -> str:
    """Return in one sentence where the run took place."""
    told = report.environment
    versions = ", ".join(
        f"{name} {value}"
        for name, value in told.items()
        if name not in (*_LEFT_OUT, "date", "system", "machine", "cores")
    )
    return (
        f"`make bench` of {told['date']} on {told['system']} {told['machine']} with "
        f"{told['cores']} cores, servers and clients together; {report.records:,} records in "
        f"batches of {report.batch:,}. fsync {told['fsync']}, synchronous_commit "
        f"{told['synchronous_commit']}, full_page_writes {told['full_page_writes']}; Valkey's "
        f"appendfsync {told['appendfsync']}. Versions and settings: {versions}."
    )


def _rates(report: Report) -> Iterator[str]:
    for heading, labels in GROUPS.items():
        yield f"\n| {heading} | name | records/s | lowest to highest | rounds |"
        yield "|---|---|--:|---|--:|"
        for name, label in labels.items():
            found = report.rates.get(name)
            if found is not None:
                spread = f"{found.low:,.0f} to {found.high:,.0f}"
                yield f"| {label} | `{name}` | {found.median:,.0f} | {spread} | {found.rounds} |"


def main() -> int:
    """Fill all documents from the report; 1 when there is none."""
    if not REPORT.exists():
        sys.stderr.write(f"There is no {REPORT}; run make bench first.\n")
        return 1
    report = Report.read()
    parts: dict[str, Callable[[Report], str]] = {
        "summary": summary,
        "resumen": resumen,
        "claims": claims,
        "rates": rates,
        "environment": environment,
    }
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for name, part in parts.items():
            text = filled(text, name, part(report))
        path.write_text(text, encoding="utf-8")
    draw(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
