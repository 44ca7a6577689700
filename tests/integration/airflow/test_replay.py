"""What a page of refused records offers to choose in the form of a replay."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from batchdrain.engine.catalog import read_table
from batchdrain.engine.refused_view import RefusedView
from batchdrain.plugins.page import Request
from batchdrain.plugins.replay import MOST_IDS, ids_of_run


@pytest.fixture
def view(connection: psycopg.Connection[Any]) -> RefusedView:
    """Rows 1 to 3 are of one run, the second of them resolved; row 4 is of another."""
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE things_errors (id bigint GENERATED ALWAYS AS IDENTITY, error_type text, "
        "run_id text, resolved_at timestamptz)"
    )
    connection.execute(
        "INSERT INTO things_errors (error_type, run_id, resolved_at) VALUES "
        "('a', 'one', NULL), ('a', 'one', now()), ('b', 'one', NULL), ('b', 'two', NULL)"
    )
    return RefusedView(connection, read_table(connection, "things"))


def test_a_replay_of_one_run_chooses_its_unresolved_rows_of_every_page(view):
    asked = Request("d", table="things", run="one", all_rows=True, page=2)
    assert ids_of_run(asked, view) == [1, 3]
    assert ids_of_run(Request("d", table="things", run="one", error_type="b"), view) == [3]


def test_without_a_run_the_form_chooses_by_table_and_type(view):
    assert ids_of_run(Request("d", table="things"), view) is None


def test_where_rows_tell_no_run_all_are_shown_and_chosen(connection, view):
    connection.execute("ALTER TABLE things_errors DROP run_id")
    view = RefusedView(connection, read_table(connection, "things"))
    assert ids_of_run(Request("d", table="things", run="one"), view) is None


def test_a_run_of_which_nothing_is_left_is_not_the_choice_of_all_rows(view):
    """An empty list of ids would mean every row."""
    told = ids_of_run(Request("d", table="things", run="three"), view)
    assert told == "No row of this run is left to be applied again."


def test_a_run_with_too_many_rows_is_not_offered(connection, view):
    connection.execute(
        "INSERT INTO things_errors (error_type, run_id) SELECT 'c', 'one' "
        f"FROM generate_series(1, {MOST_IDS})"
    )
    told = ids_of_run(Request("d", table="things", run="one"), view)
    assert isinstance(told, str)
    assert "more than 1,000 rows" in told
    asked = Request("d", table="things", run="one", error_type="c")
    assert len(ids_of_run(asked, view) or ()) == MOST_IDS
