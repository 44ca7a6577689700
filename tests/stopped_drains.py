"""One run of five drains on a real Airflow, each stopped in another way, and the run after it.

Their tables are slow as long as `pace` says so, so that each drain is met in its middle; then the
table is let go, and what follows ends soon.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from psycopg.sql import SQL, Identifier
from redis import Redis

from batchdrain.demo.airflow_client import AirflowApiError
from fix_airflow import RunningAirflow
from fix_airflow_home import REPOSITORY

Target = psycopg.Connection[Any]

DAG_ID = "drain_stopped"
FOLLOWERS = ("after_orders", "after_any")
"""DAGs that are scheduled on the table `terminated` (the one that the documents show), and on the
alias of all tables."""
TABLES = ("limited", "terminated", "killed", "marked_failed", "timed_out")
"""The tables, named like the tasks that drain them; there are more of them than slots."""
RECORDS = 600
VALUE = "a value for no log"
PATIENCE = 120.0

_DAGS = """
from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetAlias

from batchdrain.operators.drain_queue import DrainQueueOperator

LIMITS = {{
    "limited": {{"max_seconds": 2, "priority_weight": 2}},
    "timed_out": {{"execution_timeout": timedelta(seconds=6)}},
}}
with DAG("drain_stopped", schedule=None):
    for table in {tables}:
        DrainQueueOperator(
            task_id=table,
            queue_key=f"batchdrain:{{table}}",
            batch_size=10,
            **LIMITS.get(table, {{}}),
        )

with DAG("after_any", schedule=[AssetAlias("batchdrain")]):
    EmptyOperator(task_id="nothing")
"""
_DOCUMENT = REPOSITORY / "docs" / "how-to" / "retries-and-logs.md"
_SHOWN_ASSET = "postgres://db:5432/shop/public/orders"

_SLOW = """
CREATE TABLE pace ("table" text PRIMARY KEY, seconds float8 NOT NULL);
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(seconds) FROM pace WHERE "table" = TG_TABLE_NAME AND seconds > 0;
    RETURN NEW;
