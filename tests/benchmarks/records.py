"""The records that everybody gets, their messages, and bad ones."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

CLIENT_ID = "c-17"
VER = "3"
SEED = 20_250_307
"""Every run has the same records."""

Record = dict[str, Any]
"""A record as an application knows it: column values by name, without the scope."""

_WORDS = [
    "picked",
    "packed",
    "checked",
    "returned",
    "repaired",
    "counted",
    "sealed",
    "moved",
    "weighed",
    "labelled",
]
_PLACES = ("dock 4", "aisle 17", "gate B", "shelf \u00e9", "the yard", 'room "7"', "line 3")
_SECONDS_PER_DAY = 86_400


def records(count: int) -> Iterator[Record]:
    """Yield records with random keys and values of the size that a form on a phone sends."""
    chance = random.Random(SEED)
    for number in range(count):
        yield {
            "_id": str(UUID(bytes=chance.randbytes(16), version=4)),
            "quantity": number,
            "note": f"{_WORDS[number % 10]} at {_PLACES[number % 7]}, ticket {number:06d}",
            "amount": chance.randrange(1_000_000) / 100,
            "active": number % 3 == 0,
            "noted_at": _moment(number),
            "details": {
                "origin": "handheld",
                "tags": [_WORDS[number % 9], _WORDS[number % 4]],
                "box": {"width": number % 120, "height": number % 80},
            },
        }


def changes(given: Iterable[Record]) -> Iterator[Record]:
    """Yield an update for each record: text, numeric, boolean and jsonb get other values."""
    for record in given:
        yield {
            "_id": record["_id"],
            "note": f"{record['note']}, again",
            "amount": record["amount"] + 1,
            "active": not record["active"],
            "details": {**record["details"], "origin": "desk"},
        }


def keys(given: Iterable[Record]) -> Iterator[Record]:
    """Yield what a DELETE names."""
    for record in given:
        yield {"_id": record["_id"]}


def spoiled(
    given: Sequence[Record], share: float, taken: Sequence[Record]
) -> tuple[list[Record], list[bool]]:
    """Return the records with a share of them made bad, and which of them are good.

    Bad ones are spread evenly. In turn: text for an integer, NULL in a NOT NULL column, a word
    for a timestamptz, and the key of one of the rows in `taken`, which the table has already.
    """
    out: list[Record] = []
    good: list[bool] = []
    done = 0
    for number, record in enumerate(given):
        bad = int((number + 1) * share + 1e-9) > done
        good.append(not bad)
        if bad:
            key = taken[done % len(taken)]["_id"]
            record = {**record, **_flaw(done, key)}
            done += 1
        out.append(record)
    return out, good


def messages(operation: str, given: Iterable[Record]) -> Iterator[bytes]:
    """Yield one message of JSON per record, as it would come from Redis."""
    encode = msgspec.json.Encoder().encode
    for record in given:
        yield encode({"operation": operation, "client_id": CLIENT_ID, "ver": VER, "record": record})


def batches(given: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    """Cut messages into batches."""
    return [given[begin : begin + size] for begin in range(0, len(given), size)]


def _flaw(number: int, key: str) -> Record:
    flaws: tuple[Record, ...] = (
        {"quantity": "a dozen"},
        {"note": None},
        {"noted_at": "soon"},
        {"_id": key},
    )
    return flaws[number % len(flaws)]


def _moment(number: int) -> str:
    day, second = divmod(number, _SECONDS_PER_DAY)
    hour, rest = divmod(second, 3_600)
    return f"2025-03-{day % 28 + 1:02d}T{hour:02d}:{rest // 60:02d}:{rest % 60:02d}+00:00"
