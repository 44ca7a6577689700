"""What goes into the engine and what comes out of it: plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from batchdrain.engine.json_text import shown_key


class Operation(StrEnum):
    """What a record does to its row."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    UPSERT = "UPSERT"

    # Enum's own, in Python, is too slow for once per record.
    __hash__ = str.__hash__


class Record(msgspec.Struct, frozen=True, gc=False):
    """One row-level change.

    `data` is the record's JSON as it arrived. `members` maps the envelope's scope members
    (`client_id`, `ver` …) to their JSON, a string or a number; a member that is missing or null
    is not in it. All records of a message share one mapping.
    """

    operation: Operation
    data: bytes
    members: Mapping[str, bytes]
    message_id: str = ""


class Malformed(msgspec.Struct, frozen=True):
    """A message that is refused as a whole, kept as it arrived.

    `body` holds its bytes; a stream entry without a `data` field has `fields` instead.
    `operation` and `members` hold what could be read of the envelope.
    """

    reason: str
    body: bytes | None
    fields: Mapping[bytes, bytes] | None = None
    operation: str | None = None
    members: Mapping[str, bytes] = {}
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record was refused: a row of `<table>_errors` without the record itself.

    `error_type` is PostgreSQL's condition name, a trigger's own SQLSTATE, or one of
    `malformed_message`, `not_found`, `scope_missing`, `scope_mismatch`.
    """

    error_type: str
    message: str
    sqlstate: str | None = None
    field: str | None = None
    constraint: str | None = None


class RecordResult(msgspec.Struct, frozen=True, gc=False):
    """What became of one record; `refusal` is None when it was applied.

    `key` holds the JSON of the primary key's parts, None for a part that the record leaves out;
    it is empty where no key could be read.
    """

    operation: str | None
    message_id: str
    key: Sequence[bytes | None] = ()
    refusal: Refusal | None = None

    @property
    def record_id(self) -> str | None:
        """The key as `<table>_errors` shows it (see `json_text.shown_key`)."""
        return shown_key(self.key)

    @property
    def applied(self) -> bool:
        """Whether the database holds the record's change."""
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One result per record, in the order in which the records came.

    `isolated` tells whether a set statement failed (or the table's rows disturb one another)
    and the records were applied in small pieces.
    """

    results: Sequence[RecordResult]
    refused: int
    isolated: bool = False

    @property
    def applied(self) -> int:
        """How many records the database took."""
        return len(self.results) - self.refused
