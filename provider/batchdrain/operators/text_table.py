"""Lays out a table as lines of text."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the head and the rows as lines; numbers stand to the right, texts to the left."""
    texts = [[str(value) for value in row] for row in rows]
    widths = [
        max(len(title), *(len(row[place]) for row in texts)) if texts else len(title)
        for place, title in enumerate(head)
    ]
    numeric = [
        bool(rows) and all(isinstance(row[place], int | float) for row in rows)
        for place in range(len(head))
    ]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [list(head), ["-" * width for width in widths], *texts]
    ]
