"""How a run is named where an operator looks."""

from __future__ import annotations

import pytest

from batchdrain.engine.run import Run

SCHEDULED = "scheduled__2013-01-01T07:00:00+00:00"


def test_the_application_name_names_dag_run_and_queue() -> None:
    assert (
        Run("drain", "manual__1").application_name("batchdrain:t") == "drain manual__1 batchdrain:t"
    )


@pytest.mark.parametrize("queue", ["batchdrain:flights", "batchdrain:" + "x" * 80])
@pytest.mark.parametrize("dag", ["drain_tables", "d" * 200, "é" * 50])
def test_the_application_name_fits_and_keeps_what_tells_runs_apart(dag: str, queue: str) -> None:
    """63 bytes; a DAG keeps its head, run and queue their tails."""
    name = Run(dag, SCHEDULED).application_name(queue)
    assert len(name.encode()) <= 63
    head, run, key = name.split(" ")
    assert dag.replace("é", "?").startswith(head)
    assert SCHEDULED.endswith(run)
    assert len(run) >= 12
    assert queue.endswith(key)
    assert len(key) >= 12


def test_a_drain_outside_airflow_is_named_by_its_queue() -> None:
    assert Run().application_name("batchdrain:t") == "batchdrain:t"


def test_the_label_names_the_try() -> None:
    assert Run("d", "r", "drain", 2, 7).label == "d r drain[7] try 2"
