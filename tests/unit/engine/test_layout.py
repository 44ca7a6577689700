"""What follows from an operation and the names of a record's members."""

from __future__ import annotations

import pytest

from batchdrain.engine.layout import Layout, Layouts
from batchdrain.engine.records import Operation, Refusal
from made_tables import column, table

INSERT, UPDATE, DELETE, UPSERT = Operation

PLAIN = table(
    column("id", "integer"),
    column("_client_id"),
    column("a"),
    column("b", default=True),
    column("twice", computed=True, default=True),
    column("_updated_at", "timestamptz", default=True),
)


def layout(operation: Operation, *names: str, of: Layouts | None = None) -> Layout:
    found = (of or Layouts(PLAIN)).of(operation, names)
    assert isinstance(found, Layout)
    return found


def refusal(operation: Operation, *names: str, of: Layouts | None = None) -> tuple[str, str | None]:
    found = (of or Layouts(PLAIN)).of(operation, names)
    assert isinstance(found, Refusal)
    return found.error_type, found.field


def test_an_insert_writes_null_for_what_has_no_default() -> None:
    """So that records differ in shape only by the columns with defaults that they carry."""
    assert layout(INSERT, "id").shape.insert == ("id", "_client_id", "a")
    assert layout(INSERT, "id").shape == layout(INSERT, "a", "id").shape
    assert layout(INSERT, "id", "b").shape.insert == ("id", "_client_id", "a", "b")


def test_an_insert_leaves_out_what_the_role_may_not_write() -> None:
    of = Layouts(table(column("id"), column("a", insertable=False)))
    assert layout(INSERT, "id", of=of).shape.insert == ("id",)
    assert layout(INSERT, "id", "a", of=of).shape.insert == ("id", "a")


def test_an_update_sets_what_the_record_carries_but_key_and_scope() -> None:
    shape = layout(UPDATE, "id", "_client_id", "b").shape
    assert (shape.update, shape.touch) == (("b",), True)
    assert shape.carried == ("id", "_client_id", "b")
    assert shape.changed == ("b", "_updated_at")


def test_an_update_does_not_touch_a_clock_that_the_record_gives() -> None:
    shape = layout(UPDATE, "id", "_updated_at").shape
    assert (shape.update, shape.touch) == (("_updated_at",), False)


@pytest.mark.parametrize("facts", [{"computed": True}, {"always": True}])
def test_an_update_does_not_touch_a_clock_that_takes_no_value(facts: dict[str, bool]) -> None:
    of = Layouts(table(column("id"), column("_updated_at", **facts)))
    assert not layout(UPDATE, "id", of=of).shape.touch


def test_a_delete_converts_key_and_scope_only() -> None:
    shape = layout(DELETE, "id", "a", "twice").shape
    assert shape.carried == ("id", "_client_id")
    assert (shape.insert, shape.update, shape.touch) == ((), (), False)


def test_an_upsert_inserts_what_the_record_carries() -> None:
    """A column that only its INSERT would fill must not stop its UPDATE."""
    shape = layout(UPSERT, "id", "b").shape
    assert shape.insert == ("id", "_client_id", "b")
    assert (shape.update, shape.touch) == (("b",), True)
    assert shape.carried == ("id", "_client_id", "b")


def test_scope_is_the_record_s_own_or_the_envelope_s() -> None:
    (scope,) = PLAIN.scope
    assert layout(INSERT, "id").added_scope == ((b'"_client_id":', scope.member),)
    assert layout(INSERT, "id", "_client_id").own_scope == (scope,)
    assert layout(INSERT, "id", "_client_id").added_scope == ()


@pytest.mark.parametrize("operation", list(Operation))
def test_an_unknown_column_is_the_first_thing_that_is_wrong(operation: Operation) -> None:
    assert refusal(operation, "a", "nope", "twice") == ("undefined_column", "nope")
    assert refusal(operation, "ID") == ("undefined_column", "ID")


@pytest.mark.parametrize("operation", [INSERT, UPDATE, UPSERT])
def test_a_generated_column_takes_no_value(operation: Operation) -> None:
    assert refusal(operation, "a", "twice") == ("generated_always", "twice")


def test_a_generated_key_may_be_named_to_find_its_row_only() -> None:
    of = Layouts(table(column("id", "integer", always=True, default=True), column("a")))
    assert layout(UPDATE, "id", "a", of=of).shape.update == ("a",)
    assert layout(DELETE, "id", of=of)
    assert refusal(INSERT, "id", of=of) == ("generated_always", "id")
    assert refusal(UPSERT, "id", of=of) == ("generated_always", "id")


@pytest.mark.parametrize("operation", [UPDATE, DELETE, UPSERT])
def test_a_missing_part_of_the_key_is_malformed(operation: Operation) -> None:
    assert refusal(operation, "a") == ("malformed_message", "id")
    of = Layouts(table(column("a"), column("b"), key=("b", "a")))
    assert refusal(operation, "b", of=of) == ("malformed_message", "a")


def test_the_envelope_supplies_scope_that_is_part_of_the_key() -> None:
    of = Layouts(table(column("_client_id"), column("id"), key=("_client_id", "id")))
    assert layout(UPDATE, "id", of=of).shape.carried == ("_client_id", "id")
    assert refusal(UPDATE, "_client_id", of=of) == ("malformed_message", "id")


@pytest.mark.parametrize(
    ("facts", "known"),
    [
        ({}, True),
        ({"default": True, "fresh_default": True}, True),
        ({"default": True}, False),
        ({"default": True, "computed": True}, False),
    ],
)
def test_a_key_left_to_a_default_is_known_only_if_no_other_row_gets_it(
    facts: dict[str, bool], known: bool
) -> None:
    of = Layouts(table(column("id", "integer", **facts), column("a")))
    assert layout(INSERT, "a", of=of).key_known is known


def test_producers_that_invent_columns_do_not_fill_the_memory() -> None:
    of = Layouts(PLAIN)
    for n in range(10_050):
        of.of(INSERT, (f"c{n}",))
    assert len(of._known) <= 10_000
