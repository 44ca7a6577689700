"""Messages: what the contract accepts comes out untouched, the rest is malformed as a whole."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Sequence
from typing import overload

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.errors import ConfigurationError
from batchdrain.queues.envelope import Envelope, MalformedEnvelope
from batchdrain.queues.message import MessageLimits, decode, decode_all

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compress = Callable[[bytes], bytes]

INSERT = b'{"operation":"INSERT","client_id":"c","ver":"3",'


def readable(
    body: bytes, limits: MessageLimits | None = None, members: tuple[str, ...] = ()
) -> Envelope:
    result = decode(body, limits or MessageLimits(), members)
    assert isinstance(result, Envelope), result
    return result


def malformed(
    body: bytes, limits: MessageLimits | None = None, members: tuple[str, ...] = ()
) -> MalformedEnvelope:
    result = decode(body, limits or MessageLimits(), members)
    assert isinstance(result, MalformedEnvelope)
    return result


class TestRecords:
    def test_one_record(self) -> None:
        envelope = readable(INSERT + b'"record":{"_id":"x","a":1}}')
        assert envelope == Envelope(
            "INSERT", {"client_id": b'"c"', "ver": b'"3"'}, (b'{"_id":"x","a":1}',)
        )

    def test_many_records(self) -> None:
        envelope = readable(b'{"operation":"DELETE","ver":1,"records":[{"_id":1}, {"_id":2} ]}')
        assert envelope == Envelope("DELETE", {"ver": b"1"}, (b'{"_id":1}', b'{"_id":2}'))

    def test_an_empty_array_is_nothing(self) -> None:
        assert readable(INSERT + b'"records":[]}').records == ()

    @pytest.mark.parametrize(
        "record",
        [
            b'{ "a" : 1.0,\n\t"a":1e2 , "b" : "\\u00e9\\/" }',
            '{"name":"ñ 漢 😀"}'.encode(),
            b'{"a":"\\u0000"}',
            b'{"a":1e999999}',
            b'{"a":"\\ud800"}',
            b'{"\\udfff":["\\ud800x"]}',
            b"null",
            b"[]",
            b"17",
            b'"text"',
            b'{"a":"\x7f"}',
        ],
    )
    def test_bytes_stay_as_they_are(self, record: bytes) -> None:
        """Also where only PostgreSQL will refuse the record, and its neighbours in a message."""
        assert readable(INSERT + b'"record": ' + record + b" }").records == (record,)
        many = INSERT + b'"records": [ {"b":1} , ' + record + b" ,{} ] }"
        assert readable(many).records == (b'{"b":1}', record, b"{}")

    @pytest.mark.parametrize(
        "members",
        [
            *(b"", b'"record":{},"records":[]', b'"record":null,"records":[{}]'),
            *(b'"record":{},"records":null', b'"records":null', b'"records":{}', b'"records":""'),
        ],
    )
    def test_exactly_one_of_record_and_records(self, members: bytes) -> None:
        """A member that is present counts, even as null."""
        body = b'{"operation":"insert"' + (b"," + members if members else b"") + b"}"
        result = malformed(body)
        assert "record" in result.reason
        assert result.operation == "INSERT"

    def test_ten_thousand_records_are_the_most(self) -> None:
        assert len(readable(INSERT + b'"records":[' + b",".join([b"{}"] * 10_000) + b"]}").records)
        result = malformed(INSERT + b'"records":[' + b",".join([b"{}"] * 10_001) + b"]}")
        assert "more than 10000 records" in result.reason

    def test_too_many_records_are_noticed_among_millions_of_values(self) -> None:
        assert "more than" in malformed(INSERT + b'"records":[' + b"1," * 1_200_000 + b"1]}").reason
        wide = b"[" + b"1," * 1_200_000 + b"1]"
        assert readable(INSERT + b'"records":[{},' + wide + b"]}").records == (b"{}", wide)

    def test_the_last_of_duplicate_members_counts(self) -> None:
        body = (
            b'{"operation":1,"operation":"UPDATE","ver":[],"ver":"2","record":1,"record":{"a":1}}'
        )
        assert readable(body) == Envelope("UPDATE", {"ver": b'"2"'}, (b'{"a":1}',))
        body = b'{"operation":"UPDATE","operation":"DELETE","records":[1],"records":[2]}'
        assert readable(body) == Envelope("DELETE", {}, (b"2",))

    def test_names_of_members_may_be_escaped(self) -> None:
        assert readable(b'{"\\u006fperation":"DELETE","recor\\u0064":1}').records == (b"1",)

    def test_other_members_are_ignored(self) -> None:
        body = INSERT + b'"Record":1,"trace":{"a":[1]},"note":"\\ud800","record":{}}'
        assert readable(body).records == (b"{}",)


class TestOperation:
    @pytest.mark.parametrize("name", ["INSERT", "UPDATE", "DELETE", "UPSERT"])
    def test_in_any_case(self, name: str) -> None:
        mixed = "".join(c.lower() if i % 2 else c for i, c in enumerate(name))
        for spelled in (
            name,
            name.lower(),
            name.title(),
            mixed,
            f"\\u{ord(name[0]):04x}{name[1:]}",
        ):
            body = f'{{"operation":"{spelled}","record":1}}'.encode()
            assert readable(body).operation == name

    @pytest.mark.parametrize(
        "value",
        [
            *('"MERGE"', '""', '"INSERT "', "null", "1", '["INSERT"]', '"\\ud800"'),
            *('"\u0131nsert"', '"up\u017fert"'),
        ],
    )
    def test_an_unknown_one_is_malformed(self, value: str) -> None:
        """Letters that only become an I or an S in upper case are other letters."""
        result = malformed(f'{{"operation":{value},"client_id":"c","record":1}}'.encode())
        assert "operation" in result.reason
        assert result.operation is None
        assert result.members == {"client_id": b'"c"'}

    def test_a_missing_one_is_malformed(self) -> None:
        assert malformed(b'{"record":{}}').operation is None


class TestScope:
    @pytest.mark.parametrize("value", [b'"c-1"', b'""', b"1", b"-1.50", b"1e2", b'"\\u0031"'])
    def test_strings_and_numbers_stay_as_they_are(self, value: bytes) -> None:
        body = b'{"operation":"INSERT","client_id": ' + value + b' ,"record":{}}'
        assert readable(body).members == {"client_id": value}

    def test_null_is_missing(self) -> None:
        assert readable(b'{"operation":"INSERT","client_id":null,"record":{}}').members == {}

    @pytest.mark.parametrize("value", [b"true", b"false", b"[]", b'{"a":1}', b'["c"]'])
    def test_anything_else_is_malformed(self, value: bytes) -> None:
        body = b'{"operation":"insert","ver":"1","client_id":' + value + b',"record":{}}'
        result = malformed(body)
        assert "client_id" in result.reason
        assert (result.operation, result.members) == ("INSERT", {"ver": b'"1"'})

    def test_members_can_be_added(self) -> None:
        body = b'{"operation":"INSERT","tenant-id":"t","client_id":1,"x":{},"record":{}}'
        assert readable(body).members == {"client_id": b"1"}
        expected = {"client_id": b"1", "tenant-id": b'"t"'}
        assert readable(body, members=("tenant-id", "ver")).members == expected
        assert "member x" in malformed(body, members=("x",)).reason

    @pytest.mark.parametrize("name", ["operation", "record", "records"])
    def test_members_with_a_meaning_of_their_own_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=repr(name)):
            decode(b"{}", MessageLimits(), (name,))


class TestMalformed:
    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"", "no JSON object"),
            (b"[]", "no JSON object"),
            (b"null", "no JSON object"),
            (b"\xef\xbb\xbf" + INSERT + b'"record":{}}', "byte order mark"),
            (INSERT + b'"record":{"a":"\xff"}}', "not UTF-8 at byte"),
            (INSERT + b'"record":{"a":"\xed\xa0\x80"}}', "not UTF-8 at byte"),
            (INSERT + b'"record":{"a":"\xc0\x80"}}', "not UTF-8 at byte"),
            (INSERT + b'"record":{}} x', "follows the JSON object"),
            (INSERT + b'"record":{}}{}', "follows the JSON object"),
            (INSERT + b'"record":{}}\x00', "follows the JSON object"),
            (INSERT + b'"record":{"a":01}}', "at byte"),
            (INSERT + b'"record":{"a":NaN}}', "at byte"),
            (INSERT + b'"record":{"a":"\t"}}', "at byte"),
            (INSERT + b'"record":{"a":1}', "at byte"),
            (INSERT + b'"record":{"a":"\\ud800"},}', "at byte"),
            (INSERT + b'"record":{},"other":[1,]}', "at byte"),
        ],
    )
    def test_says_why(self, body: bytes, why: str) -> None:
        assert why in malformed(body).reason

    def test_keeps_what_could_be_read_before_bad_syntax(self) -> None:
        result = malformed(b'{"operation":"upsert","client_id":"c","record":{"a":},"ver":"1"}')
        assert (result.operation, result.members) == ("UPSERT", {"client_id": b'"c"'})

    def test_keeps_no_value_that_may_have_been_cut_off(self) -> None:
        assert malformed(b'{"operation":"INSERT","client_id":12').members == {}

    @pytest.mark.parametrize(
        "tail", [b'"secret"', b'{"secret":}', b'"secret', b"secret", b'"secret\xff"', b'{"secret"}']
    )
    def test_reasons_show_no_values(self, tail: bytes) -> None:
        for body in (INSERT + b'"record":' + tail, b'{"operation":' + tail + b',"record":1}'):
            assert "secret" not in malformed(body).reason


class TestLimits:
    @pytest.mark.parametrize("levels", [498, 499, 500, 501, 900, 100_000])
    @pytest.mark.parametrize("where", [b'"record":', b'"records":[', b'"record":1,"other":'])
    def test_five_hundred_levels_are_the_most(self, levels: int, where: bytes) -> None:
        """The envelope counts, wherever the depth is, and Python's recursion limit does not."""
        inner = levels - 1 - where.count(b"[")
        body = (
            INSERT + where + b"[" * inner + b'"\\"[["' + b"]" * (inner + where.count(b"[")) + b"}"
        )
        if levels <= 500:
            assert len(readable(body).records) == 1
        else:
            assert "deeper than 500" in malformed(body).reason

    def test_depth_does_not_depend_on_the_recursion_limit(self) -> None:
        body = INSERT + b'"record":' + b"[" * 499 + b"]" * 499 + b"}"
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(300)
        try:
            assert len(readable(body).records) == 1
        finally:
            sys.setrecursionlimit(limit)

    def test_many_brackets_are_not_deep(self) -> None:
        wide = b'{"a":[' + b",".join([b'{"b":[]}'] * 600) + b"]}"
        assert readable(INSERT + b'"record":' + wide + b"}").records == (wide,)
        assert readable(INSERT + b'"records":[' + b",".join([wide] * 3) + b"]}").records == (
            wide,
            wide,
            wide,
        )

    def test_size_counts_as_it_arrives_and_decompressed(self) -> None:
        body = INSERT + b'"record":{"a":"' + b"x" * 1_000 + b'"}}'
        exact = MessageLimits(max_bytes=len(body))
        less = MessageLimits(max_bytes=len(body) - 1)
        for sent in (body, gzip.compress(body), zstd.compress(body)):
            assert len(readable(sent, exact).records) == 1
            assert f"{len(body) - 1} bytes" in malformed(sent, less).reason
        assert "10 bytes" in malformed(gzip.compress(b"{}"), MessageLimits(max_bytes=10)).reason


