"""The link from a task to the refused records of its table."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperator, BaseOperatorLink

from batchdrain import configuration as options
from batchdrain.errors import ConfigurationError
from batchdrain.queues.keys import QueueKey

PAGES = "/batchdrain"
"""Where our pages are, below Airflow's base URL."""


class RefusedRecordsLink(BaseOperatorLink):
    """Leads to the page of refused records, narrowed to the task's run and, if it has one, table.

    Airflow stores it when the task ends; a task that is killed with SIGKILL has none until its
    retry has ended.
    """

    name = "Refused records"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the URL; Airflow calls this in the worker, when the task is over."""
        # A relative one where no base URL is configured: the browser knows it.
        from airflow.sdk import conf

        base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
        chosen = {
            "table": table_of(operator),
            "run": ti_key.run_id,
            "connection": _connection_of(operator),
        }
        query = urlencode({name: value for name, value in chosen.items() if value})
        return f"{base}{PAGES}/dags/{quote(ti_key.dag_id)}/refused?{query}"


def table_of(operator: Any) -> str | None:
    """Return the table that an operator drains, None where it is none, or several, or unknown."""
    table, queue_key = (getattr(operator, name, None) for name in ("table", "queue_key"))
    if table or not queue_key:
        return table or None
    try:
        return QueueKey.parse(queue_key, options.PREFIX.read(operator.prefix)).table_name
    except ConfigurationError:
        return None


def _connection_of(operator: Any) -> str | None:
    try:
        return options.POSTGRES_CONN_ID.read(operator.postgres_conn_id)
    except ConfigurationError:
        return None
