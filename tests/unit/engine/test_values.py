"""Style `values`: how records are cut into statements, and what the statements say."""

from __future__ import annotations

import json

import pytest

from batchdrain.engine.catalog import Conversion
from batchdrain.engine.layout import Layout, Layouts
from batchdrain.engine.records import Operation
from batchdrain.engine.statements.shape import BoundStatement, Shape
from batchdrain.engine.statements.values import LONGEST_CASE, MOST_PARAMETERS, Values
from made_tables import column, table

TABLE = table(
    column("id", "integer"),
    column("a", "integer"),
    column("b"),
    column("_client_id"),
    column("_ver"),
    column("_updated_at", "timestamptz", default=True),
)
RECORD = {"id": 1, "a": 2, "b": "x", "_client_id": "c1", "_ver": "1"}


def shape(operation: Operation) -> Shape:
    layout = Layouts(TABLE).of(operation, tuple(RECORD))
    assert isinstance(layout, Layout)
    return layout.shape


def bind_all(operation: Operation, *changes: dict[str, object]) -> list[BoundStatement]:
    records = [json.dumps({**RECORD, **change}).encode() for change in changes]
    return Values(TABLE).bind(shape(operation), records)


def bind(operation: Operation, *changes: dict[str, object]) -> list[BoundStatement]:
    """Those of the statements that apply records."""
    return [bound for bound in bind_all(operation, *changes) if bound.places]


@pytest.mark.parametrize(
    ("operation", "lock"),
    [
        (Operation.UPDATE, "FOR NO KEY UPDATE"),
        (Operation.UPSERT, "FOR NO KEY UPDATE"),
        (Operation.DELETE, "FOR UPDATE"),
    ],
)
def test_rows_are_locked_in_key_order_before_they_are_changed(
    operation: Operation, lock: str
) -> None:
    locking, _ = bind_all(operation, {}, {"id": 2})
    assert locking.statement.text == (
        'SELECT FROM "public"."t" AS t WHERE t."id" IN ($1::integer, $2::integer) '
        f'AND t."_client_id" = $3::text AND t."_ver" = $4::text\nORDER BY t."id" {lock}'
    )
    assert locking.parameters == ("1", "2", "c1", "1")


def test_a_lone_row_needs_no_order() -> None:
    assert len(bind_all(Operation.UPDATE, {})) == 1
    assert len(bind_all(Operation.INSERT, {}, {"id": 2})) == 1


def test_an_insert_has_a_row_of_parameters_for_each_record() -> None:
    (bound,) = bind(Operation.INSERT, {}, {"id": 2})
    assert bound.parameters == ("1", "2", "x", "c1", "1", "2", "2", "x", "c1", "1")
    assert bound.statement.text == (
        'INSERT INTO "public"."t" ("id", "a", "b", "_client_id", "_ver") VALUES '
        "($1::integer, $2::integer, $3::text, $4::text, $5::text),\n"
        '($6::integer, $7::integer, $8::text, $9::text, $10::text) RETURNING "id"'
    )


def test_an_update_has_a_case_for_each_column_and_keeps_to_keys_and_scope() -> None:
    (bound,) = bind(Operation.UPDATE, {}, {"id": 2})
    text = " ".join(bound.statement.text.split())
    assert (
        'SET "a" = CASE WHEN t."id" = $1::integer THEN $2::integer '
        'WHEN t."id" = $6::integer THEN $7::integer ELSE t."a" END, "b" = CASE'
    ) in text
    assert (
        'END, "_updated_at" = CURRENT_TIMESTAMP WHERE t."id" IN ($1::integer, $6::integer) '
        'AND t."_client_id" = $4::text AND t."_ver" = $5::text RETURNING t."id", t."_updated_at"'
    ) in text


def test_a_delete_has_a_list_of_keys() -> None:
    (bound,) = bind(Operation.DELETE, {}, {"id": 2})
    text = " ".join(bound.statement.text.split())
    assert (
        'DELETE FROM "public"."t" AS t WHERE t."id" IN ($1::integer, $4::integer) '
        'AND t."_client_id" = $2::text AND t."_ver" = $3::text RETURNING t."id"'
    ) in text


