"""What the demo shows while it works: a bar per phase on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)

LINE_EVERY = 2.0
"""Seconds between two plain lines of one phase."""


class Phase:
    """One phase of the work; `advance` moves its bar, which counts up to `total`."""

    def __init__(self, display: Display, text: str, total: int | None) -> None:
        self._display = display
        self._text = text
        self._total = total
        self._done = 0
        self._told_at = time.monotonic()
        self._started_at = self._told_at
        self._task: TaskID | None = None
        if display.progress is not None:
            self._task = display.progress.add_task(text, total=total, count="")

    def advance(self, count: int, note: str = "") -> None:
        """Move the bar on by this many."""
        self.reach(self._done + count, note)

    def reach(self, done: int, note: str = "") -> None:
        """Move the bar to this count; `note` is shown beside it."""
        self._done = done
        shown = f"{done:,}" if self._total is None else f"{done:,} of {self._total:,}"
        shown = f"{shown} {note}".strip()
        if self._display.progress is not None and self._task is not None:
            self._display.progress.update(self._task, completed=done, count=shown)
        elif time.monotonic() - self._told_at > LINE_EVERY:
            self._told_at = time.monotonic()
            self._display.line(f"  {self._text}: {shown}")

    def end(self) -> None:
        """Show the phase as done."""
        if self._display.progress is not None and self._task is not None:
            # A phase without a total, or one that fell short, still ends.
            self._display.progress.update(self._task, total=self._total or 1)
            if self._total is None:
                self._display.progress.update(self._task, completed=1)
            self._display.progress.stop_task(self._task)
        else:
            seconds = time.monotonic() - self._started_at
            counted = f", {self._done:,}" if self._done else ""
            self._display.line(f"{self._text}: {seconds:.1f} s{counted}")


class Display:
    """The phases so far, and lines of text below them; a context."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self.progress: Progress | None = None
        if self._console.is_terminal:
            self.progress = Progress(
                SpinnerColumn(finished_text="[green]✓"),
                TextColumn("{task.description:<27}"),
                BarColumn(bar_width=12),
                TextColumn("[cyan]{task.elapsed:>5.1f} s"),
                TextColumn("{task.fields[count]}"),
                console=self._console,
            )

    def __enter__(self) -> Self:
        if self.progress is not None:
            self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.progress is not None:
            self.progress.stop()

    @contextmanager
    def phase(self, text: str, total: int | None = None) -> Iterator[Phase]:
        """Show a phase while the block runs; it counts up to `total` if there is one."""
        phase = Phase(self, text, total)
        yield phase
        phase.end()

    def line(self, text: str) -> None:
        """Print a line of plain text."""
        self._console.print(text, markup=False)
