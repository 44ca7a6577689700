"""Sends a text to a chat's webhook, by default what a run's summary alerts of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
from airflow.sdk import BaseNotifier, Context

from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.hooks.connection import ConnectionLookup

ALERT_TEXT = """\
{{ dag.dag_id }}, run {{ run_id }}: {{ batchdrain_alerts | default([]) | length }} alerts
{% for alert in batchdrain_alerts | default([]) %}- {{ alert }}
{% endfor %}{{ batchdrain_summary | default('') }}"""
"""What is sent unless told otherwise. SummarizeErrorsOperator gives its notifiers the sentences
`batchdrain_alerts` and the text `batchdrain_summary` beside what Airflow's context has."""

_SECONDS = 10.0


class WebhookNotifier(BaseNotifier):
    """Posts `{"text": …}` to a webhook, as Slack, Mattermost and Google Chat take it.

    `webhook_conn_id` names an Airflow connection: its host is the URL's beginning, its password,
    which no log shows, what follows. `text` is a template. Raises ConfigurationError when the
    webhook refuses the message, TransientError when it can't be reached.
    """

    template_fields: Sequence[str] = ("text",)

    def __init__(self, webhook_conn_id: str, text: str = ALERT_TEXT) -> None:
        super().__init__()
        self.webhook_conn_id = webhook_conn_id
        self.text = text

    def notify(self, context: Context) -> None:
        """Send the text; Airflow has rendered it by now."""
        del context
        url = self._url()
        # In our own words: httpx' show the URL, and the secret in it.
        try:
            answer = httpx.post(url, json={"text": self.text}, timeout=_SECONDS)
        except (httpx.InvalidURL, ValueError):
            raise self._wrong_url() from None
        except httpx.HTTPError as error:
            raise TransientError(
                f"the webhook of connection {self.webhook_conn_id!r} can't be reached: "
                f"{type(error).__name__}"
            ) from None
        if not answer.is_success:
            later = answer.status_code >= 500 or answer.status_code == 429
            raise (TransientError if later else ConfigurationError)(
                f"The webhook of connection {self.webhook_conn_id!r} answered "
                f"{answer.status_code}: check the connection's host and password."
            )

    def _url(self) -> str:
        connection: Any = ConnectionLookup.get_connection(self.webhook_conn_id)
        host = str(connection.host or "")
        if "://" not in host:
            host = f"{connection.schema or 'https'}://{host}"
        if connection.port:
            host = f"{host}:{connection.port}"
        try:
            parts = urlsplit(host)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            usable = False
        if not usable:
            raise self._wrong_url()
        secret = str(connection.password or "").strip()
        return f"{host.rstrip('/')}/{secret.lstrip('/')}" if secret else host

    def _wrong_url(self) -> ConfigurationError:
        return ConfigurationError(
            f"The Airflow connection {self.webhook_conn_id!r} must have the beginning of the "
            "webhook's URL as its host, and what follows as its password."
        )
