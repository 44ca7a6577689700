"""What Redis holds for many queues, asked for all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from batchdrain.errors import ConfigurationError
from batchdrain.queues.in_flight import in_flight
from batchdrain.queues.round_trips import Command, Questions

QUEUE_TYPES = ("stream", "list")
"""Redis' names for the types that a queue may have."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What Redis says of one key.

    `kind` is Redis' name for its type, `none` where the key doesn't exist; an empty list has no
    key, but is a `list` if it has been drained before. `depth` counts the messages, of a list those
    in flight, too, and is 0 for a type that is no queue. `last_id` is the id of the newest entry
    that a stream has ever had, None for anything else.
    """

    key: str
    kind: str
    depth: int
    last_id: str | None


def backlogs(keys: Sequence[str]) -> Questions[list[Backlog]]:
    """Ask Redis what the keys hold; the answers come in their order.

    Takes two round trips, and two more where there are lists; none without keys.
    """
    kinds = [kind.decode() for kind in (yield [("TYPE", key) for key in keys])]
    questions = [_question(kind, key) for kind, key in zip(kinds, keys, strict=True)]
    answers = iter((yield [question for question in questions if question]))
    maybe_lists = [key for key, kind in zip(keys, kinds, strict=True) if kind in ("list", "none")]
    flying = yield from in_flight(maybe_lists)
    return [
        _backlog(key, kind, next(answers) if question else None, flying.get(key))
        for key, kind, question in zip(keys, kinds, questions, strict=True)
    ]


def queues_only(found: Iterable[Backlog]) -> dict[str, Backlog]:
    """Return what was found, by its keys.

    Raises ConfigurationError naming a key that holds something else than a queue.
    """
    by_key = {backlog.key: backlog for backlog in found}
    for backlog in by_key.values():
        if backlog.kind not in (*QUEUE_TYPES, "none"):
            raise wrong_type(backlog.key, backlog.kind)
    return by_key


def wrong_type(key: str, kind: str) -> ConfigurationError:
    """Return the error for a key that holds something else than a queue."""
    return ConfigurationError(
        f"queue key {key} is a {kind}, neither stream nor list; remove it or choose another table"
    )


def _question(kind: str, key: str) -> Command | None:
    if kind == "stream":
        return ("XINFO STREAM", key)
    return ("LLEN", key) if kind == "list" else None


def _backlog(key: str, kind: str, answer: Any, flying: int | None) -> Backlog:
    if kind == "stream":
        return Backlog(key, kind, int(answer["length"]), answer["last-generated-id"].decode())
    if flying is None:
        return Backlog(key, kind, int(answer or 0), None)
    return Backlog(key, "list", int(answer or 0) + flying, None)
