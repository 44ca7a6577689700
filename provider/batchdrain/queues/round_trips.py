"""Questions to Redis that build on earlier answers; each lot of them is one round trip.

What is asked, and what the answers mean, is written once, as a generator without I/O. It is run by
a client that blocks, or by one that doesn't.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeAlias, TypeVar

import redis

T = TypeVar("T")

Command: TypeAlias = tuple[str, ...]
"""A command of Redis with its arguments."""

Questions: TypeAlias = Generator[Sequence[Command], list[Any], T]
"""Yields commands, is sent their answers in their order, and returns what they mean together."""


def answered(client: redis.Redis, questions: Questions[T]) -> T:
    """Have a client answer the questions, and return what they lead to.

    Raises the errors of redis-py.
    """
    answers: list[Any] | None = None
    while True:
        try:
            # The first thing that a generator is sent is None.
            commands = questions.send(answers)  # type: ignore[arg-type]
        except StopIteration as end:
            result: T = end.value
            return result
        answers = _blocking(client, commands) if commands else []


async def answered_meanwhile(client: Any, questions: Questions[T]) -> T:
    """Do as `answered` does, with a client of redis.asyncio."""
    answers: list[Any] | None = None
    while True:
        try:
            commands = questions.send(answers)  # type: ignore[arg-type]
        except StopIteration as end:
            result: T = end.value
            return result
        answers = await _awaiting(client, commands) if commands else []


def _blocking(client: Any, commands: Sequence[Command]) -> list[Any]:
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return list(pipeline.execute())


async def _awaiting(client: Any, commands: Sequence[Command]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute())
