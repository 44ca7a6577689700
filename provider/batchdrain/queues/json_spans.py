"""Finds where the values of a JSON text lie, without building them.

Strict as RFC 8259 about syntax, but with no opinion on what a string or a number means: a lone
surrogate or a number that nothing can hold is passed over like any other. It keeps its own stack,
so nesting costs no recursion, and its memory does not grow with the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate

_WS = rb"[ \t\n\r]*"
_PLAIN = rb'[^"\\\x00-\x1f]*'
# Repetitions of groups are bounded, and so is what the regex engine remembers of them; longer
# strings and runs are matched in several steps.
_STRING_PART = _PLAIN + rb'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})' + _PLAIN + rb"){0,500}"
_STRING = rb'"' + _STRING_PART + rb'"'
_BARE = rb"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"
_SCALAR = rb"(?:" + _STRING + rb"|" + _BARE + rb")"
_NEXT = _WS + rb"," + _WS

_space = re.compile(_WS).match
_bare = re.compile(_BARE).match
_string_part = re.compile(_STRING_PART).match
_colon = re.compile(_WS + rb":" + _WS).match
_comma_or_close = re.compile(_WS + rb"([,\]}])").match
_plain_elements = re.compile(rb"(?:" + _SCALAR + _NEXT + rb"){0,1000}").match
_plain_members = re.compile(
    rb"(?:" + _STRING + _WS + rb":" + _WS + _SCALAR + _NEXT + rb"){0,1000}"
).match

_without_strings = re.compile(rb'"[^"]*"').sub
_STEPS = bytes.maketrans(b"{[}]", b"\1\1\xff\xff")  # +1 and, read as a signed byte, -1
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_ARRAY, _OBJECT = ord("["), ord("{")
_CLOSE = {_ARRAY: b"]", _OBJECT: b"}"}

Span = tuple[int, int]
"""Where a value begins, and where it ends (exclusive), in bytes."""


class JsonSyntaxError(Exception):
    """The text is not what it should be; says what is wrong at which byte, and shows none of it."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(f"{what} at byte {at}")


class TooDeepError(Exception):
    """The text is nested deeper than the limit."""


def members(text: bytes, depth: int) -> Iterator[tuple[str, Span]]:
    """Yield name and place of each member of the object that the text is, in their order.

    A member is yielded once what follows it has been seen, so everything yielded is complete.
    `depth` is how many levels the object may have, itself counted. Raises JsonSyntaxError where
    the text stops being one JSON object, and TooDeepError.
    """
    at = _skip_space(text, 0)
    if not text.startswith(b"{", at):
        raise JsonSyntaxError("there is no JSON object", at)
    at = _skip_space(text, at + 1)
    mark = b","
    if text.startswith(b"}", at):
        mark, at = b"}", _skip_space(text, at + 1)
    while mark == b",":
        start, name_end = _member_value(text, at)
        name = json.loads(text[at:name_end])
        end = _value(text, start, depth - 1)
        mark, at = _mark(text, end, _OBJECT)
        yield name, (start, end)
        at = _skip_space(text, at)
    if at < len(text):
        raise JsonSyntaxError("something follows the JSON object", at)


def elements(text: bytes, span: Span) -> Iterator[Span]:
    """Yield the place of each element of the array at `span`, which must be well-formed."""
    at = _skip_space(text, span[0] + 1)
    mark = b"]" if text.startswith(b"]", at) else b","
    while mark == b",":
        end = _value(text, at, len(text))
        yield at, end
        mark, at = _mark(text, end, _ARRAY)
        at = _skip_space(text, at)


def deeper_than(text: bytes, depth: int) -> bool:
    """Whether well-formed JSON has more than `depth` levels."""
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    steps = _without_strings(b"", unescaped).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > depth


def _value(text: bytes, at: int, depth: int) -> int:
    """Return where the value at `at` ends; it may have `depth` levels."""
    stack = bytearray()
    while True:
        if text.startswith((b"[", b"{"), at):
            if len(stack) == depth:
                raise TooDeepError
            stack.append(text[at])
            at = _skip_space(text, at + 1)
            if not text.startswith(_CLOSE[stack[-1]], at):
                at = _next_value(text, at, stack[-1])
                continue
            stack.pop()
            at += 1
        else:
            at = _scalar(text, at)
        while stack:
            mark, at = _mark(text, at, stack[-1])
            if mark == b",":
                at = _next_value(text, _skip_space(text, at), stack[-1])
                break
            stack.pop()
        else:
            return at


def _next_value(text: bytes, at: int, container: int) -> int:
    """Pass over scalars, then return where a value begins that is a container or the last."""
    if container == _ARRAY:
        return _end(_plain_elements(text, at), at)
    return _member_value(text, _end(_plain_members(text, at), at))[0]


def _member_value(text: bytes, at: int) -> Span:
    """Return where the value of the member at `at` begins, and where its name ends."""
    if not text.startswith(b'"', at):
        raise JsonSyntaxError("the name of a member is missing", at)
    name_end = _string(text, at)
    colon = _colon(text, name_end)
    if colon is None:
        raise JsonSyntaxError("a colon is missing", name_end)
    return colon.end(), name_end


def _scalar(text: bytes, at: int) -> int:
    if text.startswith(b'"', at):
        return _string(text, at)
    bare = _bare(text, at)
    if bare is None:
        raise JsonSyntaxError("a value is missing or wrong", at)
    return bare.end()


def _string(text: bytes, at: int) -> int:
    part, at = at, at + 1
    while part != at:
        part, at = at, _end(_string_part(text, at), at)
    if not text.startswith(b'"', at):
        raise JsonSyntaxError("a string is not closed or holds what it must not", at)
    return at + 1


def _mark(text: bytes, at: int, container: int) -> tuple[bytes, int]:
    """Return the comma or closing bracket that comes next, and where it ends."""
    mark = _comma_or_close(text, at)
    if mark is None or mark[1] not in (b",", _CLOSE[container]):
        raise JsonSyntaxError("a comma or a closing bracket is missing", at)
    return mark[1], mark.end()


def _skip_space(text: bytes, at: int) -> int:
    return _end(_space(text, at), at)


def _end(match: re.Match[bytes] | None, at: int) -> int:
    return at if match is None else match.end()
