"""Asks Airflow for a pool, where it may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from batchdrain.finding import Finding, Level

POOL = "pool"
"""The subject of what is found about the pool."""

_DEFAULT = "default_pool"


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """Whether a pool exists, and how many slots it has (-1: any number)."""

    exists: bool
    slots: int = 0


def has_metadata() -> bool:
    """Tell whether this process has a way to Airflow's metadata database.

    Asking for a file of SQLite that is not there would make it.
    """
    from airflow import settings

    engine = getattr(settings, "engine", None)
    if engine is None:
        return False
    file = engine.url.database
    return engine.url.get_backend_name() != "sqlite" or not file or Path(file).exists()


def ask_for_pool(pool: str) -> PoolFacts | None:
    """Look a pool up in Airflow's metadata database; None where that can't be asked.

    A task may not: Airflow 3 keeps it from the database, and has no other way to ask.
    """
    from airflow.models.pool import Pool
    from sqlalchemy.exc import SQLAlchemyError

    if not has_metadata():
        return None
    try:
        found = Pool.get_pool(pool)
    except (RuntimeError, AttributeError, SQLAlchemyError):
        return None
    return PoolFacts(False) if found is None else PoolFacts(True, int(found.slots))


def pool_findings(pool: str, queues: int, lingering: int = 0) -> list[Finding]:
    """Look at the pool of the drains, of which there are as many as queues.

    `lingering` is how many of them may stay on their queues when these are empty.
    """
    known = ask_for_pool(pool)
    if known is None:
        return [_unseen(pool)]
    if not known.exists:
        what = f"{pool} does not exist, so drains would wait for ever"
        do = f"`airflow pools set {pool} 4 batchdrain`, or mend the option pool"
        return [Finding(Level.ERROR, POOL, what, do)]
    if known.slots == 0:
        what = f"{pool} has no slots, so drains would wait for ever"
        return [Finding(Level.ERROR, POOL, what, "give it slots under Admin → Pools")]
    if 0 < known.slots < 2 * lingering:
        what = f"{pool} has {known.slots} slots, of which drains that linger may hold {lingering}"
        do = "give it twice as many as linger_slots: a drain that waits for one ends the lingering"
        return [Finding(Level.WARNING, POOL, what, do)]
    if 0 < known.slots < queues:
        what = f"{pool} has {known.slots} slots for {queues} queues, which take turns"
        return [Finding(Level.INFO, POOL, what, "give it more, if PostgreSQL has room for them")]
    slots = "any number of" if known.slots < 0 else str(known.slots)
    return [Finding(Level.OK, POOL, f"{pool} has {slots} slots")]


def _unseen(pool: str) -> Finding:
    if pool == _DEFAULT:
        return Finding(Level.OK, POOL, f"{pool}, which every Airflow has")
    what = f"whether {pool} exists can't be seen from here: no task may ask Airflow for pools"
    do = (
        "look under Admin → Pools, or run `python -m batchdrain preflight` where the metadata "
        "database can be reached; drains that get no slot are reported by list_queues or watch_pool"
    )
    return Finding(Level.INFO, POOL, what, do)
