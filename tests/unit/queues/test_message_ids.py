"""Stream ids compare as Redis compares them, not as text."""

from __future__ import annotations

import pytest

from batchdrain.queues.message_ids import as_numbers


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("0-0", "0-1"),
        ("9-1", "10-0"),
        ("10-9", "10-10"),
        ("5", "5-1"),
        ("1700000000000-99", "18446744073709551615-18446744073709551615"),
    ],
)
def test_ids_compare_by_number(lower: str, higher: str) -> None:
    assert as_numbers(lower) < as_numbers(higher)
