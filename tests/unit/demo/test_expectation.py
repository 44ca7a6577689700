"""The expectation: every record that the demo sends is accounted for, once."""

from __future__ import annotations

from collections import Counter

from batchdrain.demo.expectation import expected_tables
from batchdrain.demo.messages import all_messages


def test_every_record_is_expected_to_be_applied_or_refused() -> None:
    """Applied and refused make up what is sent; inserts less deletes make up the rows."""
    expected = expected_tables()
    sent = all_messages()

    for table, messages in sent.items():
        by_operation = Counter[str]()
        for message in messages:
            by_operation[message.operation] += message.records
        refused = Counter(error.operation for error in expected[table].errors)
        assert expected[table].records == by_operation.total()
        assert expected[table].applied + refused.total() == by_operation.total()
        assert len(expected[table].rows) == (
            by_operation["INSERT"] - refused["INSERT"] - by_operation["DELETE"] + refused["DELETE"]
        )


def test_flights_to_unknown_airports_are_refused_and_so_is_what_follows() -> None:
    refused = Counter(
        (error.operation, error.error_type) for error in expected_tables()["flights"].errors
    )

    assert refused == {
        ("INSERT", "foreign_key_violation"): 331,
        ("UPDATE", "not_found"): 330,
        ("DELETE", "not_found"): 1,
    }


def test_a_cancelled_flight_leaves_no_row() -> None:
    flights = expected_tables()["flights"]

    assert len(flights.rows) == 12_000 - 331 - 81
    departed = flights.columns.index("dep_time")
    assert all(row[departed] is not None for row in flights.rows.values())
