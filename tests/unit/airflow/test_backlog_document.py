"""The DAG files of docs/how-to/backlog-trigger.md, as Airflow's DAG processor sees them."""

from __future__ import annotations

import re

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from batchdrain.triggers.queue_backlog import QueueBacklogTrigger
from fix_airflow_home import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "backlog-trigger.md"


def test_every_dag_file_of_the_page_can_be_read(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for number, text in enumerate(blocks):
        (tmp_path / f"dag_{number}.py").write_text(text, encoding="utf-8")
    bag = DagBag(tmp_path, bundle_name="page")
    assert not bag.import_errors
    assert sorted(bag.dags) == [
        "drain_many_orders",
        "drain_orders",
        "load_orders",
        "told_of_orders",
    ]
    for dag in bag.dags.values():
        DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))


def test_the_defaults_of_the_page_are_those_of_the_trigger():
    rows = re.findall(r"^\| `(\w+)` \| ([0-9.]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    _, arguments = QueueBacklogTrigger(tables="orders").serialize()
    assert {name: float(value) for name, value in rows} == {
        name: arguments[name] for name in ("threshold", "cooldown", "poll_interval")
    }
