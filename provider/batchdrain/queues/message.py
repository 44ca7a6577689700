"""Reads a message's envelope; the records in it stay the bytes that they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from batchdrain.errors import ConfigurationError
from batchdrain.json_lines import as_lines
from batchdrain.queues.compression import CompressionError, decompress, is_compressed
from batchdrain.queues.envelope import Envelope, MalformedEnvelope
from batchdrain.queues.frames import Frames
from batchdrain.queues.json_spans import (
    JsonSyntaxError,
    Span,
    TooDeepError,
    deeper_than,
    elements,
)
from batchdrain.queues.json_spans import (
    members as json_members,
)

SCOPE_MEMBERS = ("client_id", "ver")
"""The envelope members that are always read as scope values."""

OPERATIONS = ("INSERT", "UPDATE", "DELETE", "UPSERT")
"""What a message may ask for."""

OWN_MEMBERS = ("operation", "record", "records")
"""The members of an envelope that can't carry a scope value."""

_OPERATIONS = {
    spelled: name for name in OPERATIONS for spelled in (name, name.lower(), name.title())
}
_SCALAR_STARTS = frozenset(b'"-0123456789')
_UNSET = msgspec.UNSET
_Values = tuple[bytes | msgspec.UnsetType, ...]
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_MANY_COMMAS = 100
"""Commas per allowed record beyond which elements are counted before they are collected."""
_TOGETHER = 64
_TOGETHER_BYTES = 64 * 1024
"""Messages that are read in one go, and how large they are together, the last left out; if one of
them is not as it should be, each is read alone. What is read beyond the end of a batch is read
again for the next, so it must not be much."""


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """What a message may be at most.

    `max_bytes` bounds it as it arrives and decompressed; `max_depth` counts the levels of nesting,
    the envelope included.
    """

    max_bytes: int = 16 * 1024 * 1024
    max_records: int = 10_000
    max_depth: int = 500


DEFAULT_LIMITS = MessageLimits()


def decode(
    body: bytes, limits: MessageLimits = DEFAULT_LIMITS, members: tuple[str, ...] = SCOPE_MEMBERS
) -> Envelope | MalformedEnvelope:
    """Read a message: UTF-8 JSON, or that compressed by gzip or zstd.

    `members` names the scope members to read beside `client_id` and `ver`. Raises
    ConfigurationError if one of them is a member with a meaning of its own.
    """
    if len(body) > limits.max_bytes:
        return MalformedEnvelope(f"the message is larger than {limits.max_bytes} bytes")
    if not body.startswith(b"{") and is_compressed(body):
        try:
            body = decompress(body, limits.max_bytes)
        except CompressionError as error:
            return MalformedEnvelope(f"the message can't be decompressed: {error}")
        if is_compressed(body):
            return MalformedEnvelope("the message is compressed twice")
    if not body.isascii():
        reason = _not_text(body)
        if reason:
            return MalformedEnvelope(reason)
    shape = _shape(members)
    return _decode_quickly(body, limits, shape) or _decode_tolerantly(body, limits, shape)


def decode_all(
    bodies: Sequence[bytes],
    limits: MessageLimits = DEFAULT_LIMITS,
    members: tuple[str, ...] = SCOPE_MEMBERS,
) -> Iterator[Envelope | MalformedEnvelope]:
    """Read messages, each as `decode` reads it, but ordinary ones in a fraction of the time.

    Raises ConfigurationError as `decode` does.
    """
    shape = _shape(members)
    for chunk in _chunks(bodies):
        found = _in_frames(chunk, limits, shape)
        others = [body for body, envelope in zip(chunk, found, strict=True) if envelope is None]
        read = iter(_envelopes(others, _wires(others, limits, shape), limits, shape))
        for body, framed in zip(chunk, found, strict=True):
            yield framed or next(read) or decode(body, limits, members)
        if others:
            _learn(others[0], limits, members)


def _in_frames(
    bodies: Sequence[bytes], limits: MessageLimits, shape: _Shape
) -> list[Envelope | None]:
    """Return the messages whose frame is known, None for the others."""
    longest = max(map(len, bodies))
    if longest > limits.max_bytes:
        return [None] * len(bodies)
    depth = limits.max_depth
    found = shape.frames.read(bodies)
    for place, body in enumerate(bodies if longest > depth else ()):
        envelope = found[place]
        if envelope is not None and _too_deep(body, envelope.records, depth):
            found[place] = None
    return found


