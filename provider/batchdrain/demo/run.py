"""`make demo`: 24,000 messages through the shipped DAG, and a reconciliation of all of it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
from redis import Redis

from batchdrain.demo import traffic
from batchdrain.demo.airflow_client import AirflowClient
from batchdrain.demo.airflow_server import AirflowServer
from batchdrain.demo.display import Display, Phase
from batchdrain.demo.expectation import expected_tables, reconcile
from batchdrain.demo.installation import DAG_ID, Installation, installation
from batchdrain.demo.messages import all_messages
from batchdrain.demo.report import drained, report

Connection = psycopg.Connection[Any]

HOURLY = 3600
"""The schedule's cadence in seconds: the run that counts is the one triggered by hand."""
FIRST_RUN_SECONDS = 5.0
"""How long the schedule's first run, for the latest past slot, may take to appear."""
RUN_SECONDS = 300.0
LOG_LINES = 40
"""How much of a failed task's log is shown."""
WHERE_TO_LOOK = (
    "\nTo look around: `make up` keeps the same installation running, with runs and logs in the UI,"
    "\nrefused records in flights_errors, batches in batchdrain.batch_log.\n"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The numbers of the closing line, and whether they add up."""

    pushed: int
    applied: int
    refused: int
    left: int
    run: str
    seconds: float
    differences: int

    @property
    def adds_up(self) -> bool:
        """Whether everything that was sent is accounted for, and is what it should be."""
        return (
            self.pushed == self.applied + self.refused
            and self.left == 0
            and self.run == "success"
            and self.differences == 0
        )

    def __str__(self) -> str:
        return (
            f"demo: pushed={self.pushed} applied={self.applied} refused={self.refused} "
            f"left={self.left} run={self.run} seconds={self.seconds:.1f}"
        )


def run() -> int:
    """Run the demo from nothing to nothing; returns 0 if everything adds up, else 1."""
    with Display() as display, ExitStack() as opened:
        with display.phase("Start PostgreSQL and Valkey"):
            started = opened.enter_context(installation(every=HOURLY))
        start_airflow(display, started.airflow)
        connection = opened.enter_context(started.connect())
        with display.phase("Warm up with empty queues"):
            first_run(started.airflow.client)
        lines, outcome = _drain(display, started, connection)
        with display.phase("Stop everything"):
            opened.close()
    print(*lines, WHERE_TO_LOOK, outcome, sep="\n")
    return 0 if outcome.adds_up else 1


def start_airflow(display: Display, airflow: AirflowServer) -> None:
    """Start Airflow and return when its DAG can be run."""
    with display.phase("Make Airflow's own database"):
        airflow.launch()
        airflow.wait_until_migrated()
    with display.phase("Start Airflow's components"):
        airflow.wait_until_healthy()
    with display.phase(f"Have the DAG {DAG_ID} read"):
        airflow.wait_for_dag(DAG_ID)


def first_run(client: AirflowClient) -> None:
    """Switch the DAG's schedule on and wait for its first run, for the latest past slot."""
    client.pause(DAG_ID, paused=False)
    deadline = time.monotonic() + FIRST_RUN_SECONDS
    while not (runs := client.runs(DAG_ID)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for known in runs:
        client.wait_for_run(DAG_ID, str(known["dag_run_id"]), RUN_SECONDS)


def _drain(
    display: Display, started: Installation, connection: Connection
) -> tuple[list[str], Outcome]:
    """Push, run the DAG, reconcile; returns the report's lines and the closing line's numbers."""
    messages = all_messages()
    records = {table: sum(m.records for m in sent) for table, sent in messages.items()}
    client = started.airflow.client
    with Redis.from_url(started.valkey.url) as redis:
        with display.phase("Push the messages", sum(records.values())) as pushing:
            pushed = traffic.push(redis, messages, pushing.advance)
        with display.phase(f"Run {DAG_ID}", pushed) as applying:
            begun = time.monotonic()
            run_id = client.trigger(DAG_ID)

            def _look() -> None:
                started.airflow.check()
                _show(applying, connection)

            ended = client.wait_for_run(DAG_ID, run_id, RUN_SECONDS, _look)
            seconds = time.monotonic() - begun
        for other in client.runs(DAG_ID):
            client.wait_for_run(DAG_ID, str(other["dag_run_id"]), RUN_SECONDS)
        left = traffic.left(redis)
    with display.phase("Reconcile with the CSV files"):
        differences = reconcile(connection, expected_tables())
    found = drained(connection)
    lines = [
        "",
        *report(connection, records, found),
        "",
        *_agreement(differences),
        *_failed_tasks(client, run_id),
    ]
    return lines, Outcome(
        pushed=pushed,
        applied=sum(totals.applied for totals in found.values()),
        refused=sum(totals.refused for totals in found.values()),
        left=left,
        run=str(ended["state"]),
        seconds=seconds,
        differences=len(differences),
    )


def _show(phase: Phase, connection: Connection) -> None:
    totals = drained(connection).values()
    refused = sum(table.refused for table in totals)
    phase.reach(sum(table.applied for table in totals) + refused, f"{refused:,} refused")


def _agreement(differences: list[str]) -> list[str]:
    if not differences:
        return ["Every cell and every refusal is as the CSV files say."]
    return ["Not as the CSV files say:", *(f"  {difference}" for difference in differences)]


def _failed_tasks(client: AirflowClient, run_id: str) -> list[str]:
    """Return the ends of the logs of tasks that failed: nothing is kept to look at later."""
    lines: list[str] = []
    for task in client.task_instances(DAG_ID, run_id):
        if task["state"] == "failed":
            log = client.task_log(
                DAG_ID, run_id, task["task_id"], task["map_index"], max(task["try_number"], 1)
            )
            lines += ["", f"Task {task['task_id']} {task['rendered_map_index'] or ''} failed:"]
            lines += [f"  {line}" for line in log.splitlines()[-LOG_LINES:]]
    return lines
