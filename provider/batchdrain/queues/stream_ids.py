"""The ids of stream entries."""

from __future__ import annotations


def as_numbers(entry_id: str) -> tuple[int, int]:
    """Return an id (`milliseconds-number`) as two numbers, which compare as Redis compares ids."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
