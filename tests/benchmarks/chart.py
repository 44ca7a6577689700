"""Draws the chart of a report as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from benchmarks.labels import GROUPS, OURS
from benchmarks.report import Report, Spread

CHART = Path("docs") / "images" / "bench.svg"


_PANELS = ("INSERT", "UPDATE", "DELETE", "INSERT with bad records")
_LEFT_OUT = ("insert_recordset_in_turn",)

_WIDTH, _LABELS, _BARS, _ROW, _HEADING = 880, 335, 450, 22, 40
_OURS, _OTHERS, _LIMIT, _TEXT, _GREY = "#1a7f6b", "#b9c0c8", "#dfe3e7", "#1f2328", "#59636e"


def draw(report: Report, path: Path = CHART) -> None:
    """Write the chart of a report's rates."""
    path.write_text(chart(report), encoding="utf-8")


def chart(report: Report) -> str:
    """Return the chart: a bar for each median, a line from the lowest to the highest round."""
    parts: list[str] = []
    y = 20
    for title in _PANELS:
        bars = {
            label: (name, report.rates[name])
            for name, label in GROUPS[title].items()
            if name in report.rates and name not in _LEFT_OUT
        }
        parts += _panel(title, bars, y)
        y += _HEADING + _ROW * len(bars)
    machine = report.environment
    parts.append(
        _words(
            16,
            y + 24,
            f"records/s, medians; lines from the slowest to the fastest round. {report.records:,} "
            f"records, batches of {report.batch:,}, PostgreSQL {machine['postgresql']}, "
            f"{machine['cores']} cores, {machine['date']}. make bench",
            f'fill="{_GREY}" font-size="11"',
        )
    )
    height = y + 40
    body = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" \
viewBox="0 0 {_WIDTH} {height}" role="img" font-family="system-ui, sans-serif" font-size="13">
<title>Records per second into PostgreSQL, by client</title>
<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>
{body}
</svg>
"""


def _panel(title: str, bars: dict[str, tuple[str, Spread]], y: int) -> Iterator[str]:
    yield _words(16, y + 20, title, f'fill="{_TEXT}" font-size="15" font-weight="600"')
    widest = max((spread.high for _, spread in bars.values()), default=1.0)
    rising = sorted(bars.items(), key=lambda bar: bar[1][1].median)
    for row, (label, (name, spread)) in enumerate(rising):
        yield from _bar(name, label, spread, widest, y + _HEADING - 8 + row * _ROW)


def _bar(name: str, label: str, spread: Spread, widest: float, y: int) -> Iterator[str]:
    ours = label.startswith(OURS)
    fill = _OURS if ours else _LIMIT if name.endswith("_limit") else _OTHERS
    scale = (_BARS - 40) / widest
    low, middle, high = (spread.low * scale, spread.median * scale, spread.high * scale)
    weight = ' font-weight="600"' if ours else ""
    yield _words(_LABELS - 8, y + 13, label, f'fill="{_TEXT}" text-anchor="end"{weight}')
    yield (
        f'<rect x="{_LABELS}" y="{y + 1}" width="{max(middle, 1):.1f}" height="16" fill="{fill}"/>'
    )
    yield (
        f'<line x1="{_LABELS + low:.1f}" x2="{_LABELS + high:.1f}" y1="{y + 9}" y2="{y + 9}" '
        f'stroke="{_TEXT}"/>'
    )
    shown = f"{spread.median:,.0f}"
    yield _words(_LABELS + max(middle, high) + 6, y + 13, shown, f'fill="{_TEXT}"')


def _words(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
