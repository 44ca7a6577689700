"""When Python may tell by itself that two keys are one."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.engine.keys import Alone, KeyReader
from made_tables import column, table

decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def identity(type_: str, value: str, **facts: int) -> object:
    reader = KeyReader(table(column("id", type_, **facts)))
    return reader.read(decode(f'{{"id": {value}}}'), {})[1]


@pytest.mark.parametrize("value", ["0", "17", "-17", "12345678901234567890"])
def test_plain_integers_are_told_by_their_digits(value: str) -> None:
    assert identity("bigint", value) == (value.encode(),)


@pytest.mark.parametrize("value", ["1.0", "1e0", "-0", '"1"', '"01"', "true", "[]"])
def test_other_spellings_of_integers_are_left_to_postgresql(value: str) -> None:
    assert identity("bigint", value) is None


def test_canonical_uuids_are_told_by_their_text() -> None:
    value = '"0190a1b2-0000-7000-8000-00000000000a"'
    assert identity("uuid", value) == (value.encode(),)


@pytest.mark.parametrize(
    "value",
    [
        '"0190A1B2-0000-7000-8000-00000000000a"',
        '"0190a1b20000700080000000000000000a"',
        '"{0190a1b2-0000-7000-8000-00000000000a}"',
        '"x"',
        "1",
    ],
)
def test_other_spellings_of_uuids_are_left_to_postgresql(value: str) -> None:
    assert identity("uuid", value) is None


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_strings_on_text_are_told_by_their_characters(text: str) -> None:
    """However their JSON is spelled."""
    spellings = {identity("text", json.dumps(text, ensure_ascii=e)) for e in (True, False)}
    assert spellings == {(text,)}


@pytest.mark.parametrize("value", ["1", "true", '{"a": 1}', "[1]"])
def test_other_json_on_text_is_left_to_postgresql(value: str) -> None:
    assert identity("text", value) is None


def test_a_string_that_may_lose_blanks_is_left_to_postgresql() -> None:
    assert identity("text", '"abc"', max_length=3) == ("abc",)
    assert identity("text", '"abc "', max_length=3) is None
    assert identity("text", '"\\u00e4\\u00f6\\u00fc"', max_length=3) == ("äöü",)


@pytest.mark.parametrize("type_", ["numeric", "timestamptz", "citext", "character(3)", "jsonb"])
def test_every_other_type_is_left_to_postgresql(type_: str) -> None:
    assert identity(type_, '"x"') is None


def test_a_composite_key_has_its_parts_in_key_order() -> None:
    reader = KeyReader(table(column("b", "bigint"), column("a"), key=("a", "b")))
    assert reader.read(decode('{"b": 1, "a": "x"}'), {}) == ((b'"x"', b"1"), ("x", b"1"))


def test_one_part_for_postgresql_leaves_the_whole_key_to_it() -> None:
    reader = KeyReader(table(column("a"), column("b", "numeric"), key=("a", "b")))
    assert reader.read(decode('{"b": 1, "a": "x"}'), {})[1] is None


@pytest.mark.parametrize("data", ["{}", '{"id": null}'])
def test_a_key_that_is_missing_or_null_equals_no_other(data: str) -> None:
    reader = KeyReader(table(column("id")))
    first, second = (reader.read(decode(data), {})[1] for _ in range(2))
    assert isinstance(first, Alone)
    assert first != second


def test_a_scope_column_in_the_key_comes_from_the_envelope_unless_the_record_has_it() -> None:
    reader = KeyReader(table(column("_client_id"), column("id"), key=("_client_id", "id")))
    members = {"client_id": b'"c1"'}
    assert reader.json_of({"id": b'"x"'}, members) == (b'"c1"', b'"x"')
    assert reader.json_of({"id": b'"x"', "_client_id": b'"c2"'}, members) == (b'"c2"', b'"x"')
    assert reader.json_of({"id": b'"x"'}, {}) == (None, b'"x"')
