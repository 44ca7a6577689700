"""What a DAG author gives the hook, as JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from batchdrain.engine.records import Malformed, Operation
from batchdrain.errors import ConfigurationError
from batchdrain.hooks.given_records import read_records, scope_members

DEEP: list[object] = []
DEEP.append(DEEP)


def written(value: object) -> str:
    (record,) = read_records(Operation.INSERT, [{"c": value}], {})
    assert not isinstance(record, Malformed)
    return record.data.decode().removeprefix('{"c":').removesuffix("}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (10**30, str(10**30)),
        (0.1, "0.1"),
        (float("nan"), '"NaN"'),
        (float("inf"), '"Infinity"'),
        (float("-inf"), '"-Infinity"'),
        (Decimal("12345678901234567890.10"), "12345678901234567890.10"),
        (Decimal("NaN"), '"NaN"'),
        (Decimal("-Infinity"), '"-Infinity"'),
        (b"\x00\xff", '"\\\\x00ff"'),
        (bytearray(b"a"), '"\\\\x61"'),
        (datetime(2025, 1, 1, tzinfo=UTC), '"2025-01-01T00:00:00+00:00"'),
        (
            datetime(1900, 1, 1, tzinfo=timezone(-timedelta(hours=6, minutes=36, seconds=36))),
            '"1900-01-01T00:00:00-06:36:36"',
        ),
        (date(2025, 1, 1), '"2025-01-01"'),
        (time(7, 30), '"07:30:00"'),
        (UUID(int=3), '"00000000-0000-0000-0000-000000000003"'),
        (Operation.DELETE, '"DELETE"'),
        ([1, (b"a", {"k": float("nan")})], '[1,["\\\\x61",{"k":"NaN"}]]'),
    ],
)
def test_a_value_is_carried_exactly(value, expected):
    assert written(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        timedelta(1),
        1j,
        "\ud800",
        ["\ud800"],
        {"\ud800": 1},
        {1: "secret"},
        Decimal("sNaN"),
        [10**5000],
        DEEP,
    ],
)
def test_a_value_that_json_lacks_is_named_by_place_and_column(value):
    with pytest.raises(ConfigurationError, match=r"^Record 1 in column 'c' holds ") as caught:
        read_records(Operation.INSERT, [{"c": 1}, {"c": value}], {})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("record", ["text", bytearray(b"{}"), 5, None, [1], {1: 2}, {b"a": 1}])
def test_a_record_that_is_none_is_named_by_its_place(record):
    with pytest.raises(ConfigurationError, match=r"^Record 1 "):
        read_records(Operation.INSERT, [b"{}", record], {})


@pytest.mark.parametrize("records", ["{}", b"{}", {"id": 1}, 5, None])
def test_what_is_no_list_of_records_is_refused(records):
    with pytest.raises(ConfigurationError, match="argument records must be a list"):
        read_records(Operation.INSERT, records, {})


@pytest.mark.parametrize("text", [b"", b"{not json", b'{"a": "\xff"}', b"[" * 9999])
def test_bytes_that_are_no_json_are_a_malformed_record(text):
    (record,) = read_records(Operation.INSERT, [text], {})
    assert isinstance(record, Malformed)
    assert record.body == text


def test_the_scope_is_what_is_given_of_it():
    members = scope_members("c", None, {"tenant": 5, "region": "mx"})
    assert {name: json.loads(value) for name, value in members.items()} == {
        "client_id": "c",
        "tenant": 5,
        "region": "mx",
    }
    assert scope_members(None, None, {"client_id": "c"}) == {"client_id": b'"c"'}


@pytest.mark.parametrize(
    ("client_id", "scope"),
    [
        ("c", {"client_id": "d"}),
        (None, {"tenant": object()}),
        (None, {"tenant": True}),
        (None, {5: "x"}),
        (None, {"tenant": "\ud800"}),
        (1.5, None),
    ],
)
def test_a_scope_that_no_message_could_have_is_refused(client_id, scope):
    with pytest.raises(ConfigurationError, match=r"^The scope member "):
        scope_members(client_id, None, scope)


def test_a_scope_that_is_no_mapping_is_refused():
    with pytest.raises(ConfigurationError, match="argument scope must map"):
        scope_members(None, None, "tenant=5")
