"""Records whose end is known: what a table and its error table must hold once all are applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]

_FIRST_KEY = -1
"""Keys of a producer's own go down from here; those that PostgreSQL gives go up from 1."""


@dataclass
class Workload:
    """Makes messages with one record each, and remembers what they have to come to.

    Of ten messages seven are INSERTs without a key, which are there twice if they are applied
    twice; one is an INSERT with a key, whose row is changed or deleted by the next; one is refused.
    """

    payloads: Counter[int] = field(default_factory=Counter)
    keyed: dict[int, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    messages: int = 0

    def more(self, messages: int) -> list[Message]:
        """Return so many messages more."""
        return [self._next() for _ in range(messages)]

    def _next(self) -> Message:
        number = self.messages
        self.messages += 1
        key = _FIRST_KEY - number // 10
        if number % 10 == 7:
            self.keyed[key] = number
            return _message("INSERT", {"id": key, "payload": number})
        if number % 10 == 8 and number % 20 < 10:
            self.keyed[key] = number
            return _message("UPDATE", {"id": key, "payload": number})
        if number % 10 == 8:
            del self.keyed[key]
            return _message("DELETE", {"id": key})
        if number % 10 == 9:
            self.refused[f"no number {number}"] += 1
            return _message("INSERT", {"payload": f"no number {number}"})
        self.payloads[number] += 1
        return _message("INSERT", {"payload": number})


def _message(operation: str, record: Mapping[str, object]) -> Message:
    return {"operation": operation, "record": dict(record)}


@dataclass(frozen=True, slots=True)
class Found:
    """What is there in the end: rows as key and payload, refused payloads, and all other counts."""

    rows: Iterable[tuple[int, int]]
    refused: Iterable[str]
    counts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Account:
    """How many records were lost or applied twice, and whatever else does not add up."""

    lost: int = 0
    duplicated: int = 0
    mismatches: tuple[str, ...] = ()

    def __add__(self, other: Account) -> Account:
        return Account(
            self.lost + other.lost,
            self.duplicated + other.duplicated,
            self.mismatches + other.mismatches,
        )


def account(expected: Workload, found: Found) -> Account:
    """Compare what is there with what must be."""
    rows = list(found.rows)
    payloads = Counter(payload for key, payload in rows if key > 0)
    keyed = {key: payload for key, payload in rows if key < 0}
    refused = Counter(found.refused)
    lost = (expected.payloads - payloads).total() + (expected.refused - refused).total()
    lost += len(expected.keyed.keys() - keyed.keys())
    twice = sum(n - 1 for n in payloads.values()) + sum(n - 1 for n in refused.values())
    return Account(lost, twice, tuple(_mismatches(expected, keyed, payloads, refused, found)))


def _mismatches(
    expected: Workload,
    keyed: Mapping[int, int],
    payloads: Counter[int],
    refused: Counter[str],
    found: Found,
) -> Iterator[str]:
    for key in expected.keyed.keys() & keyed.keys():
        if keyed[key] != expected.keyed[key]:
            yield f"row {key} has payload {keyed[key]}, not {expected.keyed[key]}"
    for key in keyed.keys() - expected.keyed.keys():
        yield f"row {key} is still there, or there again"
    for payload in payloads.keys() - expected.payloads.keys():
        yield f"there is a row with payload {payload}, which was never pushed"
    for good in refused.keys() - expected.refused.keys():
        yield f"a record was refused that is good: {good}"
    bad = expected.refused.total()
    wanted = {
        "messages": expected.messages,
        "applied": expected.messages - bad,
        "refused": bad,
        "lost": 0,
        "position": expected.messages,
        "left": 0,
        "in flight": 0,
    }
    for name, value in wanted.items():
        if found.counts.get(name) != value:
            yield f"{name}: {found.counts.get(name)}, not {value}"
