"""The page of refused records on a real Airflow: who sees it, and what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import quote

import httpx
import psycopg
import pytest
from redis import Redis

from batchdrain.demo.airflow_client import AirflowClient
from fix_airflow import RunningAirflow

DAG_ID = "drain_refused"
_DAGS = """
from batchdrain.dags.factory import build_drain_dag
from batchdrain.dags.redrive import build_redrive_dag

drain = build_drain_dag("drain_refused", schedule=None, tables="things")  # an Airflow DAG
redrive = build_redrive_dag("redrive_errors", tables="things")
"""
MARKUP = "<script>alert('4711')</script>"


@dataclass(frozen=True, slots=True)
class Site:
    """Airflow's pages, and the links of the run's tasks."""

    admin: AirflowClient
    viewer: AirflowClient
    links: dict[str, str]

    def get(self, url: str, user: AirflowClient | None) -> httpx.Response:
        """Open a URL, or a path below Airflow's, as the browser of a user does."""
        cookies = None if user is None else {"_token": user._log_in()}
        whole = url if url.startswith("http") else f"{self.admin.url}{url}"
        return httpx.get(whole, cookies=cookies, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def site(airflow: RunningAirflow) -> Iterator[Site]:
    """A run that had two records refused, one of them with markup in it."""
    with (
        psycopg.connect(airflow.target_url, autocommit=True) as target,
        Redis.from_url(airflow.redis_url) as redis,
    ):
        target.execute("DROP SCHEMA IF EXISTS batchdrain CASCADE; DROP SCHEMA public CASCADE")
        target.execute("CREATE SCHEMA public")
        target.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")
        for record in (
            {"id": 1, "name": None},
            {"id": "x", "name": MARKUP},
            {"id": 2, "name": "n"},
        ):
            message = {"operation": "INSERT", "record": record}
            redis.xadd("batchdrain:things", {"data": json.dumps(message)})
        airflow.add_dag(DAG_ID, _DAGS)
        airflow.server.wait_for_dag("redrive_errors")
        client = airflow.client
        run_id = client.trigger(DAG_ID)
        assert client.wait_for_run(DAG_ID, run_id, 120)["state"] == "success"
        links = {}
        for task, index in (("drain", 0), ("summarize_errors", -1)):
            path = f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task}/links"
            answer = client.request("GET", f"{path}?map_index={index}")
            links[task] = answer["extra_links"]["Refused records"]
        yield Site(client, airflow.viewer(), links)
        redis.flushdb()


def test_the_links_of_drain_and_summary_lead_to_their_refused_records(site):
    listed = site.get(site.links["drain"], site.viewer)
    assert listed.status_code == 200
    assert "not_null_violation" in listed.text
    assert "invalid_text_representation" in listed.text
    tables = site.get(site.links["summarize_errors"], site.viewer)
    assert ">things</a>" in tables.text


def test_the_page_leads_to_the_dag_that_applies_them_again(site):
    shown = site.get(site.links["drain"] + "&error_type=not_null_violation", site.viewer).text
    assert "../../../dags/redrive_errors" in shown
    form = json.loads(unescape(shown.split("<pre>")[1].split("</pre>")[0]))
    assert (form["action"], form["table"]) == ("inspect", "things")
    assert (form["error_types"], form["ids"]) == (["not_null_violation"], [1])
    run_id = site.admin.trigger("redrive_errors", form)
    assert site.admin.wait_for_run("redrive_errors", run_id, 120)["state"] == "success"
    assert "inspect things: 1 found" in site.admin.task_log("redrive_errors", run_id, "redrive")


def test_of_a_run_that_refused_nothing_no_replay_is_offered(site):
    """Without a run to narrow it down to, the form chooses the rows of all runs."""
    path = f"/batchdrain/dags/{DAG_ID}/refused?table=things"
    assert "<pre>" in site.get(path, site.viewer).text
    other = site.get(f"{path}&run=another", site.viewer).text
    assert "<pre>" not in other
    assert "No row of this run is left" in other


@pytest.mark.parametrize("path", ["", "/row?table=things&id=1", "?table=things"])
def test_without_a_login_there_is_nothing(site, path):
    answer = site.get(f"/batchdrain/dags/{DAG_ID}/refused{path}", None)
    assert answer.status_code == 401
    assert "not_null" not in answer.text
    for place in ("/batchdrain/docs", "/batchdrain/openapi.json", "/batchdrain/"):
        assert site.get(place, None).status_code == 404


def test_values_are_for_those_who_may_trigger_the_dag(site):
    """A viewer sees of a record what the logs tell, too."""
    listed = site.get(site.links["drain"], site.admin).text
    assert "4711" not in listed
    row = f"/batchdrain/dags/{DAG_ID}/refused/row?table=things&id=2"
    assert site.get(row, site.viewer).status_code == 403
    shown = site.get(row, site.admin)
    assert shown.status_code == 200
    assert "4711" in shown.text
    assert "<script" not in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert shown.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{DAG_ID}/refused?table=things_errors", 404, "does not drain the table"),
        (f"{DAG_ID}/refused?connection=redis_default", 404, "drains nothing by the connection"),
        ("drain_tables/refused?table=things", 404, "does not drain the table"),
        ("no_dag/refused", 404, "no such page"),
        (f"{DAG_ID}/refused?table=things&page=x", 422, "can&#x27;t be right"),
        (f"{DAG_ID}/refused?table=things&run=%00", 422, "can&#x27;t be right"),
        (f"{DAG_ID}/refused/row?table=things&id=99", 404, "no such page"),
        (f"{DAG_ID}/refused/row?table=things&id=1%20or%201=1", 422, "can&#x27;t be right"),
    ],
)
def test_a_dag_shows_its_own_tables_alone_and_a_wrong_address_is_told(site, path, status, said):
    answer = site.get(f"/batchdrain/dags/{path}", site.admin)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