class TestCompression:
    @pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
    def test_is_recognised(self, compress: Compress) -> None:
        assert readable(compress(INSERT + b'"record":{"a": 1}}')).records == (b'{"a": 1}',)

    def test_several_gzip_members_are_one_message(self) -> None:
        body = gzip.compress(INSERT) + gzip.compress(b'"record":{}}')
        assert readable(body).records == (b"{}",)

    @pytest.mark.parametrize("outer", [gzip.compress, zstd.compress])
    @pytest.mark.parametrize("inner", [gzip.compress, zstd.compress])
    def test_twice_is_malformed(self, outer: Compress, inner: Compress) -> None:
        assert "twice" in malformed(outer(inner(INSERT + b'"record":{}}'))).reason

    @pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
    def test_cut_off_or_followed_by_bytes_is_malformed(self, compress: Compress) -> None:
        whole = compress(INSERT + b'"record":{}}')
        for body in (whole[:-1], whole + b"\n"):
            assert "decompressed" in malformed(body).reason

    @pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
    def test_a_byte_order_mark_inside_is_malformed(self, compress: Compress) -> None:
        assert "byte order" in malformed(compress(b"\xef\xbb\xbf{}")).reason


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('aé"\\\n😀\ud800\0', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"', max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    operation=st.sampled_from(["INSERT", "update", "Delete", "uPsErT"]),
    scope=st.dictionaries(
        st.sampled_from(["client_id", "ver"]), st.text('a"é\\', max_size=3) | st.integers()
    ),
    records=st.lists(VALUES, max_size=4),
    many=st.booleans(),
    data=st.data(),
)
def test_any_message_comes_out_as_it_went_in(
    operation: str,
    scope: dict[str, object],
    records: list[object],
    many: bool,
    data: st.DataObject,
) -> None:
    """Whatever its order and spaces, plain or compressed; the bytes of records are the same."""
    spaces = st.text(" \n\t\r", max_size=2)
    texts = [json.dumps(record) for record in records]
    members = [f'"{name}":{data.draw(spaces)}{json.dumps(value)}' for name, value in scope.items()]
    members.append(f'"operation":{json.dumps(operation)}')
    if many:
        separator = f"{data.draw(spaces)},{data.draw(spaces)}"
        members.append(f'"records":[{data.draw(spaces)}{separator.join(texts)}{data.draw(spaces)}]')
    else:
        texts = texts[:1] or ["{}"]
        members.append(f'"record":{data.draw(spaces)}{texts[0]}')
    body = f"{{{','.join(data.draw(st.permutations(members)))}}}{data.draw(spaces)}".encode()
    packing: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, zstd.compress]
    body = data.draw(st.sampled_from(packing))(body)
    expected = {name: json.dumps(value).encode() for name, value in scope.items()}
    assert readable(body) == Envelope(
        operation.upper(), expected, tuple(text.encode() for text in texts)
    )


