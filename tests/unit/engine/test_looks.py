"""Which records look bad: never one that is plainly good, and the usual kinds of bad ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchdrain.engine.layout import Layout, Layouts
from batchdrain.engine.looks import Looks
from batchdrain.engine.records import Operation
from made_tables import column, table

UUID = "0190a1b2-0000-7000-8000-00000000000a"

GOOD: dict[str, list[Any]] = {
    "smallint": [1, -32768, "17", None],
    "integer": [2**31 - 1, " 5 ", None],
    "bigint": [-(2**63), "9223372036854775807"],
    "numeric(14,2)": [1, 1.5, 1e3, "12.50", "NaN"],
    "real": [1.5, "-1e3"],
    "double precision": [0, "Infinity"],
    "boolean": [True, "t", "off"],
    "uuid": [UUID, UUID.upper()],
    "date": ["2025-03-01"],
    "time without time zone": ["07:00:00"],
    "timestamp(3) with time zone": ["2025-03-01T07:00:00+00:00", "2025-03-01 07:00:00Z"],
    "timestamp without time zone": ["2025-03-01T07:00:00"],
    "text": ["", "é", 17, True, None],
    "character varying(3)": ["abc", "éèà", 12],
    "jsonb": [{"a": []}, None, 1],
    "tsvector": ["anything"],
}
BAD: dict[str, list[Any]] = {
    "smallint": [32768, "a dozen", 1.5, True],
    "integer": [2**31, ""],
    "numeric(14,2)": ["much", []],
    "boolean": ["perhaps"],
    "uuid": ["17", 17],
    "date": ["2025-02-30", "soon"],
    "timestamp(3) with time zone": ["soon", "2025-13-01T07:00:00Z"],
    "character varying(3)": ["abcd"],
}


def suspects(
    type_: str, values: list[object], operation: str = "INSERT", **facts: int
) -> list[int]:
    of = table(column("id", "integer", not_null=True), column("v", type_, **facts))
    layout = Layouts(of).of(Operation(operation), ("id", "v"))
    assert isinstance(layout, Layout)
    records = [json.dumps({"id": 1, "v": value}).encode() for value in values]
    return Looks(of).suspects(layout.shape, records)


@pytest.mark.parametrize("type_", GOOD)
def test_good_values_look_good(type_: str) -> None:
    length = {"max_length": 3} if "(3)" in type_ and "char" in type_ else {}
    assert suspects(type_, GOOD[type_], **length) == []


@pytest.mark.parametrize("type_", BAD)
def test_bad_values_look_bad_and_leave_their_neighbours_alone(type_: str) -> None:
    length = {"max_length": 3} if "(3)" in type_ and "char" in type_ else {}
    good = GOOD[type_][:1]
    values = [*good * 70, *BAD[type_], *good * 70]
    assert suspects(type_, values, **length) == list(range(70, 70 + len(BAD[type_])))


def test_null_looks_bad_where_it_is_not_allowed() -> None:
    assert suspects("integer", [None, 1], not_null=True) == [0]


def test_what_a_record_leaves_out_counts_as_null_unless_it_has_a_default() -> None:
    of = table(
        column("id", "integer", not_null=True),
        column("v", "integer", not_null=True),
        column("d", "integer", not_null=True, default=True),
    )
    layouts = Layouts(of)
    without, complete = (
        layouts.of(Operation.INSERT, ("id",)),
        layouts.of(Operation.INSERT, ("id", "v")),
    )
    assert isinstance(without, Layout)
    assert isinstance(complete, Layout)
    assert Looks(of).suspects(without.shape, [b'{"id":1}']) == [0]
    assert Looks(of).suspects(complete.shape, [b'{"id":1,"v":2}']) == []


def test_a_delete_looks_only_at_what_it_converts() -> None:
    assert suspects("integer", ["soon"], "DELETE") == []
    assert suspects("integer", ["soon"], "UPDATE") == [0]


def test_columns_may_have_any_name() -> None:
    of = table(column("id", "integer"), column('quo"ted', "integer"), column("n\\", "text"))
    layout = Layouts(of).of(Operation.INSERT, ("id", 'quo"ted'))
    assert isinstance(layout, Layout)
    records = [json.dumps({"id": key, 'quo"ted': "x"}).encode() for key in (1, "x")]
    assert Looks(of).suspects(layout.shape, records) == [1]
