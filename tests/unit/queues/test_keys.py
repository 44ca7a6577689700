"""Keys of queues: what the contract allows goes in and out unchanged, the rest is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.errors import ConfigurationError
from batchdrain.queues.keys import QueueKey, keys_of

NAMES = st.text(
    st.characters(max_codepoint=0x17F, exclude_characters=".:\0"), min_size=1, max_size=20
)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("batchdrain:flights", QueueKey("batchdrain", None, "flights")),
        ("batchdrain:public.flights", QueueKey("batchdrain", "public", "flights")),
        ("batchdrain:flights:0", QueueKey("batchdrain", None, "flights", 0)),
        ("batchdrain:public.Flights 2:17", QueueKey("batchdrain", "public", "Flights 2", 17)),
        (b"batchdrain:v\xc3\xbcelos", QueueKey("batchdrain", None, "vüelos")),
    ],
)
def test_takes_a_key_apart(key: str | bytes, expected: QueueKey) -> None:
    assert QueueKey.parse(key) == expected


@given(
    st.sampled_from(["batchdrain", "prod:batchdrain", "a.b"]),
    st.none() | NAMES,
    NAMES,
    st.none() | st.integers(0, 10**12),
)
def test_every_key_comes_back_as_it_was(
    prefix: str, schema: str | None, table: str, shard: int | None
) -> None:
    key = QueueKey(prefix, schema, table, shard)
    assert QueueKey.parse(str(key), prefix) == key
    assert QueueKey.parse(str(key).encode(), prefix) == key


@given(st.text(".:0159aé {}-", max_size=12))
def test_a_text_is_a_key_as_it_stands_or_an_error(text: str) -> None:
    """No key is understood as another one, which would be another queue in Redis."""
    try:
        key = QueueKey.parse(f"batchdrain:{text}")
    except ConfigurationError:
        return
    assert str(key) == f"batchdrain:{text}"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("flights", "does not begin with batchdrain:"),
        ("batchdrain", "does not begin with batchdrain:"),
        ("batchdrain2:flights", "does not begin with batchdrain:"),
        ("{batchdrain:flights}:seq", "does not begin with batchdrain:"),
        ("batchdrain:", "missing"),
        ("batchdrain:.flights", "missing"),
        ("batchdrain:public.", "missing"),
        ("batchdrain:a.b.c", "dot or a colon"),
        ("batchdrain:flights:1:2", "too many parts"),
        ("batchdrain:flights:", "no decimal shard number"),
        ("batchdrain:flights:-1", "no decimal shard number"),
        ("batchdrain:flights:01", "no decimal shard number"),
        ("batchdrain:flights:1.5", "no decimal shard number"),
        ("batchdrain:flights:\N{ARABIC-INDIC DIGIT ONE}", "no decimal shard number"),
        (b"batchdrain:\xff", "not UTF-8"),
    ],
)
def test_says_what_is_wrong_with_a_key(key: str | bytes, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        QueueKey.parse(key)
    assert repr(key) in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "{batchdrain"])
def test_says_what_is_wrong_with_a_prefix(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        QueueKey.parse(f"{prefix}:flights", prefix)


def test_derived_keys_stay_in_the_queues_slot() -> None:
    """The part in braces, the hash tag, is the whole key of the queue."""
    key = QueueKey.parse("batchdrain:public.flights:3")
    assert key.derived("seq") == "{batchdrain:public.flights:3}:seq"


def test_a_table_has_one_queue_or_one_per_shard() -> None:
    assert list(map(str, keys_of("public.t"))) == ["batchdrain:public.t"]
    assert list(map(str, keys_of("t", 3, "q"))) == ["q:t:0", "q:t:1", "q:t:2"]


@pytest.mark.parametrize(("table", "shards"), [("t", 0), ("t:1", None), ("a.b.c", 2), ("", None)])
def test_refuses_tables_that_can_have_no_queue(table: str, shards: int | None) -> None:
    with pytest.raises(ConfigurationError):
        keys_of(table, shards)