def _learn(body: bytes, limits: MessageLimits, members: tuple[str, ...]) -> None:
    """Learn a message's frame, if it has one."""

    def _read(body: bytes) -> Envelope | None:
        envelope = decode(body, limits, members)
        return envelope if isinstance(envelope, Envelope) else None

    _shape(members).frames.learn(body, _read)


def _chunks(bodies: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    first = size = 0
    for place, body in enumerate(bodies, 1):
        size += len(body)
        if place - first == _TOGETHER or size >= _TOGETHER_BYTES or place == len(bodies):
            yield bodies[first:place]
            first, size = place, 0


def _wires(bodies: Sequence[bytes], limits: MessageLimits, shape: _Shape) -> Sequence[Any]:
    """Return the messages as `shape` decodes them, all in one go; None for each if one can't be."""
    unread = [None] * len(bodies)
    lines = as_lines(bodies) if bodies else None
    if lines is None or max(map(len, bodies)) > limits.max_bytes:
        return unread
    try:
        if not lines.isascii():
            lines.decode()
        wires = shape.decode_lines(lines)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return unread
    return wires if len(wires) == len(bodies) else unread


def _not_text(body: bytes) -> str | None:
    if body.startswith(_BYTE_ORDER_MARK):
        return "the message begins with a byte order mark"
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"the message is not UTF-8 at byte {error.start}"
    return None


@dataclass(frozen=True, slots=True)
class _Shape:
    """How envelopes with certain scope members are decoded."""

    names: tuple[str, ...]
    decode: Callable[[bytes], Any]
    decode_lines: Callable[[bytes], list[Any]]
    frames: Frames


@lru_cache(maxsize=64)
def _shape(members: tuple[str, ...]) -> _Shape:
    names = tuple(dict.fromkeys((*SCOPE_MEMBERS, *members)))
    taken = sorted(set(names) & set(OWN_MEMBERS))
    if taken:
        raise ConfigurationError(
            f"the envelope member {taken[0]!r} can't carry a scope value: it has a meaning of its "
            f"own in every message; name another member"
        )
    fields = {f"scope_{number}": name for number, name in enumerate(names)}
    struct = msgspec.defstruct(
        "Wire",
        [
            ("operation", str),
            ("record", msgspec.Raw | msgspec.UnsetType, _UNSET),
            ("records", msgspec.Raw | msgspec.UnsetType, _UNSET),
            *((field, msgspec.Raw | msgspec.UnsetType, _UNSET) for field in fields),
        ],
        rename=fields,
        gc=False,
    )
    decoder = msgspec.json.Decoder(struct)
    return _Shape(names, decoder.decode, decoder.decode_lines, Frames())


def _decode_quickly(body: bytes, limits: MessageLimits, shape: _Shape) -> Envelope | None:
    """Decode an envelope that is as it should be; None where the tolerant way has to judge."""
    try:
        wire = shape.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return _envelopes((body,), (wire,), limits, shape)[0]


def _envelopes(
    bodies: Sequence[bytes], wires: Sequence[Any], limits: MessageLimits, shape: _Shape
) -> list[Envelope | None]:
    """Return what was decoded as envelopes; None where the tolerant way has to judge."""
    found: list[Envelope | None] = [None] * len(bodies)
    scopes: dict[_Values, Mapping[str, bytes] | None] = {}
    depth = limits.max_depth
    for place, wire in enumerate(wires):
        if wire is None:
            continue
        spelled, one, many, *raw = msgspec.structs.astuple(wire)
        operation = _OPERATIONS.get(spelled)
        if operation is None or (one is _UNSET) is (many is _UNSET):
            continue
        records = (bytes(one),) if many is _UNSET else _split(bytes(many), limits)
        body = bodies[place]
        if records is None or (len(body) > depth and _too_deep(body, records, depth)):
            continue
        values = tuple([each if each is _UNSET else bytes(each) for each in raw])
        scope = scopes.get(values)
        if scope is None:
            scope = scopes[values] = _scope_of(shape.names, values)
        if scope is not None:
            found[place] = Envelope(operation, scope, records)
    return found


def _scope_of(names: tuple[str, ...], values: _Values) -> Mapping[str, bytes] | None:
    """Return the scope members that are there; None when one is neither string nor number."""
    there = {
        name: value
        for name, value in zip(names, values, strict=True)
        if not isinstance(value, msgspec.UnsetType) and value != b"null"
    }
    usable = all(value[0] in _SCALAR_STARTS for value in there.values())
    return there if usable else None


def _split(array: bytes, limits: MessageLimits) -> tuple[bytes, ...] | None:
    """Return the elements of an array; None if there are too many, or it is none after all."""
    if not array.startswith(b"["):
        return None
    if array.count(b",") > limits.max_records * _MANY_COMMAS:
        found = list(islice(elements(array, (0, len(array))), limits.max_records + 1))
        records = tuple(array[slice(*place)] for place in found)
    else:
        try:
            records = tuple(map(bytes, _decode_array(array)))
        except (msgspec.DecodeError, RecursionError):
            return None
    return records if len(records) <= limits.max_records else None


def _too_deep(body: bytes, records: tuple[bytes, ...], depth: int) -> bool:
    """Whether the envelope has too many levels; counting brackets settles it nearly always."""
    brackets = body.count(b"{") + body.count(b"[")
    if brackets <= depth:
        return False
    inside = [record.count(b"{") + record.count(b"[") for record in records]
    if brackets - sum(inside) <= depth and max(inside, default=0) <= depth - 2:
        return False
    return deeper_than(body, depth)


def _decode_tolerantly(
    body: bytes, limits: MessageLimits, shape: _Shape
) -> Envelope | MalformedEnvelope:
    """Judge an envelope that is malformed, or unusual, or holds JSON that only jsonb refuses."""
    places: dict[str, Span] = {}
    reason: str | None = None
    try:
        for name, place in json_members(body, limits.max_depth):
            if name in shape.names or name in OWN_MEMBERS:
                places[name] = place
    except JsonSyntaxError as error:
        reason = f"the message is not well-formed JSON: {error}"
    except TooDeepError:
        reason = f"the message is nested deeper than {limits.max_depth} levels"
    operation = _operation(body, places)
    scope, unusable = _scope(body, places, shape.names)
    if reason is None and operation is None:
        reason = f"the message's operation is none of {', '.join(OPERATIONS)}"
    if reason is None and unusable is not None:
        reason = f"the message's member {unusable} is neither a string nor a number"
    records = _records(body, places, limits) if reason is None else reason
    if operation is None or isinstance(records, str):
        return MalformedEnvelope(str(reason or records), operation, scope)
    return Envelope(operation, scope, records)


def _operation(body: bytes, places: Mapping[str, Span]) -> str | None:
    place = places.get("operation")
    if place is None or not body.startswith(b'"', place[0]):
        return None
    name = json.loads(body[slice(*place)])
    # Beyond ASCII there are letters whose upper case is an I or an S.
    return name.upper() if name.isascii() and name.upper() in OPERATIONS else None


def _scope(
    body: bytes, places: Mapping[str, Span], names: tuple[str, ...]
) -> tuple[Mapping[str, bytes], str | None]:
    """Return the scope values, and the name of a member that can't be one."""
    scope: dict[str, bytes] = {}
    unusable = None
    for name in names:
        value = body[slice(*places[name])] if name in places else b"null"
        if value[0] in _SCALAR_STARTS:
            scope[name] = value
        elif value != b"null":
            unusable = name
    return scope, unusable


def _records(
    body: bytes, places: Mapping[str, Span], limits: MessageLimits
) -> tuple[bytes, ...] | str:
    """Return the records' bytes, or what is wrong with them."""
    one, many = places.get("record"), places.get("records")
    if one and many:
        return "the message has both record and records"
    if one:
        return (body[slice(*one)],)
    if not many:
        return "the message has neither record nor records"
    if not body.startswith(b"[", many[0]):
        return "the message's records is not an array"
    found = list(islice(elements(body, many), limits.max_records + 1))
    if len(found) > limits.max_records:
        return f"the message has more than {limits.max_records} records"
    return tuple(body[slice(*place)] for place in found)
