"""Reads messages that are like earlier ones in everything but their record.

What stands before a message's record and behind it is its frame. Producers use few frames, so what
a frame says is worked out once, and of later messages only the record has to be looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec

from batchdrain.json_lines import as_lines
from batchdrain.queues.envelope import Envelope

_MARK = b'"record":'
_SPACE = b" "
_LONGEST = 1_000
_KEPT = 1_000
"""Bytes of a frame, and number of frames, up to which they are kept."""

_PROBE = b'{"probe":"%b"}' % secrets.token_hex(16).encode()
"""A record that stands in no message, so that it is found only where a frame has its record."""


class _Frame(msgspec.Struct, frozen=True):
    """What stands before the record and behind it, and what that says."""

    start: bytes
    end: bytes
    operation: str
    members: Mapping[str, bytes]


class _Nothing(msgspec.Struct):
    """Any object: its members are skipped, but have to be well-formed."""


_well_formed = msgspec.json.Decoder(_Nothing).decode_lines


class Frames:
    """The frames that are known."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], _Frame] = {}
        self._latest: _Frame | None = None

    def read(self, bodies: Sequence[bytes]) -> list[Envelope | None]:
        """Return messages in known frames, None for those to be read otherwise.

        One record that is no well-formed object, or no text, is enough for None for all.
        """
        found: list[Envelope | None] = [None] * len(bodies)
        frame = self._latest
        if frame is None:
            return found
        records: list[bytes] = []
        for place, body in enumerate(bodies):
            # As a rule it is the frame of the message before.
            if not (body.startswith(frame.start) and body.endswith(frame.end)):
                other = self._known.get(_around(body))
                if other is None:
                    continue
                frame = other
            record = body[len(frame.start) : len(body) - len(frame.end)]
            records.append(record)
            found[place] = Envelope(frame.operation, frame.members, (record,))
        self._latest = frame
        return found if not records or _are_objects(records) else [None] * len(bodies)

    def learn(self, body: bytes, read: Callable[[bytes], Envelope | None]) -> None:
        """Keep a message's frame if it has one.

        `read` reads any message. What it says of the frame has to be the same with another record
        in it: then the record is where it seems to be, and nothing else depends on it, for an
        object in JSON ends where it ends, whatever follows.
        """
        start, end = _around(body)
        if len(start) + len(end) > _LONGEST:
            return
        record = body[len(start) : len(body) - len(end)]
        found = read(body) if record.startswith(b"{") else None
        if found is None or found.records != (record,):
            return
        probed = Envelope(found.operation, found.members, (_PROBE,))
        if read(start + _PROBE + end) != probed:
            return
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._latest = _Frame(start, end, found.operation, found.members)
        self._known[start, end] = self._latest


def _around(body: bytes) -> tuple[bytes, bytes]:
    """Return what seems to be the frame: the record ends before the last brace but one."""
    begin = body.find(_MARK) + len(_MARK)
    if body.startswith(_SPACE, begin):
        begin += 1
    end = body.rfind(b"}", begin, -1) + 1
    return body[:begin], body[max(begin, end) :]


def _are_objects(records: Sequence[bytes]) -> bool:
    lines = as_lines(records)
    if lines is None:
        return False
    try:
        text = lines.isascii() or bool(lines.decode())
        return text and len(_well_formed(lines)) == len(records)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return False
