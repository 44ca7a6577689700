"""Figures that tests measured, shown at the end of the run, also when all passed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def measured(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Show a line of figures at the end of the run."""
    return pytestconfig.stash.setdefault(_FIGURES, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write the figures before pytest's closing line."""
    figures = config.stash.get(_FIGURES, [])
    if figures:
        terminalreporter.section("measured")
        for line in figures:
            terminalreporter.line(line)
