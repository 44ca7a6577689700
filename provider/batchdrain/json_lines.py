"""JSON objects as lines of one text, so that many are decoded in one go."""

from __future__ import annotations

from collections.abc import Sequence

_OPENING, _CLOSING = b"{}"


def as_lines(objects: Sequence[bytes]) -> bytes | None:
    """Join texts that are probably JSON objects; None if they could not be told apart again.

    If what is returned can be read as values with white space between them (so reads msgspec's
    `decode_lines`), and there are as many values as texts, then each text is one value. For every
    text begins with `{`, ends with `}` and has no line break in it; and `}`, a line break, `{` can
    follow one another only between two values, nowhere inside of one (RFC 8259, 2 and 7).
    """
    if b"\n" in b"".join(objects):
        return None
    for each in objects:
        if not each or each[0] != _OPENING or each[-1] != _CLOSING:
            return None
    return b"\n".join(objects)
