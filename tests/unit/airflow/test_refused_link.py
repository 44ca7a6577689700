"""The link from a task to the page of its refused records."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.refused_link import RefusedRecordsLink
from batchdrain.operators.summarize_errors import SummarizeErrorsOperator

TASK = SimpleNamespace(dag_id="d.1", run_id="manual__2025-03-07T07:00:00+00:00")


def link(operator) -> str:
    return RefusedRecordsLink().get_link(operator, ti_key=TASK)


def asked(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


@pytest.mark.parametrize("base", ["https://air.example/team", "https://air.example/team/"])
def test_it_leads_to_the_table_and_the_run_below_airflows_base_url(monkeypatch, base):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    url = link(DrainQueueOperator(task_id="t", queue_key="batchdrain:s.orders:3"))
    assert url.startswith("https://air.example/team/batchdrain/dags/d.1/refused?")
    assert asked(url) == {
        "table": ["s.orders"],
        "run": [TASK.run_id],
        "connection": ["postgres_default"],
    }


def test_without_a_base_url_it_is_relative(monkeypatch):
    monkeypatch.delenv("AIRFLOW__API__BASE_URL", raising=False)
    operator = DrainQueueOperator(task_id="t", queue_key="x:a", prefix="x", table="b")
    assert link(operator).startswith("/batchdrain/dags/d.1/refused?table=b&")


def test_a_summary_leads_to_the_tables_of_its_run():
    url = link(SummarizeErrorsOperator(task_id="t", postgres_conn_id="shop"))
    assert asked(url) == {"run": [TASK.run_id], "connection": ["shop"]}


@pytest.mark.parametrize("key", ["no key", "batchdrain:a:b:c"])
def test_a_task_that_failed_for_its_key_has_a_link_all_the_same(key):
    assert "table" not in asked(link(DrainQueueOperator(task_id="t", queue_key=key)))
