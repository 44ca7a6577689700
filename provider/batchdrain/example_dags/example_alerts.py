"""An Airflow DAG that tells a chat when a run crosses a threshold, and when one fails.

The thresholds are the options `alert_…`; the Airflow connection `chat` leads to the chat's webhook.
"""

from __future__ import annotations

from batchdrain.dags.factory import build_drain_dag
from batchdrain.notifications.webhook import WebhookNotifier

dag = build_drain_dag(
    "example_alerts",
    tables=["airports", "airlines", "flights"],
    schedule=None,
    notifiers=[WebhookNotifier("chat")],
    on_failure_callback=WebhookNotifier("chat", text="{{ dag.dag_id }}, run {{ run_id }} failed."),
    tags=["example"],
)
