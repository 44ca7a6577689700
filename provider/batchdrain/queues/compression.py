"""Decompresses messages, never to more than the limit."""

from __future__ import annotations

import sys
import zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP = b"\x1f\x8b"
"""How a gzip member begins (RFC 1952, 2.3.1)."""

ZSTD = b"\x28\xb5\x2f\xfd"
"""How a zstd frame begins (RFC 8878, 3.1.1)."""

_PIECE = 1 << 16
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class CompressionError(Exception):
    """A message can't be decompressed; the text says why, without showing any of it."""


def is_compressed(body: bytes) -> bool:
    """Whether the body begins as gzip or zstd does."""
    return body.startswith((GZIP, ZSTD))


def decompress(body: bytes, limit: int) -> bytes:
    """Decompress a gzip body (several members are one) or a zstd body (one frame).

    `limit` is in bytes, of the result. Raises CompressionError if the body is broken or cut off,
    if other bytes follow, or if the result would be larger.
    """
    return _gunzip(body, limit) if body.startswith(GZIP) else _unzstd(body, limit)


def _gunzip(body: bytes, limit: int) -> bytes:
    view = memoryview(body)
    result: list[bytes] = []
    room, at = limit, 0
    while at < len(body):
        if body[at : at + 2] != GZIP:
            raise CompressionError("bytes follow the gzip stream")
        member = zlib.decompressobj(_GZIP_WINDOW)
        while not member.eof:
            if at == len(body):
                raise CompressionError("the gzip stream is cut off")
            piece = view[at : at + _PIECE]
            try:
                part = member.decompress(piece, room + 1)
            except zlib.error:
                raise CompressionError("the gzip stream is broken") from None
            room -= len(part)
            if room < 0:
                raise _too_large(limit)
            at += len(piece) - len(member.unused_data)
            result.append(part)
    return b"".join(result)


def _unzstd(body: bytes, limit: int) -> bytes:
    # The format's own limit on the window stays: what it reserves is touched only as far as the
    # result grows, and a lower one would refuse small frames of streaming producers.
    frame = zstd.ZstdDecompressor()
    try:
        result = bytes(frame.decompress(body, limit + 1))
    except zstd.ZstdError:
        raise CompressionError("the zstd frame is broken") from None
    if len(result) > limit:
        raise _too_large(limit)
    if not frame.eof:
        raise CompressionError("the zstd frame is cut off")
    if frame.unused_data:
        raise CompressionError("bytes follow the zstd frame")
    return result


def _too_large(limit: int) -> CompressionError:
    return CompressionError(f"it is larger than {limit} bytes when decompressed")