def test_a_composite_key_is_compared_as_a_whole() -> None:
    pair = table(column("x", "integer"), column("y", "integer"), key=("y", "x"))
    layout = Layouts(pair).of(Operation.DELETE, ("x", "y"))
    assert isinstance(layout, Layout)
    _, bound = Values(pair).bind(layout.shape, [b'{"x": 1, "y": 2}', b'{"x": 3, "y": 4}'])
    assert '(t."y", t."x") IN (($2::integer, $1::integer), ($4::integer, $3::integer))' in (
        bound.statement.text
    )


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_no_statement_has_more_parameters_than_the_protocol_can_count(spare: int) -> None:
    most = MOST_PARAMETERS // len(shape(Operation.INSERT).carried)
    bound = bind(Operation.INSERT, *({"id": n} for n in range(most + spare)))
    assert len(bound) == (2 if spare == 1 else 1)
    assert all(len(each.parameters) <= MOST_PARAMETERS for each in bound)
    assert sorted(place for each in bound for place in each.places) == list(range(most + spare))


def test_an_update_s_cases_are_kept_short() -> None:
    bound = bind(Operation.UPDATE, *({"id": n} for n in range(LONGEST_CASE + 1)))
    assert [len(each.places) for each in bound] == [LONGEST_CASE, 1]


def test_each_statement_has_one_scope_and_says_which_records_it_has() -> None:
    bound = bind(
        Operation.UPDATE, {"id": 3}, {"id": 1, "_ver": "2"}, {"id": 2}, {"id": 1, "_ver": "3"}
    )
    assert [list(each.places) for each in bound] == [[2, 0], [1], [3]]


def test_inserts_of_all_scopes_share_a_statement_in_key_order() -> None:
    (bound,) = bind(Operation.INSERT, {"id": 3}, {"id": 1, "_ver": "2"}, {"id": 2})
    assert list(bound.places) == [1, 2, 0]


def test_json_that_jsonb_may_refuse_is_asked_about_first() -> None:
    check, bound = bind_all(Operation.INSERT, {}, {"id": 2, "b": "a\0b"})
    assert check.parameters == ([json.dumps({**RECORD, "id": 2, "b": "a\0b"})],)
    assert list(check.places) == []
    assert not any("\0" in str(parameter) for parameter in bound.parameters)


def test_a_value_keeps_every_digit_and_goes_as_jsonb_shows_it() -> None:
    exact = b'{"id": 1e0, "a": 12345678901234567.25, "b": {"b": 1, "a": [true]}}'
    plain = table(column("id"), column("a"), column("b"))
    layout = Layouts(plain).of(Operation.INSERT, ("id", "a", "b"))
    assert isinstance(layout, Layout)
    (bound,) = Values(plain).bind(layout.shape, [exact])
    assert bound.parameters == ("1", "12345678901234567.25", '{"a": [true], "b": 1}')


def test_what_a_cast_would_cut_or_not_understand_goes_through_jsonb() -> None:
    made = table(
        column("id", "integer"),
        column("v", "varchar(3)", conversion=Conversion.LIMITED),
        column("tags", "text[]", conversion=Conversion.RECORD),
        column("j", "jsonb", conversion=Conversion.JSONB),
    )
    record = b'{"id": 1, "v": "abc", "tags": ["a"], "j": "s"}'
    layout = Layouts(made).of(Operation.UPDATE, ("id", "v", "tags", "j"))
    assert isinstance(layout, Layout)
    (bound,) = Values(made).bind(layout.shape, [record])
    assert bound.parameters == ("1", "abc", '{"x":["a"]}', '"s"')
    for expression in (
        """(SELECT x FROM jsonb_to_record(jsonb_build_object('x', $2::text)) """
        """AS r("x" varchar(3)))""",
        """(SELECT x FROM jsonb_to_record($3::jsonb) AS r("x" text[]))""",
        "$4::jsonb",
    ):
        assert expression in bound.statement.text
