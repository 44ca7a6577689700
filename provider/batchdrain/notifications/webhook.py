"""Sends a text to a chat's webhook, by default what a run's summary alerts of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from airflow.sdk import BaseNotifier, Connection, Context

from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.hooks.connection import ConnectionLookup

ALERT_TEXT = """\
{{ dag.dag_id }}, run {{ run_id }}: {{ batchdrain_alerts | default([]) | length }} alerts
{% for alert in batchdrain_alerts | default([]) %}- {{ alert }}
{% endfor %}{{ batchdrain_summary | default('') }}"""
"""What is sent unless told otherwise. SummarizeErrorsOperator gives its notifiers the sentences
`batchdrain_alerts` and the text `batchdrain_summary` beside what Airflow's context has."""

DEADLINE_TEXT = """\
{{ dag_run.dag_id }}, run {{ dag_run.dag_run_id }}: still {{ dag_run.state }} at \
{{ (deadline.deadline_time | string)[:19] }} UTC, its deadline. A drain may wait for a lock, for a \
slot of its pool or for a server; its log tells."""
"""What a DeadlineAlert may send: of the run it gives `dag_run`, as Airflow's API shows it, and
`deadline`, but neither DAG nor task."""

_SECONDS = 10.0


class WebhookNotifier(BaseNotifier):
    """Posts `{"text": …}` to a webhook, as Slack, Mattermost and Google Chat take it.

    `webhook_conn_id` names an Airflow connection: its host is the URL's beginning, its password,
    which no log shows, what follows. `text` is a template. It works in tasks and callbacks, and in
    the triggerer as an AsyncCallback. Raises ConfigurationError when the webhook refuses the
    message, TransientError when it can't be reached.
    """

    template_fields: Sequence[str] = ("text",)

    def __init__(self, webhook_conn_id: str, text: str = ALERT_TEXT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.webhook_conn_id = webhook_conn_id
        self.text = text

    def notify(self, context: Context) -> None:
        """Send the text; Airflow has rendered it by now."""
        del context
        url = self._url(ConnectionLookup.get_connection(self.webhook_conn_id))
        with self._in_our_words():
            answer = httpx.post(url, json={"text": self.text}, timeout=_SECONDS)
        self._judge(answer)

    async def async_notify(self, context: Context) -> None:
        """Send the text from an event loop; otherwise as `notify`."""
        del context
        url = self._url(await ConnectionLookup.aget_connection(self.webhook_conn_id))
        with self._in_our_words():
            async with httpx.AsyncClient(timeout=_SECONDS) as client:
                answer = await client.post(url, json={"text": self.text})
        self._judge(answer)

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        """Translate httpx' errors: its own words show the URL, and the secret in it."""
        try:
            yield
        except (httpx.InvalidURL, ValueError):
            raise self._wrong_url() from None
        except httpx.HTTPError as error:
            raise TransientError(
                f"the webhook of connection {self.webhook_conn_id!r} can't be reached: "
                f"{type(error).__name__}"
            ) from None

    def _judge(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            later = answer.status_code >= 500 or answer.status_code == 429
            raise (TransientError if later else ConfigurationError)(
                f"The webhook of connection {self.webhook_conn_id!r} answered "
                f"{answer.status_code}: check the connection's host and password."
            )

    def _url(self, connection: Connection) -> str:
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
