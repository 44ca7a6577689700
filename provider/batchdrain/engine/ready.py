"""A record that can go into a set statement."""

from __future__ import annotations

import msgspec

from batchdrain.engine.keys import KeyIdentity
from batchdrain.engine.statements.shape import Shape


class Ready(msgspec.Struct, frozen=True, gc=False):
    """A record that can go into a set statement.

    `ordinal` is its place in the batch, `data` its JSON with the scope added, `key` the JSON of
    its key, `identity` what tells equal keys apart (None where PostgreSQL has to be asked).
    """

    ordinal: int
    shape: Shape
    data: bytes
    key: tuple[bytes | None, ...]
    identity: KeyIdentity | None
