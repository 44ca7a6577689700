"""An Airflow DAG that drains when messages wait, and looks for leftovers every ten minutes."""

from __future__ import annotations

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

from batchdrain.dags.factory import build_drain_dag
from batchdrain.triggers.queue_backlog import QueueBacklogTrigger

TABLES = ["airports", "airlines", "flights"]

backlog = Asset(
    "example_backlog",
    watchers=[
        AssetWatcher(
            name="example_backlog",
            trigger=QueueBacklogTrigger(tables=TABLES, threshold=100, cooldown=30),
        )
    ],
)

dag = build_drain_dag(
    "example_drain_on_backlog",
    tables=TABLES,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/10 * * * *", timezone="UTC"), assets=[backlog]
    ),
    max_active_runs=1,
    tags=["example"],
)
