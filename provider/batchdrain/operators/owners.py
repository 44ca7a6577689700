"""What Airflow says of the task that owned a queue last."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from batchdrain.engine.position import Position

TaskStates = Callable[[str, str, str], Mapping[str, str]]
"""Takes DAG id, run id and task id; returns states by task id, or `task_3` for map index 3."""

RECENTLY = 30.0
"""Seconds: a running owner that has applied a batch since then is left alone."""

_ABOUT_TO_TRY_AGAIN = ("up_for_retry", "scheduled", "queued")
"""States of a task that has owned the queue before, so that it is on its way to another try."""

_LABEL = re.compile(r"(?P<dag>\S+) (?P<run>.+) (?P<task>[^\s\[]+)(?:\[(?P<index>\d+)\])? try \d+")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A queue that isn't drained now, and why.

    `awaited`: its children wait for it all the same. `draining`: its owner is at it this moment.
    """

    reason: str
    awaited: bool
    draining: bool = False


def leave_out(position: Position, own_run_id: str, states: TaskStates) -> LeftOut | None:
    """Tell why a queue should be left to its owner, or None if it should be drained.

    `states` asks Airflow, and is asked only about tasks of other runs. A queue that Redis took back
    is not left out: its drain fails, in every run, until somebody accepts it.
    """
    if position.held:
        return LeftOut("it is held", awaited=False)
    state, run = _owner_state(position, own_run_id, states)
    if state in _ABOUT_TO_TRY_AGAIN:
        return LeftOut(f"run {run} will try it again in a moment", awaited=True)
    just_advanced = position.idle is not None and position.idle < RECENTLY
    if state == "running" and position.owner is not None and just_advanced:
        return LeftOut(f"run {run} is draining it", awaited=True, draining=True)
    return None


def _owner_state(
    position: Position, own_run_id: str, states: TaskStates
) -> tuple[str | None, str | None]:
    match = _LABEL.fullmatch(position.owner_run or "")
    if match is None or match["run"] == own_run_id:
        return None, None
    task = match["task"] if match["index"] is None else f"{match['task']}_{match['index']}"
    return states(match["dag"], match["run"], match["task"]).get(task), match["run"]
