"""The code that stands on a page of the documents, and what has to come of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.M | re.S)

_VARYING = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", "TIME"),
    (r"\b\d{13}-\d+\b", "ID"),
    (r"\b\d+:\d\d:\d\d\b", "AGE"),
    (r"\b[\d.]+ s\b", "SECONDS"),
    (r"\b\d+ records/s\b", "RATE"),
    (r"-{3,}", "---"),
    (r"\s+", " "),
)
"""What differs from run to run: times, ids, ages, rates, and the widths of columns."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code and its language."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return a page's blocks of code in their order."""
    text = page.read_text(encoding="utf-8")
    return [Block(match["language"], match["text"]) for match in _BLOCK.finditer(text)]


def code(page: Path, language: str) -> list[str]:
    """Return the texts of a page's blocks in a language."""
    return [block.text for block in blocks(page) if block.language == language]


def lasting(text: str) -> str:
    """Return a line of a log without what differs from run to run."""
    for pattern, stand_in in _VARYING:
        text = re.sub(pattern, stand_in, text)
    return text.strip()


def missing_lines(shown: str, log: str) -> list[str]:
    """Return the lines that a page shows, and that the log doesn't have in this order."""
    logged: Iterator[str] = iter([lasting(line) for line in log.splitlines()])
    wanted = [lasting(line) for line in shown.splitlines() if line.strip() not in ("", "…")]
    return [line for line in wanted if not any(line in found for found in logged)]


def cells(table: str) -> list[list[str]]:
    """Return the cells of a table as psql prints it, the head first."""
    lines = [line for line in table.splitlines() if line.strip() and not set(line) <= set("-+ ")]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def printed(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[list[str]]:
    """Return the cells of what a query found, as psql prints them."""
    return [list(columns), *([_psql(value) for value in row] for row in rows)]


def _psql(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)
