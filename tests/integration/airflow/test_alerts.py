"""The summary alerts: by notifiers, or by failing."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from batchdrain.notifications.webhook import WebhookNotifier
from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.summarize_errors import SummarizeErrorsOperator
from fix_drain_dag import insert, push
from fix_task_context import TaskStandIn, drain_context
from webhook_server import SECRET, chat, webhook

KEY = "batchdrain:things"


@pytest.fixture(autouse=True)
def drained(airflow_connections: None, connection: psycopg.Connection[Any], redis_client) -> None:
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")
    push(redis_client, KEY, *(insert(id=n, name="n" if n else None) for n in range(4)))
    DrainQueueOperator(task_id="drain", queue_key=KEY).execute(drain_context())
    push(redis_client, KEY, insert(id=9, name="n"), insert(id=10, name="n"))


def summarize(*notifiers: BaseNotifier, **context: Any) -> dict[str, Any]:
    operator = SummarizeErrorsOperator(task_id="s", tables="things", notifiers=notifiers)
    given = drain_context()
    given.update(context)
    return operator.execute(given)


def test_without_thresholds_nothing_alerts():
    assert summarize()["alerts"] == []


def test_without_notifiers_the_task_fails_and_its_figures_are_kept(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_REFUSED_SHARE", "0.2")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_BACKLOG", "1")
    kept = TaskStandIn()
    sentences = (
        r"1 of 4 records were refused \(25.0%\), more than 20.0%; "
        f"{KEY}: 2 messages wait, more than 1"
    )
    with pytest.raises(AirflowFailException, match=sentences):
        summarize(ti=kept)
    assert len(kept.pushed["return_value"]["alerts"]) == 2


def test_notifiers_get_the_figures_and_the_task_succeeds(monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_REFUSED_SHARE", "0.2")
    with webhook() as (port, posted):
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(port))
        text = "{{ batchdrain_alerts | join(', ') }}; {{ batchdrain_summary }}"
        assert len(summarize(WebhookNotifier("chat", text))["alerts"]) == 1
    ((path, body),) = posted
    assert path == f"/{SECRET}"
    assert body == {
        "text": "1 of 4 records were refused (25.0%), more than 20.0%; this run: 3 applied, "
        "1 refused, 0 lost, in 1 batches of 1 queues"
    }
    assert SECRET not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (301, AirflowFailException, "answered 301: check"),
        (403, AirflowFailException, "answered 403: check"),
        (503, AirflowException, "answered 503"),
    ],
)
def test_an_alert_that_is_not_taken_fails_the_task_and_shows_no_secret(
    monkeypatch, capsys, status, error, sentence
):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_REFUSED_SHARE", "0.2")
    with webhook(status) as (port, _):
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(port))
        with pytest.raises(error, match=sentence) as raised:
            summarize(WebhookNotifier("chat", "x"))
    assert type(raised.value) is error
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(1))
    with pytest.raises(AirflowException, match="can't be reached: ConnectError"):
        summarize(WebhookNotifier("chat", "x"))
    out = capsys.readouterr()
    assert SECRET not in out.out + out.err


class Broken(BaseNotifier):
    """Somebody's own notifier, with a defect."""

    def notify(self, context: Any) -> None:
        raise ValueError(f"https://chat.example/{SECRET}")


def test_a_notifier_that_fails_keeps_no_other_from_being_called(monkeypatch, capsys):
    """The first failure is raised; what is not ours is told by its class alone."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_REFUSED_SHARE", "0.2")
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", chat(1))
    with webhook() as (port, posted):
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(port))
        away, good = WebhookNotifier("away", "x"), WebhookNotifier("chat", "x")
        with pytest.raises(AirflowException, match="can't be reached"):
            summarize(away, Broken(), good)
        told = [line for line in capsys.readouterr().out.splitlines() if " has failed: " in line]
        with pytest.raises(ValueError, match="https"):
            summarize(Broken(), away, good)
    assert len(posted) == 2
    assert len(told) == 2
    assert "WebhookNotifier has failed: the webhook of connection 'away' can't be" in told[0]
    assert "Broken has failed: ValueError " in told[1]
    assert SECRET not in told[1]


@pytest.mark.parametrize("host", ["", "http://127.0.0.1:abc", "http://[x", "ftp://x"])
def test_a_host_that_is_no_url_is_named(monkeypatch, host):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_REFUSED_SHARE", "0.2")
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "http", "host": host}))
    with pytest.raises(AirflowFailException, match="'chat' must have the beginning"):
        summarize(WebhookNotifier("chat", "x"))


def test_the_figures_are_written_even_where_redis_is_away(monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_BACKLOG", "1")
    monkeypatch.setenv("AIRFLOW_CONN_REDIS_DEFAULT", "redis://127.0.0.1:1")
    with pytest.raises(AirflowException):
        summarize()
    assert "this run: 3 applied" in capsys.readouterr().out


def test_a_queue_on_hold_is_not_waited_for(monkeypatch, connection):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_BACKLOG", "1")
    connection.execute("UPDATE batchdrain.position SET held = true")
    assert summarize()["alerts"] == []
