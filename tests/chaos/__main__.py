"""`python -m chaos`: kills, then compares; exits with 1 unless everything adds up."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Callable, Sequence
from itertools import islice

from batchdrain.drain import Ending
from batchdrain.errors import TransientError
from chaos.kills import EVERY_KILL, carry_out, kills
from chaos.scene import Scene, scene
from chaos.workload import Account

_SHOWN = 20
"""How many mismatches are told one by one."""

_GOOD = ("", TransientError.__name__, *Ending)
"""How a drain may end whose servers are killed."""


def rage(given: Scene, number: int, seed: int, tell: Callable[[str], None]) -> Account:
    """Carry out so many kills, drain what is left, and return what does not add up."""
    chance = random.Random(seed)
    found = Account()
    for place, kill in enumerate(islice(kills(chance), number), 1):
        said = carry_out(kill, given, chance)
        tell(f"kill {place} of {number}: {kill.sentence(given)}{said and f'; it ended: {said}'}")
        if said not in _GOOD:
            found += Account(mismatches=(f"kill {place}: the drain ended with {said}",))
    for queue in given.queues:
        found += queue.account()
    return found


def main(arguments: Sequence[str]) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=_number, default=len(EVERY_KILL), help="how many")
    parser.add_argument("--seed", type=int, help="of an earlier run, for the same kills in order")
    options = parser.parse_args(arguments)
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    seed = random.randrange(10**6) if options.seed is None else options.seed
    _tell(f"seed {seed}")
    with scene() as given:
        found = rage(given, options.kills, seed, _tell)
    for mismatch in found.mismatches[:_SHOWN]:
        _tell(mismatch)
    _tell(
        f"chaos: kills={options.kills} lost={found.lost} duplicated={found.duplicated} "
        f"mismatched={len(found.mismatches)}"
    )
    return 0 if found == Account() else 1


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one kill")
    return number


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
