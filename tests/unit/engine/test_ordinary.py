"""Records that are read together get what a closer look at each would give."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.engine.catalog import Table
from batchdrain.engine.classify import Classified, Classifier
from batchdrain.engine.keys import Alone, KeyReader
from batchdrain.engine.layout import Layouts
from batchdrain.engine.ordinary import OrdinaryReader
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Malformed, Operation, Record
from made_tables import column, table

PLAIN = table(column("id", "integer"), column("v"))
SCOPED = table(column("id", "uuid"), column("_client_id"), column("_ver"), column("v"))
COMPOSITE = table(
    column("a", "integer"), column("_client_id"), column("v"), key=("a", "_client_id")
)
ASKED = table(column("id", "numeric"), column("v"))
SCOPE_A, SCOPE_B = {"client_id": b'"a"', "ver": b"1"}, {"client_id": b'"b"', "ver": b'"2"'}


def closely(of: Table, records: Sequence[Record]) -> Classified:
    """What the closer look says of each record."""
    found = Classified()
    classifier = Classifier(of)
    for ordinal, record in enumerate(records):
        classifier.reclassify(found, ordinal, record, record.data)
    return found


def seen(ready: Ready) -> tuple[object, ...]:
    """A ready record with its scope wherever in the JSON it stands, and its identity's kind."""
    alone = isinstance(ready.identity, Alone)
    pairs = json.loads(ready.data, object_pairs_hook=list)
    return ready.ordinal, ready.shape, pairs, ready.key, alone or ready.identity


KEYS = st.sampled_from(
    [
        "0190a1b2-0000-7000-8000-00000000000a",
        "0190A1B2-0000-7000-8000-00000000000A",
        7,
        -7,
        1.5,
        "7",
        None,
        True,
    ]
)
BODIES = st.one_of(
    st.builds(lambda key, v: json.dumps({"id": key, "a": key, "v": v}), KEYS, st.text(max_size=4)),
    st.builds(lambda key: json.dumps({"id": key}), KEYS),
    st.builds(lambda key: json.dumps({"a": key, "v": "é"}, ensure_ascii=False), KEYS),
    st.sampled_from(
        [
            "{}",
            " { }",
            "[]",
            "7",
            "{",
            '{"id":1}\n{"id":2}',
            '{"id":\n1}',
            '{"id":1,"id":2}',
            '{"v":"\\ud800","id":1}',
            '{"v":"é","id":"\\u0000"}',
            '{"id":1,"_client_id":"a","v":null}',
            '{"id":1,"none":2}',
        ]
    ),
)
RECORDS = st.builds(
    Record,
    st.sampled_from(list(Operation)),
    BODIES.map(str.encode) | st.just(b'{"id":"\xff"}'),
    st.sampled_from([SCOPE_A, SCOPE_B, {}, {"client_id": b'"a"'}]),
)


@pytest.mark.parametrize("of", [PLAIN, SCOPED, COMPOSITE, ASKED])
@given(
    given_records=st.lists(RECORDS, max_size=8),
    repeated=RECORDS,
    times=st.integers(0, 70),
)
def test_records_read_together_are_what_they_are_alone(
    of: Table, given_records: list[Record], repeated: Record, times: int
) -> None:
    """Also once the reader has got used to records that are all alike."""
    records = [*[repeated] * times, *given_records]
    classifier = Classifier(of)
    classifier.classify([repeated] * 3)
    for _ in range(2):
        together, apart = classifier.classify(records), closely(of, records)
        assert list(map(seen, together.ready)) == list(map(seen, apart.ready))
        assert together.refused == apart.refused
        assert (together.unread, together.doubtful) == (apart.unread, apart.doubtful)
        assert together.scope_doubts == apart.scope_doubts
        assert together.keys_known == apart.keys_known


def reader(of: Table) -> OrdinaryReader:
    return OrdinaryReader(Layouts(of), KeyReader(of))


def test_alike_or_not_an_ordinary_record_takes_no_closer_look() -> None:
    """The fast way is taken: first where members are looked up, then where they are expected."""
    ordinary = reader(PLAIN)
    one = [Record(Operation.INSERT, b'{"id":%d,"v":"x"}' % n, {}) for n in range(5)]
    other = [Record(Operation.UPDATE, b'{"v":"y","id":%d}' % n, {}) for n in range(5)]
    for records in (one, one, other, [*one, *other], one):
        found = ordinary.read(10, records)
        assert [ready and ready.ordinal for ready in found] == list(range(10, 10 + len(records)))


def test_columns_may_have_any_name() -> None:
    names = ['quo"ted', "back\\slash", "tab\t", "ñ", "%b"]
    ordinary = reader(table(column("id", "integer"), *map(column, names)))
    data = json.dumps({"id": 1, **dict.fromkeys(names, "x")}).encode()
    for _ in range(2):
        assert all(ordinary.read(0, [Record(Operation.INSERT, data, {})]))


def test_one_unusual_record_leaves_its_chunk_to_the_closer_look() -> None:
    records = [Record(Operation.INSERT, data, {}) for data in (b'{"id":1}', b' {"id":2}')]
    assert reader(PLAIN).read(0, records) == [None, None]
    assert reader(PLAIN).read(0, [records[0], Malformed("broken", b"{")]) == [None, None]


def test_records_of_several_scopes_get_each_its_own() -> None:
    ordinary = reader(table(column("id", "integer"), column("_client_id")))
    records = [
        Record(Operation.INSERT, b'{"id":1}', scope) for scope in (SCOPE_A, SCOPE_B, SCOPE_A)
    ]
    for _ in range(2):
        found = [ready.data for ready in ordinary.read(0, records) if ready]
        assert found == [b'{"_client_id":"%b","id":1}' % name for name in (b"a", b"b", b"a")]


def test_a_null_key_takes_a_closer_look() -> None:
    ordinary = reader(PLAIN)
    for key in (b"1", b"null"):
        record = Record(Operation.INSERT, b'{"id":%b}' % key, {})
        assert [bool(each) for each in ordinary.read(0, [record])] == [key == b"1"]


def test_no_record_is_taken_for_another_where_json_crosses_their_borders() -> None:
    """Two values in one record, one value in two: their number alone would not tell."""
    bodies = (b'{"id":1}\n{"id":2}', b'{"id":', b"7}")
    records = [Record(Operation.INSERT, body, {}) for body in bodies]
    assert reader(PLAIN).read(0, records) == [None] * 3


def test_a_composite_key_with_a_null_takes_a_closer_look() -> None:
    ordinary = reader(table(column("a", "integer"), column("b"), key=("a", "b")))
    for part in (b'"x"', b"null"):
        record = Record(Operation.INSERT, b'{"a":1,"b":%b}' % part, {})
        assert [bool(each) for each in ordinary.read(0, [record])] == [part != b"null"]
