"""The list of tables that may be drained."""

from __future__ import annotations

import pytest

from batchdrain.allow_list import AllowedTable, parse_allow_list


def test_a_list_gives_exactly_the_keys_of_its_queues():
    allowed = parse_allow_list("airports, sales.orders , flights:3")
    assert allowed.keys("batchdrain") == (
        "batchdrain:airports",
        "batchdrain:sales.orders",
        "batchdrain:flights:0",
        "batchdrain:flights:1",
        "batchdrain:flights:2",
    )
    assert parse_allow_list(["airports"]).tables == (AllowedTable("airports"),)


def test_a_star_means_any_table():
    assert parse_allow_list("*").any_table
    assert parse_allow_list(["*"]).any_table


def test_a_list_covers_the_tables_that_it_names_or_all():
    allowed = parse_allow_list("airports, sales.orders:3")
    assert allowed.covers("airports")
    assert allowed.covers("sales.orders")
    assert not allowed.covers("orders")
    assert parse_allow_list("*").covers("orders")


def test_a_list_is_cut_down_only_to_tables_that_it_has():
    allowed = parse_allow_list("airports, flights:2")
    assert allowed.only(["flights"]).keys("q") == ("q:flights:0", "q:flights:1")
    with pytest.raises(ValueError, match=r"'planes' may not be drained.*airports, flights"):
        allowed.only(["planes"])


def test_a_name_in_a_sequence_may_hold_blanks():
    """In a text a blank is rather a forgotten comma."""
    allowed = parse_allow_list(["my table", " sales.my orders:2 "])
    assert allowed.keys("q") == ("q:my table", "q:sales.my orders:0", "q:sales.my orders:1")
    for text in ("my table", "airports flights", "a,my table"):
        with pytest.raises(ValueError, match=r"is no table: .* only in a Python list .* or use \*"):
            parse_allow_list(text)


@pytest.mark.parametrize(
    "entry", ["a:b:1", "a.b.c", "a,b", "air*", "flights :4", "flights: 4", "flights:\u0664", "a\0b"]
)
def test_what_is_no_table_is_refused_in_a_sequence_too(entry):
    with pytest.raises(ValueError, match="is no table"):
        parse_allow_list([entry])


@pytest.mark.parametrize("given", ["airports, sales.orders:3", "*", ["my table", "flights:2"]])
def test_a_list_is_written_into_a_dag_as_it_is_read(given):
    allowed = parse_allow_list(given)
    assert parse_allow_list(allowed.serialize()) == allowed
