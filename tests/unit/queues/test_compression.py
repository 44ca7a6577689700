"""Decompression: what RFC 1952 and RFC 8878 allow for one message, and never beyond the limit."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.queues.compression import CompressionError, decompress, is_compressed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT = 1 << 20
Compress = Callable[[bytes], bytes]
COMPRESSORS: list[Compress] = [gzip.compress, zstd.compress]


@pytest.mark.parametrize("compress", COMPRESSORS)
@pytest.mark.parametrize("size", [0, 1, 100, 65_535, 65_536, LIMIT - 1, LIMIT])
def test_gives_back_what_was_compressed(compress: Compress, size: int) -> None:
    text = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert is_compressed(compress(text))
    assert decompress(compress(text), LIMIT) == text


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_stops_at_the_limit(compress: Compress) -> None:
    assert len(decompress(compress(bytes(1_000)), 1_000)) == 1_000
    with pytest.raises(CompressionError, match="larger than 999 bytes"):
        decompress(compress(bytes(1_000)), 999)


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_a_bomb_takes_no_memory(compress: Compress) -> None:
    """64 MiB of zeros in a few kB: what is over the limit is never unpacked."""
    bomb = compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(CompressionError, match="larger"):
            decompress(bomb, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 3 * LIMIT
    finally:
        tracemalloc.stop()


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_several_gzip_members_are_one_text(parts: list[bytes]) -> None:
    assert decompress(b"".join(map(gzip.compress, parts)), LIMIT) == b"".join(parts)


def test_the_limit_counts_all_gzip_members_together() -> None:
    member = gzip.compress(bytes(600))
    with pytest.raises(CompressionError, match="larger"):
        decompress(member * 2, 1_000)


def test_a_second_zstd_frame_is_too_many() -> None:
    with pytest.raises(CompressionError, match="bytes follow"):
        decompress(zstd.compress(b"a") * 2, LIMIT)


@pytest.mark.parametrize("compress", COMPRESSORS)
@pytest.mark.parametrize("tail", [b"\0", b"{}", b"\x1f", b"\x28\xb5\x2f\xfd"])
def test_other_bytes_behind_it_are_refused(compress: Compress, tail: bytes) -> None:
    with pytest.raises(CompressionError):
        decompress(compress(b"text") + tail, LIMIT)


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_every_cut_is_noticed(compress: Compress) -> None:
    whole = compress(b'{"operation": "INSERT"}' * 20)
    for end in range(4, len(whole)):
        with pytest.raises(CompressionError):
            decompress(whole[:end], LIMIT)


@pytest.mark.parametrize("compress", COMPRESSORS)
@given(data=st.data())
def test_broken_bytes_raise_nothing_else(compress: Compress, data: st.DataObject) -> None:
    broken = bytearray(compress(b"some text, some text, some text"))
    at = data.draw(st.integers(4, len(broken) - 1))
    broken[at] = data.draw(st.integers(0, 255))
    try:
        text = decompress(bytes(broken), LIMIT)
    except CompressionError:
        return
    assert len(text) <= LIMIT
