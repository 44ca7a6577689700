"""Findings as a table for people, and what they come to."""

from __future__ import annotations

from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.finding import Finding, Level
from batchdrain.preflight.report import lines, verdict, would_fail

FINE = Finding(Level.OK, "Redis", "it answers")
BAD = Finding(Level.ERROR, "table orders", "it has\n\tno key", "add\none")
WARNED = Finding(Level.WARNING, "Redis", "it forgets", "tell it not to")


def test_a_finding_is_a_line_and_what_to_do_stands_below_it() -> None:
    """The columns are aligned, and line breaks of a server do not break them."""
    assert lines([FINE, BAD]) == [
        "ok       Redis         it answers",
        "error    table orders  it has no key",
        "                       → add one",
    ]
    assert lines([]) == []
    long = Finding(Level.OK, "x" * 60, "it is long")
    assert lines([FINE, long])[0] == f"ok       {'Redis':<40}  it answers"


def test_an_error_alone_makes_a_drain_fail() -> None:
    assert would_fail([FINE, BAD, WARNED])
    assert not would_fail([FINE, WARNED, Finding(Level.INFO, "pool", "unseen")])
    assert verdict([FINE, BAD, WARNED, BAD]) == (
        "preflight: 2 errors, 1 warning, 1 ok: a drain would fail"
    )
    assert verdict([FINE]) == "preflight: 1 ok: drains can run"


def test_our_errors_say_what_to_do_behind_their_semicolon() -> None:
    made = Finding.of_error("table t", ConfigurationError("it has no key; add one"), "look")
    assert made == Finding(Level.ERROR, "table t", "it has no key", "add one")
    assert Finding.of_error("Redis", TransientError("away"), "start it").do == "start it"
