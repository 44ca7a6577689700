"""What is killed, and when."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.scene import Drained, Scene
from drain_lab import KINDS
from drain_process import Child

DRAIN = "drain"
POSTGRESQL = "PostgreSQL"
VALKEY = "Valkey"

STEPS = (
    "after taking over",
    "after take",
    "after claim",
    "before commit",
    "before settle",
    "during settle",
    "after settle",
    "before giving back",
    "after giving back",
    "before release",
)
"""Where a drain can be stopped, see drain_child."""

VICTIMS = ((DRAIN,), (POSTGRESQL,), (VALKEY,), (POSTGRESQL, VALKEY), (DRAIN, POSTGRESQL))

_OF_A_BATCH = STEPS[2:7]
_AWAITED = 60.0
"""Seconds for a drain to end after its servers are back; it gives up long before."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the victims when a queue's drain is at a step, or with None at some moment."""

    queue: int
    victims: tuple[str, ...]
    step: str | None

    def sentence(self, scene: Scene) -> str:
        """Say what is killed."""
        when = "at some moment" if self.step is None else self.step
        kind = scene.queues[self.queue].lab.kind
        return f"{' and '.join(self.victims)}, while a {kind} was drained, {when}"


EVERY_KILL = tuple(
    Kill(queue, victims, step)
    for queue in range(len(KINDS))
    for victims in VICTIMS
    for step in (*STEPS, None)
)
"""Every victim at every step of every queue."""


def kills(chance: random.Random) -> Iterator[Kill]:
    """Yield kills for ever: each once, and then again."""
    while True:
        yield from chance.sample(EVERY_KILL, len(EVERY_KILL))


def carry_out(kill: Kill, scene: Scene, chance: random.Random) -> str:
    """Push records, have them drained, kill, and bring everything back.

    Returns the last that the drain said: its ending, the name of its error, or nothing.
    """
    for queue in scene.queues:
        queue.push(chance.randint(50, 150))
    drained = scene.queues[kill.queue]
    drained.push(300)
    spared = chance.randint(0, 2) if kill.step in _OF_A_BATCH else 0
    child = drained.child(kill.step or "", spared)
    try:
        _await(kill.step, child, drained, chance)
        _kill(kill.victims, scene, child)
        _bring_back(kill.victims, scene)
        return "" if DRAIN in kill.victims else _ended(child, paused=kill.step is not None)
    finally:
        child.close()


def _await(step: str | None, child: Child, drained: Drained, chance: random.Random) -> None:
    """Wait until the drain is where it is to be hit."""
    if step is None:
        depth = drained.lab.depth()
        deadline = time.monotonic() + _AWAITED
        # Its first batch is the sign that it is at work.
        while drained.lab.depth() == depth and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.05))
        return
    said = child.says()
    if said != "paused":
        raise RuntimeError(f"the drain was never {step}: {said}")


def _kill(victims: Sequence[str], scene: Scene, child: Child) -> None:
    if DRAIN in victims:
        child.kill()
    if POSTGRESQL in victims:
        scene.postgres.kill()
    if VALKEY in victims:
        scene.valkey.kill()


def _bring_back(victims: Sequence[str], scene: Scene) -> None:
    if POSTGRESQL in victims:
        scene.postgres.start()
    if VALKEY in victims:
        scene.valkey.start()


def _ended(child: Child, *, paused: bool) -> str:
    if paused:
        child.go_on()
    return child.ends(_AWAITED)
