"""The first look at a record: its shape, its key, what is refused and what is left to doubt."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.engine.classify import Classified, Classifier
from batchdrain.engine.records import Malformed, Operation, Record
from made_tables import column, table

SCOPED = table(column("id", "integer"), column("_client_id"), column("v"))
PLAIN = table(column("id", "integer"), column("v"))
MEMBERS = {"client_id": b'"c1"', "ver": b"1"}


def classify(
    data: bytes | str,
    operation: str = "INSERT",
    of: Classifier | None = None,
    members: Mapping[str, bytes] = MEMBERS,
) -> Classified:
    raw = data.encode() if isinstance(data, str) else data
    record = Record(Operation(operation), raw, members)
    return (of or Classifier(SCOPED)).classify([record])


def refusal(found: Classified) -> tuple[str, str | None]:
    assert not found.ready
    return found.refused[0].error_type, found.refused[0].field


def test_a_good_record_is_ready_with_its_scope_in_front() -> None:
    (ready,) = classify(' {"id": 1, "v": "x"}').ready
    assert ready.data == b'{"_client_id":"c1","id": 1, "v": "x"}'
    assert (ready.ordinal, ready.key, ready.identity) == (0, (b"1",), (b"1",))


def test_an_empty_record_gets_its_scope_too() -> None:
    (ready,) = classify(" { } ").ready
    assert json.loads(ready.data) == {"_client_id": "c1"}


def test_a_record_s_bytes_stay_untouched_where_no_scope_is_added() -> None:
    data = b'{"id": 1.0 , "v":"\\u00e9\xc3\xa9"}'
    (ready,) = classify(data, of=Classifier(PLAIN)).ready
    assert ready.data == data


@given(
    st.dictionaries(
        st.sampled_from(["id", "v", "_client_id"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()),
    ),
    st.sampled_from(list(Operation)),
)
def test_every_record_is_ready_refused_or_unread(
    values: dict[str, object], operation: Operation
) -> None:
    found = classify(json.dumps(values), operation)
    places = [ready.ordinal for ready in found.ready] + [*found.refused, *found.unread]
    assert places == [0]


def test_a_malformed_message_is_refused_for_its_own_reason() -> None:
    found = Classifier(SCOPED).classify([Malformed("no such operation", b"{}")])
    assert found.refused[0].message == "no such operation"
    assert refusal(found) == ("malformed_message", None)


@pytest.mark.parametrize("data", ["5", "null", "[]", '"{}"', "", "  "])
def test_what_is_no_object_is_malformed(data: str) -> None:
    assert refusal(classify(data)) == ("malformed_message", None)


@pytest.mark.parametrize("data", [b'{"v": "\xff"}', b'{"v": "\0"}'])
def test_bytes_that_are_no_text_are_malformed(data: bytes) -> None:
    assert refusal(classify(data)) == ("malformed_message", None)


@pytest.mark.parametrize("data", ['{"v": "\\ud800"}', '{"v": ' + "[" * 5000 + "]" * 5000 + "}"])
def test_what_only_postgresql_may_be_able_to_read_is_left_to_it(data: str) -> None:
    found = classify(data)
    assert found.unread == [0] or len(found.ready) == 1


def test_a_missing_scope_comes_before_the_record_itself() -> None:
    assert refusal(classify("5", members={})) == ("scope_missing", "_client_id")


def test_a_table_without_scope_needs_none() -> None:
    assert classify('{"id": 1}', of=Classifier(PLAIN), members={}).ready


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE", "UPSERT"])
def test_a_null_key_is_none(operation: str) -> None:
    assert refusal(classify('{"id": null}', operation)) == ("malformed_message", "id")


def test_an_insert_may_try_with_a_null_key() -> None:
    assert classify('{"id": null}').ready


def test_a_null_scope_of_the_record_s_own_is_a_mismatch() -> None:
    found = classify('{"id": 1, "_client_id": null}')
    assert refusal(found) == ("scope_mismatch", "_client_id")


def test_the_same_scope_in_the_record_is_no_doubt() -> None:
    found = classify('{"id": 1, "_client_id": "c1"}')
    assert len(found.ready) == 1
    assert not found.scope_doubts


def test_another_spelling_of_the_scope_is_a_doubt() -> None:
    found = classify('{"id": 1, "_client_id": "\\u00631"}')
    (doubt,) = found.scope_doubts
    assert (doubt.own, doubt.envelope) == (b'"\\u00631"', b'"c1"')


@pytest.mark.parametrize(
    "poison", ['"\\u0000"', '"\\uD834"', "1e999999", "1E-20000", "9" * 1001, '["\\u0000"]']
)
def test_a_refused_record_that_jsonb_might_refuse_before_is_doubtful(poison: str) -> None:
    found = classify(f'{{"nope": {poison}}}')
    assert found.doubtful == [0] or found.unread == [0]


@pytest.mark.parametrize("value", ['"u0000"', "1e99", '"1.5"', "123456789"])
def test_a_refused_record_that_jsonb_takes_is_not(value: str) -> None:
    found = classify(f'{{"nope": {value}}}')
    assert not found.doubtful


def test_the_doubtful_member_is_named() -> None:
    classifier = Classifier(PLAIN)
    for poison in ('"\\u0000"', '"\\ud800"', "1e999999", '{"x": 1e999999}'):
        data = f'{{"id": 1, "a": "1e999999", "v": {poison}}}'.encode()
        assert classifier.doubtful_field(Record(Operation.INSERT, data, {})) == "v"
        overridden = f'{{"id": 1, "a": "1e999999", "v": {poison}, "v": 1}}'.encode()
        assert classifier.doubtful_field(Record(Operation.INSERT, overridden, {})) == "v"


def test_the_key_of_a_refused_record_is_read_where_it_can_be() -> None:
    classifier = Classifier(PLAIN)
    for data, key in (
        (b'{"id": 1, "v": "\\ud800"}', (b"1",)),
        (b'{"v": 1}', (None,)),
        (b"[]", (None,)),
        (b'{"id": "\xff"}', (None,)),
    ):
        assert classifier.key_of(Record(Operation.INSERT, data, {})) == key


def test_unknown_columns_are_told_so_that_the_catalog_is_read_again() -> None:
    assert classify('{"nope": 1}').undefined_columns
    assert not classify('{"id": 1}').undefined_columns
