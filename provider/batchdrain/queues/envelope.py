"""What a message says, as far as it can be read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A message that can be read.

    `operation` is INSERT, UPDATE, DELETE or UPSERT. `members` maps scope members to the JSON of
    their values, a string or a number; missing and null ones are not in it. `records` are the
    bytes of each record as they arrived: well-formed JSON of any kind, which PostgreSQL may still
    refuse.
    """

    operation: str
    members: Mapping[str, bytes]
    records: tuple[bytes, ...]


class MalformedEnvelope(msgspec.Struct, frozen=True):
    """A message that is refused as a whole.

    `reason` is a sentence without values. `operation` (upper case) and `members` are what could be
    read all the same: `operation` is None when it is unknown or unreadable.
    """

    reason: str
    operation: str | None = None
    members: Mapping[str, bytes] = {}
