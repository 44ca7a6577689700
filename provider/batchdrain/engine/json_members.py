"""Every member of a JSON object, also those that a later one of the same name overrides."""

from __future__ import annotations

import json


class _Pairs(list[tuple[str, object]]):
    """An object as its members, in order."""


def all_members(data: bytes) -> list[tuple[str, bytes]]:
    """Return names and JSON of an object's members; numbers are kept as strings.

    Empty when it is no object, or Python cannot read it.
    """
    try:
        found = json.loads(data, parse_int=str, parse_float=str, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, _Pairs):
        return []
    return [(name, json.dumps(value).encode()) for name, value in found]
