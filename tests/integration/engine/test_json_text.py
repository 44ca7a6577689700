"""`shown` says what jsonb says."""

from __future__ import annotations

from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchdrain.engine.json_text import shown

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
