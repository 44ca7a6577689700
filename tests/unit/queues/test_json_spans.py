"""Places of JSON values: exactly the grammar of RFC 8259, at any length and depth."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.queues.json_spans import (
    JsonSyntaxError,
    TooDeepError,
    deeper_than,
    elements,
    members,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.sampled_from('ab"\\/\n\0é{}[],:\ud800'), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('ab"\\', max_size=3), inner, max_size=4)
    ),
    max_leaves=15,
)
SPACES = st.text(" \t\r\n", max_size=2)


def encoded(value: object, space: str = "", ascii_only: bool = True) -> bytes:
    separators = (f"{space},{space}", f"{space}:{space}")
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
    return text.encode(errors="surrogatepass")


def accepted(text: bytes) -> bool:
    try:
        list(members(text, 500))
    except (JsonSyntaxError, TooDeepError):
        return False
    return True


def accepted_by_python(text: bytes) -> bool:
    def refuse(_: str) -> None:
        raise ValueError

    try:
        value = json.loads(text.decode(), parse_constant=refuse, parse_int=str)
    except ValueError:
        return False
    return isinstance(value, dict)


@given(st.dictionaries(st.text('abé"\\', max_size=3), JSON, max_size=5), SPACES, st.booleans())
def test_members_lie_where_their_values_lie(
    value: dict[str, object], space: str, ascii_only: bool
) -> None:
    text = space.encode() + encoded(value, space, ascii_only) + space.encode()
    found = {name: text[start:end] for name, (start, end) in members(text, 100)}
    assert found == {name: encoded(inner, space, ascii_only) for name, inner in value.items()}


@given(st.lists(JSON, max_size=5), SPACES)
def test_elements_lie_where_they_lie(value: list[object], space: str) -> None:
    text = b"  " + encoded(value, space)
    found = [text[start:end] for start, end in elements(text, (2, len(text)))]
    assert found == [encoded(inner, space) for inner in value]


@given(
    st.dictionaries(st.text("a", max_size=2), JSON, max_size=3),
    st.lists(
        st.tuples(
            st.integers(0, 200),
            st.integers(0, 2),
            st.sampled_from([*"{}[]\",:\\ \t\x0b\x01019.eE+-tfnua/N'\x7f", "", "NaN", "\\u12"]),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_accepts_exactly_what_the_grammar_allows(
    value: dict[str, object], edits: list[tuple[int, int, str]]
) -> None:
    """Texts with a few random edits, judged beside Python's own strict parser."""
    text = bytearray(encoded(value))
    for at, width, new in edits:
        at %= len(text) + 1
        text[at : at + width] = new.encode()
    assert accepted(bytes(text)) == accepted_by_python(bytes(text))


@pytest.mark.parametrize(
    "value",
    [
        *("01", "1.", ".5", "-", "+1", "1e", "1e+", "--1", "0x1", "1 2"),
        *("NaN", "Infinity", "-Infinity", "nul", "nullx", "True", "", "/**/1", "1//"),
        *("'a'", '"a', '"\\x"', '"\\u12g4"', '"\t"', '"\x00"', '"\x1f"', "\x0b1", "\u00a01"),
        *("[1,]", "[,1]", "[1 2]", "[1", "[1}", "1]", "1,,"),
        *('{"a":1,}', '{"a" 1}', '{"a"}', "{1:2}", "{a:1}", "{,}", "{]", "1}", '1,"b":', '1,"b"'),
    ],
)
def test_refuses_what_is_no_json(value: str) -> None:
    text = b'{"a":' + value.encode() + b"}"
    assert not accepted(text)
    assert not accepted_by_python(text)


@pytest.mark.parametrize("value", ['"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', "1e999999", "-0"])
def test_has_no_opinion_on_what_values_mean(value: str) -> None:
    assert accepted(b'{"a":' + value.encode() + b"}")
    assert accepted(b'{"a":[' + value.encode() + b",1]}")


def test_takes_numbers_of_any_length() -> None:
    assert accepted(b'{"a":' + b"9" * 100_000 + b"}")


@pytest.mark.parametrize("count", [499, 500, 501, 999, 1_000, 1_001, 5_000])
def test_takes_long_runs_in_steps(count: int) -> None:
    """Regular expressions here repeat a bounded number of times."""
    escapes = b'"' + b"\\n" * count + b'"'
    text = b'{"a":' + escapes + b',"b":[' + b"1," * count + escapes + b"]}"
    found = [text[start:end] for _, (start, end) in members(text, 3)]
    assert found[0] == escapes
    assert len(list(elements(found[1], (0, len(found[1]))))) == count + 1
    many = b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(count)) + b"}"
    assert len(list(members(many, 1))) == count
    assert accepted(b'{"a":' + many + b"}")
    assert not accepted(b'{"a":' + escapes[:-1] + b"}")


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("levels", [2, 3, 499, 500, 501, 5_000])
def test_depth_is_exact(opening: bytes, closing: bytes, levels: int) -> None:
    text = b'{"x":"[[[","a":' + opening * (levels - 1) + b"1" + closing * (levels - 1) + b"}"
    list(members(text, levels))
    assert not deeper_than(text, levels)
    assert deeper_than(text, levels - 1)
    with pytest.raises(TooDeepError):
        list(members(text, levels - 1))


@given(JSON)
def test_depth_counts_no_brackets_in_strings(value: object) -> None:
    def depth(inner: object) -> int:
        if isinstance(inner, dict):
            return 1 + max(map(depth, inner.values()), default=0)
        return 1 + max(map(depth, inner), default=0) if isinstance(inner, list) else 0

    text = encoded(value)
    assert not deeper_than(text, depth(value))
    assert depth(value) == 0 or deeper_than(text, depth(value) - 1)


def test_what_was_complete_before_an_error_has_been_yielded() -> None:
    found = members(b'{"a":1,"b":[2],"c":34', 10)
    assert [next(found)[0], next(found)[0]] == ["a", "b"]
    with pytest.raises(JsonSyntaxError, match="at byte"):
        next(found)
