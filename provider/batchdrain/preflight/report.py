"""Lays findings out as lines of text, and sums them up. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from batchdrain.finding import Finding, Level

_MARK = "→ "
_WIDEST = 40
"""Characters of the subjects' column; a longer subject moves its own line only."""

_COUNTABLE = (Level.WARNING, Level.ERROR)


def lines(findings: Sequence[Finding]) -> list[str]:
    """Return a line for each finding, and what to do below it."""
    width = min(max((len(each.subject) for each in findings), default=0), _WIDEST)
    margin = " " * (len(Level.WARNING) + width + 4)
    table = []
    for each in findings:
        head = f"{each.level:<{len(Level.WARNING)}}  {each.subject:<{width}}"
        table.append(f"{head}  {_on_one_line(each.what)}")
        if each.do:
            table.append(f"{margin}{_MARK}{_on_one_line(each.do)}")
    return table


def verdict(findings: Sequence[Finding]) -> str:
    """Sum findings up in one line."""
    counted = Counter(each.level for each in findings)
    told = ", ".join(
        f"{counted[level]} {level}{'s' if counted[level] > 1 and level in _COUNTABLE else ''}"
        for level in reversed(Level)
        if counted[level]
    )
    end = "a drain would fail" if would_fail(findings) else "drains can run"
    return f"preflight: {told or 'nothing was looked at'}: {end}"


def would_fail(findings: Sequence[Finding]) -> bool:
    """Tell whether a drain would fail."""
    return any(each.level is Level.ERROR for each in findings)


def _on_one_line(text: str) -> str:
    """Servers put line breaks into their messages."""
    return " ".join(text.split())
