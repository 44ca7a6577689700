"""Names of error tables, and texts that a column can hold."""

from __future__ import annotations

import json

import pytest

from batchdrain.engine.error_data import encoded, storable_text, stream_fields
from batchdrain.engine.error_table import error_table_name


def test_an_error_table_is_named_after_its_table() -> None:
    assert error_table_name("flights") == "flights_errors"
    assert error_table_name("x" * 56) == "x" * 56 + "_errors"


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
def test_a_name_too_long_for_the_suffix_is_cut_to_63_bytes(letter: str) -> None:
    """Between characters, and two long names never share an error table."""
    longest = letter * (63 // len(letter.encode()))
    name = error_table_name(longest)
    assert len(name.encode()) <= 63
    assert name.endswith("_errors")
    assert name != longest
    assert name != error_table_name(longest[:-1] + "y")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (None, None),
        ("plain", "plain"),
        ("é", "é"),
        ("a\0b", "a\\u0000b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_text_is_stored_as_it_is_where_that_can_be(text: str | None, stored: str | None) -> None:
    assert storable_text(text, every_character=True) == stored


def test_a_database_with_another_encoding_gets_escapes() -> None:
    assert storable_text("é€", every_character=False) == "\\xe9\\u20ac"


def test_bytes_are_kept_in_base64() -> None:
    assert json.loads(encoded(b"\xff\0")) == {"batchdrain_base64": "/wA="}


def test_fields_of_a_stream_entry_are_kept_by_name() -> None:
    kept = json.loads(
        stream_fields({b"a": "é".encode(), b"b": b"\xff", b"c": b"\0", b"\xfe": b"x"}, True)
    )
    assert kept == {
        "batchdrain_fields": {
            "a": "é",
            "b": {"batchdrain_base64": "/w=="},
            "c": {"batchdrain_base64": "AA=="},
            "batchdrain_base64:/g==": "x",
        }
    }
