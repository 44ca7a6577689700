"""An Airflow DAG that tells a chat when a run is not over ten minutes after it was queued.

The triggerer sends it, so that it comes even where every slot of the workers is taken.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import (  # type: ignore[attr-defined]  # its stub lacks them
    AsyncCallback,
    DeadlineAlert,
    DeadlineReference,
)

from batchdrain.dags.factory import build_drain_dag
from batchdrain.notifications.webhook import DEADLINE_TEXT, WebhookNotifier

dag = build_drain_dag(
    "example_deadline",
    tables=["airports", "airlines", "flights"],
    schedule=None,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=10),
        callback=AsyncCallback(
            WebhookNotifier, kwargs={"webhook_conn_id": "chat", "text": DEADLINE_TEXT}
        ),
    ),
    tags=["example"],
)
