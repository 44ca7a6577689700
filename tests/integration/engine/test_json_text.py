"""`shown` says what jsonb says."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchdrain.engine.json_text import shown, shown_key

numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15
)
@given(st.lists(numbers, min_size=20, max_size=60))
def test_numbers_are_shown_as_jsonb_shows_them(
    connection: psycopg.Connection[Any], texts: list[str]
) -> None:
    cursor = connection.execute(
        "SELECT array_agg(v::jsonb #>> '{}' ORDER BY place)"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS u(v, place)",
        (texts,),
    )
    assert cursor.fetchone() == ([shown(text.encode()) for text in texts],)


class Spelled(str):
    """A number's JSON."""


def spelled(value: object) -> str:
    """The JSON of a value; objects are lists of pairs in tuples, so that names may occur twice."""
    if isinstance(value, Spelled):
        return value
    if isinstance(value, tuple):
        members = ",".join(f"{json.dumps(n)} :{spelled(v)}" for n, v in value)
        return f"{{{members}}}"
    if isinstance(value, list):
        return f"[{','.join(map(spelled, value))} ]"
    return json.dumps(value)


strings = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6)
names = st.one_of(strings, st.sampled_from(["a", "b", "é", "zz", ""]))
nested = st.recursive(
    st.one_of(st.none(), st.booleans(), strings, numbers.map(Spelled)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(st.tuples(names, inner), max_size=5).map(tuple),
    ),
    max_leaves=12,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15
)
@given(st.lists(nested, min_size=10, max_size=30))
def test_arrays_and_objects_are_shown_as_jsonb_shows_them(
    connection: psycopg.Connection[Any], values: list[object]
) -> None:
    """Alone, and as a part of a composite key."""
    texts = [spelled([value]) for value in values] + [spelled((("k", v),)) for v in values]
    cursor = connection.execute(
        "SELECT v::jsonb #>> '{}', jsonb_build_array(v::jsonb, 1)::text"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS u(v, place) ORDER BY place",
        (texts,),
    )
    keys = [text.encode() for text in texts]
    assert cursor.fetchall() == [(shown_key([key]), shown_key([key, b"1"])) for key in keys]


def test_what_numeric_does_not_hold_is_shown_as_it_arrived(
    connection: psycopg.Connection[Any],
) -> None:
    """Where numeric's limits are, our copy of them is; beyond, jsonb refuses the number."""
    for number in ("1e131071", "0e131072", "1e-16383", "0e-16383"):
        row = connection.execute("SELECT %s::jsonb #>> '{}'", (number,)).fetchone()
        assert row == (shown(number.encode()),)
    for number in ("1e131072", "1e-16384", "0e-16384"):
        assert shown(number.encode()) == number
        query = "SELECT pg_input_is_valid(%s, 'jsonb')"
        if connection.info.server_version >= 160000:
            assert connection.execute(query, (number,)).fetchone() == (False,)
