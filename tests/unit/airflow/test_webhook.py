"""The webhook notifier where the triggerer calls it: in an event loop, with the run at a glance."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import AsyncCallback, SyncCallback  # type: ignore[attr-defined]

from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.notifications.webhook import DEADLINE_TEXT, WebhookNotifier
from webhook_server import SECRET, chat, webhook

MISSED = {
    "dag_run": {"dag_id": "drain_tables", "dag_run_id": "manual__1", "state": "running"},
    "deadline": {"id": "7", "deadline_time": datetime(2026, 3, 2, 7, 10, 0, 123, tzinfo=UTC)},
}


async def notified(text: str) -> None:
    """Do what Airflow's CallbackTrigger does with a class that takes a context."""
    await WebhookNotifier(webhook_conn_id="chat", text=text, context=dict(MISSED))


def test_it_is_a_callback_of_both_kinds():
    for callback in (AsyncCallback(WebhookNotifier), SyncCallback(WebhookNotifier)):
        assert callback.path == "batchdrain.notifications.webhook.WebhookNotifier"


@pytest.mark.parametrize("moment", [datetime(2026, 3, 2, 7, 10, 0, 9, UTC), "2026-03-02 07:10:00Z"])
def test_a_missed_deadline_is_told_from_an_event_loop(monkeypatch, moment):
    """Airflow gives the run as its API shows it, and the time as such or as a text."""
    monkeypatch.setitem(MISSED["deadline"], "deadline_time", moment)
    with webhook() as (port, posted):
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(port))
        asyncio.run(notified(DEADLINE_TEXT))
    ((path, body),) = posted
    assert path == f"/{SECRET}"
    told = "drain_tables, run manual__1: still running at 2026-03-02 07:10:00 UTC, its deadline."
    assert body["text"].startswith(told)


def test_a_missed_deadline_is_told_by_a_worker_too(monkeypatch):
    """A SyncCallback makes the notifier with the context, and calls it with the context."""
    with webhook() as (port, posted):
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(port))
        notifier = WebhookNotifier(webhook_conn_id="chat", text=DEADLINE_TEXT, context=MISSED)
        notifier(dict(MISSED))
    assert posted[0][1]["text"].startswith("drain_tables, run manual__1: still running")


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (403, ConfigurationError, "answered 403: check"),
        (503, TransientError, "answered 503"),
    ],
)
def test_a_refusal_shows_no_secret_in_an_event_loop_either(monkeypatch, status, error, sentence):
    with webhook(status) as (port, _):
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(port))
        with pytest.raises(error, match=sentence) as raised:
            asyncio.run(notified("x"))
    assert SECRET not in told(raised.value)
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", chat(1))
    with pytest.raises(TransientError, match="can't be reached: ConnectError") as raised:
        asyncio.run(notified("x"))
    assert SECRET not in told(raised.value)


def told(error: BaseException) -> str:
    """Return all that a traceback would show of an error, and of what it came from."""
    causes: list[Any] = [error]
    while causes[-1] is not None and not causes[-1].__suppress_context__:
        causes.append(causes[-1].__context__)
    return " ".join(map(str, causes))


def test_a_connection_that_is_missing_is_named_in_an_event_loop(airflow_home, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_CHAT", raising=False)
    with pytest.raises(ConfigurationError, match="connection 'chat' does not exist: add it under"):
        asyncio.run(notified("x"))
