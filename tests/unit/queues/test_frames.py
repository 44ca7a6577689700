"""Messages in known frames are read as each would be alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.queues import frames
from batchdrain.queues.envelope import Envelope
from batchdrain.queues.frames import Frames
from batchdrain.queues.message import MessageLimits, decode, decode_all

START, END = b'{"operation":"INSERT","client_id":"c","record":', b',"ver":"3"}'


def read(body: bytes) -> Envelope | None:
    envelope = decode(body)
    return envelope if isinstance(envelope, Envelope) else None


def knowing(*bodies: bytes) -> Frames:
    known = Frames()
    for body in bodies:
        known.learn(body, read)
    return known


class TestFrames:
    def test_later_messages_of_a_frame_are_read(self) -> None:
        bodies = [START + b'{"a":"}{\\"","b":%d}' % number + END for number in range(9)]
        known = knowing(bodies[0])
        assert known.read(bodies) == [read(body) for body in bodies]

    def test_of_several_frames_each_is_read_by_its_own(self) -> None:
        """Whether they differ before the record or behind it."""
        others = [(START, END), (START, b',"ver":"4"}'), (START.replace(b'"c"', b'"d"'), b"}")]
        bodies = [start + b'{"a":1}' + end for start, end in others] * 3
        known = knowing(*bodies[:3])
        assert known.read(bodies) == [read(body) for body in bodies]
        assert None not in known.read(bodies)

    def test_a_space_behind_the_colon_belongs_to_the_frame(self) -> None:
        body = json.dumps({"operation": "DELETE", "record": {"_id": 1}}).encode()
        assert knowing(body).read([body]) == [read(body)]

    def test_messages_of_unknown_frames_are_left_out(self) -> None:
        body = START + b'{"a":1}' + END
        other = START + b'{"a":1}' + b',"ver":"5"}'
        assert Frames().read([body]) == [None]
        assert knowing(body).read([other, body]) == [None, read(body)]

    @pytest.mark.parametrize(
        "record",
        [
            b"",
            b"{}}",
            b"{}{}",
            b'{"a":1},"record":{}',
            b'{"a":01}',
            b'{"a":"\xff"}',
            b"{\n}",
            b"[]",
        ],
    )
    def test_what_is_no_well_formed_object_leaves_all_to_a_closer_look(self, record: bytes) -> None:
        good = START + b'{"a":1}' + END
        assert knowing(good).read([good, START + record + END]) == [None, None]

    @pytest.mark.parametrize(
        "body",
        [
            b'{"note":{"record":{"a":1}},"operation":"INSERT","record":{"a":1}}',
            b'{"operation":"INSERT","record":{"a":1},"record":{"a":1}}',
            b'{"operation":"INSERT","records":[{"record":{"a":1}}]}',
            b'{"operation":"INSERT","record":[{"a":1}]}',
            b'{"operation":"INSERT","record":{"a":1},"client_id":"}"}',
            b'{"operation":"INSERT","record":{"a":1}} ',
            b'{"operation":"INSERT","record":null}',
            b'{"operation":"INSERT","client_id":"%b","record":{"a":1}}' % (b"c" * 1_000),
        ],
    )
    def test_where_the_record_is_not_certain_nothing_is_learnt(self, body: bytes) -> None:
        assert knowing(body).read([body]) == [None]

    def test_no_more_frames_are_kept_than_there_is_room_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(frames, "_KEPT", 3)
        bodies = [START + b'{"a":1}' + b',"ver":%d}' % number for number in range(9)]
        found = knowing(*bodies).read(bodies)
        assert [place for place, envelope in enumerate(found) if envelope] == [6, 7, 8]


@pytest.mark.parametrize(
    "frame",
    [
        b'{"operation":"INSERT","note":"\xff","record":{"id":%d}}',
        b'{"operation":"INSERT","client_id":"\xed\xa0\x80","record":{"id":%d}}',
        b'{"operation":"INSERT","record":{"id":%d},"ver":[1]}',
        b'{"operation":"INSRT","record":{"id":%d}}',
    ],
)
def test_a_bad_frame_is_bad_in_every_message(frame: bytes) -> None:
    bodies = [frame % number for number in range(200)]
    found = list(decode_all(bodies))
    assert found == [decode(body) for body in bodies]
    assert not any(isinstance(each, Envelope) for each in found)


def test_limits_count_in_a_frame_as_well() -> None:
    limits = MessageLimits(max_bytes=200, max_depth=4)
    good, deep = START + b'{"a":1}' + END, START + b'{"a":[[[1]]]}' + END
    large = START + b'{"a":"%b"}' % (b"x" * 200) + END
    bodies = [*[good] * 100, deep, *[good] * 100, large]
    found = list(decode_all(bodies, limits))
    assert found == [decode(body, limits) for body in bodies]
    assert sum(isinstance(each, Envelope) for each in found) == 200


MEMBERS = st.fixed_dictionaries(
    {"operation": st.sampled_from(["INSERT", "delete", "x"])},
    optional={
        "client_id": st.sampled_from(["c", "}", '"record":', 7, None]),
        "ver": st.sampled_from(["3", "{", 3]),
        "note": st.sampled_from(["}", {"record": {}}, [1]]),
    },
)
RECORDS = st.dictionaries(
    st.sampled_from(["a", "record", "}"]), st.text('}{"\\,:r\n é', max_size=5)
)


@given(
    st.lists(st.tuples(MEMBERS, st.integers(0, 4), st.booleans()), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), RECORDS | st.just([])), max_size=200),
    st.lists(st.tuples(st.integers(0, 199), st.binary(max_size=5), st.integers(0, 99))),
)
def test_any_messages(
    kinds: list[tuple[dict[str, Any], int, bool]],
    sent: list[tuple[int, Any]],
    damaged: list[tuple[int, bytes, int]],
) -> None:
    """Whatever the order of members, the white space, and the damage."""
    bodies = []
    for kind, record in sent:
        members, place, narrow = kinds[kind % len(kinds)]
        pairs = list(members.items())
        pairs.insert(place, ("record", record))
        separators = (",", ":") if narrow else None
        bodies.append(json.dumps(dict(pairs), separators=separators).encode())
    for place, noise, at in damaged:
        if place < len(bodies):
            bodies[place] = bodies[place][:at] + noise + bodies[place][at:]
    # So often that a frame that was learnt from it, or beside it, is met again.
    bodies *= 3
    assert list(decode_all(bodies)) == [decode(body) for body in bodies]