@given(st.binary(max_size=40), st.integers(0, 60))
def test_no_bytes_raise_an_error(noise: bytes, at: int) -> None:
    body = INSERT + b'"record":{"a":[1,"b"]}}'
    for text in (noise, body[:at] + noise + body[at:], body[:at] + noise):
        assert isinstance(decode(text), Envelope | MalformedEnvelope)


class TestMessagesReadTogether:
    """Whatever its neighbours are, a message is read as it would be alone."""

    @pytest.mark.parametrize(
        "odd",
        [
            [b'{"operation":"INSERT","record":{"a":', b"1}}"],
            [INSERT + b'"record":{}}\n' + INSERT + b'"record":{}}', b" "],
            [INSERT + b'"record":{}},' + INSERT + b'"record":{}}'],
            [2 * (INSERT + b'"record":{"a":1}}'), b""],
            [2 * (INSERT + b'"record":{"a":1}}'), b" \r\t"],
            [INSERT, b'"record":{"a":9}}' + INSERT + b'"record":{"a":2}}'],
            [INSERT + b'"record":{"a":1}} ', b"\t" + INSERT + b'"record":{"a":1}}'],
            [INSERT + b'"record":\n{"a":\n1}}'],
            [INSERT + b'"record":{"a":"\xff"}}'],
            [b"\xef\xbb\xbf" + INSERT + b'"record":{}}'],
            [gzip.compress(INSERT + b'"record":{"a":2}}')],
            [b""],
            [INSERT + b'"record":1,"records":[]}'],
            [INSERT + b'"records":[1,{"a":2}]}', b'{"operation":"UPSERT","ver":[],"record":1}'],
            [b'{"operation":"DELETE","ver":3,"client_id":null,"record":{"a":' + b"[" * 501 + b"}}"],
        ],
    )
    def test_odd_ones_among_ordinary_ones(self, odd: list[bytes]) -> None:
        bodies = [INSERT + b'"record":{"a":%d}}' % number for number in range(200)]
        bodies[70:70] = odd
        assert list(decode_all(bodies)) == [decode(body) for body in bodies]

    def test_large_messages_are_not_read_far_ahead(self) -> None:
        """What is read beyond the end of a batch is read again for the next."""
        taken: list[int] = []
        large = INSERT + b'"record":{"a":"' + b"x" * 100_000 + b'"}}'
        small = INSERT + b'"record":{"a":1}}'
        bodies = [large, large, *[small] * 100, large]

        class Noted(Sequence[bytes]):
            """Notes up to where bodies are taken."""

            def __len__(self) -> int:
                return len(bodies)

            @overload
            def __getitem__(self, place: int) -> bytes: ...
            @overload
            def __getitem__(self, place: slice) -> Sequence[bytes]: ...
            def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
                if isinstance(place, slice):
                    taken.append(place.stop - place.start)
                return bodies[place]

        assert len(list(decode_all(Noted()))) == 103
        assert taken == [1, 1, 64, 37]

    def test_limits_and_members_count(self) -> None:
        limits = MessageLimits(max_bytes=80, max_records=2, max_depth=4)
        bodies = [
            INSERT + b'"site":"s","records":[1,2]}',
            INSERT + b'"records":[1,2,3]}',
            INSERT + b'"record":{"a":[[[1]]]}}',
            INSERT + b'"record":{"a":"' + b"x" * 80 + b'"}}',
        ]
        found = list(decode_all(bodies, limits, ("site",)))
        assert found == [decode(body, limits, ("site",)) for body in bodies]
        assert [type(each) for each in found] == [Envelope, *[MalformedEnvelope] * 3]

    @given(
        st.lists(
            st.sampled_from([INSERT + b'"record":{"a":1}}', INSERT + b'"record":{"a":"\n"}}'])
            | st.sampled_from([b"", b" ", INSERT, b'"record":{"a":1}}', b'"record":{}}' + INSERT])
            | st.sampled_from([2 * (INSERT + b'"record":{"a":1}}'), INSERT + b'"record":[{}'])
            | st.binary(max_size=20)
            | st.text('{}[]":,a\n 1é', max_size=20).map(str.encode),
            max_size=80,
        )
    )
    def test_any_messages(self, bodies: list[bytes]) -> None:
        assert list(decode_all(bodies)) == [decode(body) for body in bodies]
