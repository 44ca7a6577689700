"""Puts queues in order, parents before children. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Candidate:
    """A queue with a backlog; `last_id` is the id of its newest entry, None where it has no ids."""

    key: str
    table: str
    last_id: str | None


@dataclass(frozen=True, slots=True)
class PlannedDrain:
    """A queue to drain; `parents` maps queues that come first to the ids they have to pass."""

    queue_key: str
    parents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Drains in the order in which they should start, and the references ignored to get there.

    `ignored` holds pairs (child table, parent table) that would have closed a cycle.
    """

    drains: tuple[PlannedDrain, ...]
    ignored: tuple[tuple[str, str], ...]


def plan_drains(
    candidates: Sequence[Candidate],
    parents: Mapping[str, Sequence[str]],
    *,
    elsewhere: Sequence[Candidate] = (),
) -> Plan:
    """Order the candidates, and tell each child which entries of its parents it has to await.

    `parents` maps a table to those it refers to. `elsewhere` are queues that another run drains:
    they are awaited, but not planned.
    """
    tables = dict.fromkeys(candidate.table for candidate in candidates)
    ordered, kept, ignored = _sort(tuple(tables), parents)
    awaited: dict[str, dict[str, str]] = {}
    for candidate in (*candidates, *elsewhere):
        if candidate.last_id is not None:
            awaited.setdefault(candidate.table, {})[candidate.key] = candidate.last_id
    drains = tuple(
        PlannedDrain(
            candidate.key,
            {
                key: last_id
                for parent in kept[table]
                for key, last_id in awaited.get(parent, {}).items()
            },
        )
        for table in ordered
        for candidate in candidates
        if candidate.table == table
    )
    return Plan(drains, ignored)


def _sort(
    tables: Sequence[str], parents: Mapping[str, Sequence[str]]
) -> tuple[list[str], dict[str, list[str]], tuple[tuple[str, str], ...]]:
    """Walk the tables depth first: an edge back to a table that is still open closes a cycle."""
    ordered: list[str] = []
    kept: dict[str, list[str]] = {}
    ignored: list[tuple[str, str]] = []
    open_tables: list[str] = []

    def _visit(table: str) -> None:
        kept[table] = []
        open_tables.append(table)
        for parent in parents.get(table, ()):
            if parent in open_tables:
                ignored.append((table, parent))
                continue
            kept[table].append(parent)
            if parent not in kept:
                _visit(parent)
        open_tables.pop()
        if table in tables:
            ordered.append(table)

    for table in tables:
        if table not in kept:
            _visit(table)
    return ordered, kept, tuple(ignored)
