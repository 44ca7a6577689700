"""JSON objects as lines of one text, so that many are decoded in one go."""

from __future__ import annotations

from collections.abc import Sequence


def as_lines(objects: Sequence[bytes]) -> bytes | None:
    """Join texts that are probably JSON objects; None if they could not be told apart again.

    If what is returned can be read as values with white space between them (so reads msgspec's
    `decode_lines`), and there are as many values as texts, then each text is one value. For every
    text begins with `{`, ends with `}` and has no line break in it; and `}`, a line break, `{` can
    follow one another only between two values, nowhere inside of one (RFC 8259, 2 and 7).
    """
    lines = b"\n".join(objects)
    borders = len(objects) - 1
    if not lines.startswith(b"{") or not lines.endswith(b"}"):
        return None
    if lines.count(b"\n") != borders or lines.count(b"}\n{") != borders:
        return None
    return lines
