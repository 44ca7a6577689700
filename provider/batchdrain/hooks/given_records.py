"""Turns what a DAG author gives the hook into records whose JSON says exactly the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from batchdrain.engine.records import Malformed, Operation, Record
from batchdrain.errors import ConfigurationError

GivenRecord: TypeAlias = Mapping[str, Any] | bytes
"""A record as its column values by name, or as the JSON of such an object."""

Scope: TypeAlias = Mapping[str, str | int]
"""Values of further envelope members, where scope columns name others than client_id and ver."""

_encode = msgspec.json.Encoder(decimal_format="number").encode
_UNCHANGED = frozenset({type(None), bool, int})
_TAKEN = (
    "use None, bool, int, float, Decimal, str, bytes, datetime, date, time, UUID, or lists and "
    "dicts of these"
)


def scope_members(
    client_id: str | int | None, ver: str | int | None, scope: Scope | None
) -> dict[str, bytes]:
    """Return the JSON of an envelope's scope members; one that is None is left out.

    `scope` holds members beside `client_id` and `ver`. Raises ConfigurationError for a member that
    is given twice, or whose value is neither text nor a whole number.
    """
    given: dict[str, object] = {"client_id": client_id, "ver": ver}
    if scope is not None and not isinstance(scope, Mapping):
        raise ConfigurationError(
            "The argument scope must map envelope members to values, as in "
            "scope={'tenant': 'c-17'}."
        )
    for name, value in (scope or {}).items():
        if given.get(name) is not None:
            raise ConfigurationError(
                f"The scope member {name!r} is given twice: leave it out of the argument scope."
            )
        given[name] = value
    return {name: _member(name, value) for name, value in given.items() if value is not None}


def read_records(
    operation: Operation, records: Iterable[GivenRecord], members: Mapping[str, bytes]
) -> list[Record | Malformed]:
    """Return a record for each that is given, in their order; text that is no JSON is Malformed.

    Bytes become bytea's hex text, a float or Decimal that is no finite number becomes `NaN`,
    `Infinity` or `-Infinity` as text, Decimals are exact numbers, points in time ISO 8601, wherever
    in a record they stand. Raises ConfigurationError naming the place in the list, and the column,
    of anything else; places count from 0, as in the results.
    """
    if isinstance(records, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(
        records, Iterable
    ):
        raise ConfigurationError(
            f"The argument records must be a list of records, not {_kind(records)}."
        )
    return [
        _record(operation, record, members, f"Record {place}")
        for place, record in enumerate(records)
    ]


def _record(
    operation: Operation, record: object, members: Mapping[str, bytes], where: str
) -> Record | Malformed:
    if isinstance(record, Mapping):
        return Record(operation, _object(record, where), members)
    if isinstance(record, bytes):
        return _text(operation, record, members)
    raise ConfigurationError(
        f"{where} is {_kind(record)}: give a dict of column values, or its JSON as bytes."
    )


def _text(operation: Operation, text: bytes, members: Mapping[str, bytes]) -> Record | Malformed:
    try:
        text.decode()
        msgspec.json.decode(text, type=msgspec.Raw)
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 at byte {error.start}"
    except (msgspec.DecodeError, RecursionError) as error:
        reason = f"it is not JSON: {error}"
    else:
        return Record(operation, text, members)
    return Malformed(reason, text, None, operation.value, members)


def _object(record: Mapping[Any, Any], where: str) -> bytes:
    parts: list[bytes] = []
    for name, value in record.items():
        if not isinstance(name, str):
            raise ConfigurationError(f"{where} has a column name {_kind(name)}: use text.")
        column = f"{where} in column {name!r}"
        _encoded(name, column)
        try:
            parts.append(_encode({str.__str__(name): _carried(value, column)})[1:-1])
        except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
            raise ConfigurationError(
                f"{column} holds a value that JSON can't carry: a number too long, or nested too "
                "deeply."
            ) from None
    return b"{%b}" % b",".join(parts)


def _carried(value: object, where: str) -> object:
    """Return what stands for the value in JSON; `where` is for the sentence if nothing does."""
    if type(value) in _UNCHANGED:
        return value
    if isinstance(value, str):
        _encoded(value, where)
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (float, Decimal)):
        return _number(value, where)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [_carried(element, where) for element in value]
    if isinstance(value, Mapping):
        return _members_of(value, where)
    raise ConfigurationError(
        f"{where} holds a value {_kind(value)}, which has no form in JSON: {_TAKEN}."
    )


def _number(value: float | Decimal, where: str) -> object:
    exact = value if isinstance(value, Decimal) else float(value)
    number = Decimal(exact)
    if number.is_finite():
        return exact
    if number.is_snan():
        raise ConfigurationError(f"{where} holds a signaling NaN, which PostgreSQL doesn't have.")
    if number.is_nan():
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _members_of(value: Mapping[Any, Any], where: str) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, member in value.items():
        if not isinstance(name, str):
            raise ConfigurationError(f"{where} holds a dict with a key {_kind(name)}: use text.")
        _encoded(name, where)
        members[str.__str__(name)] = _carried(member, where)
    return members


def _encoded(text: str, where: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{where} holds half of a surrogate pair, which is no character: mend the text."
        ) from None


def _member(name: object, value: object) -> bytes:
    where = f"The scope member {name!r}"
    if not isinstance(name, str):
        raise ConfigurationError(f"{where} must be named by text.")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ConfigurationError(f"{where} is {_kind(value)}: give text or a whole number.")
    return _encode(_carried(value, where))


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"