END $$"""

_TABLE = """
CREATE TABLE {table} (id integer PRIMARY KEY, name text NOT NULL);
CREATE TRIGGER slowly BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION slowly();
INSERT INTO pace VALUES ({name}, 0.03)"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a task's log; `ours` tells that the drain's own logger wrote it.

    `whole` is all that Airflow keeps of it, stack traces included.
    """

    text: str
    whole: str
    moment: datetime | None
    ours: bool


class StoppedDrains:
    """The scenario: `stop_all` plays it, what the tests ask is read afterwards.

    `run` counts the runs from 0; only the first is disturbed.
    """

    def __init__(self, airflow: RunningAirflow, target: Target) -> None:
        self._airflow = airflow
        self._target = target
        self.runs: list[str] = []
        self.terminated_at = datetime.min.replace(tzinfo=UTC)

    def stop_all(self) -> None:
        """Run the drains, stop each in its way, and let them run again until all is drained."""
        self._create()
        self._airflow.add_dag("after_orders", self._documented())
        self._airflow.add_dag(DAG_ID, _DAGS.format(tables=TABLES))
        self._airflow.server.wait_for_dag("after_any")
        self._start()
        for table, stop in (
            ("terminated", self._terminate),
            ("killed", self._kill),
            ("marked_failed", self._mark_failed),
        ):
            self._wait(partial(self.committed, table), f"{table} commits")
            stop(table)
        for table, said in (
            ("terminated", "stopped from outside"),
            ("marked_failed", "stopped from outside"),
            ("timed_out", "execution_timeout"),
        ):
            self._wait(partial(self._has_ended, table, said), f"{table}: {said}")
        self._target.execute("UPDATE pace SET seconds = 0")
        self._airflow.client.wait_for_run(DAG_ID, self.runs[0], PATIENCE)
        while any(self.committed(table) < RECORDS for table in TABLES):
            assert len(self.runs) < 9, "in vain: all are drained"
            self._start()
            self._airflow.client.wait_for_run(DAG_ID, self.runs[-1], PATIENCE)

    def task(self, table: str, run: int = 0) -> dict[str, Any]:
        """Return a task instance as the API shows it."""
        found = self._airflow.client.task_instances(DAG_ID, self.runs[run])
        return next(each for each in found if each["task_id"] == table)

    def log(self, table: str, attempt: int = 1, run: int = 0) -> list[Line]:
        """Return the log of a try, empty before Airflow knows of it."""
        path = f"taskInstances/{table}/logs/{attempt}?full_content=true&map_index=-1"
        try:
            answer = self._airflow.client.request("GET", f"{self._path(run)}/{path}")
        except AirflowApiError as error:
            if error.status == 404:
                return []
            raise
        return [_line(event) for event in answer["content"]]

    def last_line(self, table: str, attempt: int = 1, run: int = 0) -> Line:
        """Return the last line of a try that our logger wrote, an empty one before there is any."""
        ours = [line for line in self.log(table, attempt, run) if line.ours]
        return ours[-1] if ours else Line("", "", None, True)

    def link(self, table: str, run: int = 0) -> str | None:
        """Return the task's link to its refused records."""
        answer = self._airflow.client.request(
            "GET", f"{self._path(run)}/taskInstances/{table}/links"
        )
        link: str | None = answer["extra_links"]["Refused records"]
        return link

    def events(self, table: str) -> list[dict[str, Any]]:
        """Return what DAGs that are scheduled on the table are told, the oldest first."""
        answer = self._airflow.asset_events(source_dag_id=DAG_ID, source_task_id=table)
        return sorted(answer["asset_events"], key=lambda event: str(event["timestamp"]))

    def committed(self, table: str, attempt: int | None = None, run: int | None = None) -> int:
        """Return how many records of a table were committed, by all tries and runs or by one."""
        query = (
            "SELECT coalesce(sum(applied), 0) FROM batchdrain.batch_log "
            "WHERE queue = %(queue)s AND try_number = coalesce(%(attempt)s, try_number) "
            "AND run_id = coalesce(%(run_id)s, run_id)"
        )
        known = self._target.execute("SELECT to_regclass('batchdrain.batch_log')").fetchone()
        if known == (None,):
            return 0
        values = {
            "queue": f"batchdrain:{table}",
            "attempt": attempt,
            "run_id": None if run is None else self.runs[run],
        }
        return int((self._target.execute(query, values).fetchone() or (0,))[0])

    def follower_runs(self, follower: str) -> list[dict[str, Any]]:
        """Return the runs of one of FOLLOWERS."""
        return self._airflow.client.runs(follower)

    def follower_log(self) -> str:
        """Return the log of the documents' DAG, once its one run has ended."""
        (run,) = self.follower_runs("after_orders")
        run_id = run["dag_run_id"]
        self._airflow.client.wait_for_run("after_orders", run_id, PATIENCE)
        return self._airflow.client.task_log("after_orders", run_id, "look")

    def _create(self) -> None:
        self._target.execute(_SLOW)
        for table in TABLES:
            statement = SQL(_TABLE).format(table=Identifier(table), name=table)
            self._target.execute(statement)
        with Redis.from_url(self._airflow.redis_url) as redis, redis.pipeline() as pipeline:
            for table in TABLES:
                for number in range(RECORDS):
                    record = {"id": number, "name": VALUE}
                    message = {"operation": "INSERT", "record": record}
                    pipeline.xadd(f"batchdrain:{table}", {"data": json.dumps(message)})
            pipeline.execute()

    def _documented(self) -> str:
        """Return the documents' DAG, scheduled on the table `terminated`."""
        where = urlsplit(self._airflow.target_url)
        asset = f"postgres://{where.hostname}:{where.port}{where.path}/public/terminated"
        (text,) = re.findall(r"```python\n(.*?)```", _DOCUMENT.read_text("utf-8"), re.DOTALL)
        assert _SHOWN_ASSET in text
        return str(text).replace(_SHOWN_ASSET, asset)

    def _start(self) -> None:
        self.runs.append(self._airflow.client.trigger(DAG_ID))

    def _path(self, run: int) -> str:
        return f"/dags/{DAG_ID}/dagRuns/{quote(self.runs[run], safe='')}"

    def _terminate(self, table: str) -> None:
        self.terminated_at = datetime.now(UTC)
        os.kill(self.task(table)["pid"], signal.SIGTERM)

    def _kill(self, table: str) -> None:
        os.kill(self.task(table)["pid"], signal.SIGKILL)

    def _mark_failed(self, table: str) -> None:
        path = f"{self._path(0)}/taskInstances/{table}"
        self._airflow.client.request("PATCH", path, {"new_state": "failed"})

    def _has_ended(self, table: str, said: str) -> bool:
        return said in self.last_line(table).text

    def _wait(self, ready: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline, f"in vain: {what}"
            time.sleep(0.2)


def _line(event: dict[str, Any]) -> Line:
    moment = event.get("timestamp")
    return Line(
        str(event["event"]),
        json.dumps(event),
        None if moment is None else datetime.fromisoformat(moment),
        "batchdrain.operators" in str(event.get("logger")),
    )
