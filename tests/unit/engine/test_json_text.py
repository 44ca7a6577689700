"""JSON values as jsonb shows them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.engine.json_text import shown, shown_key, tolerant_members


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b'"a"', "a"),
        (b'""', ""),
        (b'"\\u00e9\\n"', "é\n"),
        (b'"\\ud800"', "\\ud800"),
        (b"1", "1"),
        (b"-0", "0"),
        (b"-0.00", "0.00"),
        (b"1.50", "1.50"),
        (b"1e2", "100"),
        (b"1.5e-3", "0.0015"),
        (b"12e-1", "1.2"),
        (b"1e999999999", "1e999999999"),
        (b"true", "true"),
        (b"null", None),
        (b"0e-20000", "0e-20000"),
        (b"1e131072", "1e131072"),
        (b"[1,2]", "[1, 2]"),
        (b'[ "a" , null,true, [ ],{}, 1.50e1 ]', '["a", null, true, [], {}, 15.0]'),
        (b'{"b":1,"a":2}', '{"a": 2, "b": 1}'),
        ('{"é":1,"zz":2,"z":3,"aaa":4}'.encode(), '{"z": 3, "zz": 2, "é": 1, "aaa": 4}'),
        (b'{"a":1,"b":2,"a":{"c":-0}}', '{"a": {"c": 0}, "b": 2}'),
        (b'["\\u00e9\\/\\u001f\\t\\""]', '["é/\\u001f\\t\\""]'),
        (b'["\\u0000" ,1]', '["\\u0000" ,1]'),
        (b'{"a":"\\ud800","a":1}', '{"a":"\\ud800","a":1}'),
        (b"[1e999999 ,1]", "[1e999999 ,1]"),
        (b"[NaN,1]", "[NaN,1]"),
    ],
)
def test_values_are_shown_as_jsonb_shows_them(value: bytes, text: str | None) -> None:
    assert shown(value) == text


@given(st.text(st.characters(exclude_categories=("Cs",))), st.booleans())
def test_strings_are_shown_as_they_are(text: str, ascii_only: bool) -> None:
    assert shown(json.dumps(text, ensure_ascii=ascii_only).encode()) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((), None),
        (None, None),
        ((b'"x"',), "x"),
        ((b"1e1",), "10"),
        ((b"null",), None),
        ((None,), None),
        ((b'"\\u00e9"', b"1.0"), '["é", 1.0]'),
        ((b"[1,2]",), "[1, 2]"),
        ((b'{"b":1,"a":2}', b"7"), '[{"a": 2, "b": 1}, 7]'),
        ((b'"a"', None), None),
        ((b'"a"', b"null"), None),
    ],
)
def test_a_key_is_shown_alone_or_as_an_array(
    key: tuple[bytes | None, ...] | None, text: str | None
) -> None:
    assert shown_key(key) == text


def test_members_are_found_in_json_that_nothing_strict_reads() -> None:
    found = tolerant_members(b'{"a": "\\ud800", "b": 1.50, "b": 2e400, "c": [null, 1.50, {"d":2}]}')
    assert found == {"a": b'"\\ud800"', "b": b"2e400", "c": b'[null, 1.50, {"d": 2}]'}


@pytest.mark.parametrize("data", [b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_has_no_members(data: bytes) -> None:
    assert tolerant_members(data) == {}
