"""Records about one column: good, bad, null and missing values, in every operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice
from types import MappingProxyType

from column_type import ColumnType
from oracle import ANY, Verdict
from twins import POISON, UNSAID, Sent

WRITING = ("INSERT", "UPDATE", "UPSERT")
ALL = (*WRITING, "DELETE")

NOT_FOUND = Verdict("not_found", None)

NO_MEMBERS: Mapping[str, str] = MappingProxyType({})

Key = Callable[[int], Mapping[str, str]]
"""The key columns of a row that has a number."""


@dataclass(frozen=True)
class Values:
    """What records say about a column: good texts, and bad ones with what they are refused for.

    `null` is what null is refused for, None where it is taken.
    """

    good: tuple[str, ...]
    bad: Mapping[str, str]
    null: str | None = None

    @classmethod
    def of(cls, type_: ColumnType) -> Values:
        """Return the texts for a column of a type, and one that jsonb refuses."""
        poison = {POISON: "untranslatable_character"}
        null = None if type_.nullable else "not_null_violation"
        return cls(tuple(type_.good), type_.refused | poison, null)

    def few(self, number: int) -> Values:
        """Return so many good and bad texts, one for an envelope and the poison among them."""
        bad = dict(islice(self.bad.items(), number)) | {POISON: self.bad[POISON]}
        good = dict.fromkeys([*scopes_of(self)[:1], *self.good])
        return Values(tuple(good)[:number], bad, self.null)


def good_values(key: Key, column: str, values: Values, first: int) -> Iterator[Sent]:
    """Records that are all applied; row `first + n` and row `-first - n` end with the nth text.

    Every row but these is deleted again, save for row `first` where there are no texts.
    """
    for place, text in enumerate(values.good):
        row, following = key(first + place), values.good[(place + 1) % len(values.good)]
        yield Sent("INSERT", {**row, column: text}, None)
        yield Sent("UPDATE", {**row, column: following}, None)
        yield Sent("UPSERT", {**row, column: text}, None)
        yield Sent("UPSERT", {**key(-first - place), column: text}, None)
    lone = key(first + 400)
    given = [{**lone, column: text} for text in values.good[:1]]
    given += [{**lone, column: "null"}] if values.null is None else []
    for record in (lone, *given):
        yield Sent("INSERT", record, None)
        yield Sent("UPDATE", lone, None)
        for changed in given:
            yield Sent("UPDATE", changed, None)
            yield Sent("UPSERT", changed, None)
        yield Sent("DELETE", record, None)
    yield Sent("UPSERT", lone, None)
    yield Sent("DELETE", lone, None)
    if not values.good:
        yield Sent("INSERT", key(first), None)


def bad_values(key: Key, column: str, values: Values, first: int) -> Iterator[Sent]:
    """Bad records between good ones, where `good_values` has been before."""
    null = {} if values.null is None else {"null": values.null}
    good = cycle(values.good)
    fresh = count(first + 600)
    for place, (text, condition) in enumerate({**values.bad, **null}.items()):
        row = key(first + place % max(1, len(values.good)))
        verdict = Verdict(condition, column)
        for operation in _turns(place, WRITING):
            target = key(next(fresh)) if operation == "INSERT" else row
            yield Sent(operation, {**target, column: text}, verdict)
        for neighbour in islice(good, 1):
            yield Sent("INSERT", {**key(next(fresh)), column: neighbour}, None)
            yield Sent("UPDATE", {**row, column: neighbour}, None)
    for text, condition in islice(values.bad.items(), 1):
        verdict = Verdict(condition, column)
        yield Sent("UPDATE", {**key(next(fresh)), column: text}, verdict)
        yield Sent("UPSERT", {**key(next(fresh)), column: text}, verdict)
        # A DELETE converts nothing but its key, though all of it must be jsonb.
        absent, present = (verdict, verdict) if text == POISON else (NOT_FOUND, None)
        yield Sent("DELETE", {**key(next(fresh)), column: text}, absent)
        yield Sent("DELETE", {**key(first), column: text}, present)
    for text in islice(good, 1):
        row = key(-first)
        yield Sent("UPDATE", {**key(next(fresh)), column: text}, NOT_FOUND)
        yield Sent("INSERT", {**row, column: text}, Verdict("unique_violation", ANY))
        yield Sent("DELETE", {**row, column: text}, None)
        yield Sent("DELETE", {**row, column: text}, NOT_FOUND)


def good_keys(
    column: str, values: Values, members: Mapping[str, str] = NO_MEMBERS
) -> Iterator[Sent]:
    """Records that are all applied, though several of the texts may be one key."""
    for operation in ("UPSERT", "UPDATE"):
        for place, text in enumerate(values.good):
            yield Sent(operation, {column: text, "v": str(place)}, None, members)
    for place, text in enumerate(values.good[:3]):
        yield Sent("DELETE", {column: text, "v": '"any"'}, None, members)
        yield Sent("INSERT", {column: text, "v": str(place)}, None, members)


def bad_keys(
    column: str, values: Values, members: Mapping[str, str] = NO_MEMBERS
) -> Iterator[Sent]:
    """Bad records between good ones, where `good_keys` has been before."""
    neighbours = cycle(values.good)
    for turn, (text, condition) in enumerate(values.bad.items()):
        for operation in _turns(turn):
            record, verdict = {column: text, "v": "1"}, Verdict(condition, column)
            yield Sent(operation, record, verdict, members)
        yield Sent("UPDATE", {column: next(neighbours), "v": "2"}, None, members)
    for operation in ALL:
        nothing = "not_null_violation" if operation == "INSERT" else "malformed_message"
        yield Sent(operation, {column: "null", "v": "1"}, Verdict(nothing, column), members)
        # A domain may have a default.
        left_out = UNSAID if operation == "INSERT" else Verdict(nothing, column)
        yield Sent(operation, {"v": "1"}, left_out, members)
    unconverted = Verdict("invalid_text_representation", "v")
    for text in values.good:
        yield Sent("INSERT", {column: text, "v": "3"}, Verdict("unique_violation", ANY), members)
        yield Sent("UPSERT", {column: text, "v": "4"}, None, members)
    for text in values.good[:3]:
        yield Sent("UPDATE", {column: text, "v": '"x"'}, unconverted, members)
        # Another spelling of the same key may have been before.
        yield Sent("DELETE", {column: text}, UNSAID, members)
        yield Sent("UPDATE", {column: text}, NOT_FOUND, members)


def good_scopes(key: Key, column: str, values: Values) -> Iterator[Sent]:
    """Records that are all applied; row n ends in the nth scope."""
    for place, text in enumerate(scopes_of(values)):
        row, envelope = key(place), {"client_id": text}
        yield Sent("UPSERT", {**row, "v": "1"}, None, envelope)
        if place < 3:
            yield Sent("DELETE", row, None, envelope)
            yield Sent("INSERT", {**row, column: text, "v": "2"}, None, envelope)
        yield Sent("UPDATE", {**row, column: text, "v": "3"}, None, envelope)


def bad_scopes(key: Key, column: str, values: Values) -> Iterator[Sent]:
    """Records of other, bad and missing scopes between good ones, after those of `good_scopes`."""
    scopes = scopes_of(values)
    fresh = count(1000)
    for place, text in enumerate(scopes):
        row, other = key(place), {"client_id": scopes[place - 1]}
        for operation in _turns(place):
            yield Sent(operation, {**row, "v": "5"}, UNSAID, other)
        yield Sent("INSERT", {**key(next(fresh)), column: text, "v": "6"}, UNSAID, other)
        yield Sent("UPSERT", {**row, "v": "7"}, UNSAID, {"client_id": text})
    wrong = [text for text in values.bad if _is_scope(text) and text != POISON]
    for turn, text in enumerate(wrong):
        verdict, envelope = Verdict(values.bad[text], column), {"client_id": text}
        for operation in _turns(turn):
            yield Sent(operation, {**key(next(fresh)), "v": "8"}, verdict, envelope)
    row, envelope = {**key(0), "v": "9"}, {"client_id": scopes[0]}
    for turn, (text, condition) in enumerate(values.bad.items()):
        for operation in _turns(turn):
            yield Sent(operation, {**row, column: text}, Verdict(condition, column), envelope)
    for operation in ALL:
        yield Sent(operation, row, Verdict("scope_missing", column))
        # In the key, null is a missing part of that as well.
        yield Sent(operation, {**row, column: "null"}, UNSAID, envelope)


def _turns(turn: int, operations: Sequence[str] = ALL) -> Sequence[str]:
    """All operations at first, then one after the other: the oracle is slow."""
    return operations if turn == 0 else operations[turn % len(operations) :][:1]


def scopes_of(values: Values) -> list[str]:
    """Return the good texts that an envelope can carry."""
    return list(filter(_is_scope, values.good))


def _is_scope(text: str) -> bool:
    """Whether a JSON text is a string or a number."""
    return text[0] in '"-0123456789'
