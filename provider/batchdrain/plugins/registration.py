"""What Airflow reads to learn of our pages.

Every component of Airflow loads it, workers too, so what the pages need is imported only when
somebody asks for one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from batchdrain.operators.refused_link import PAGES

_Message = MutableMapping[str, Any]


class Pages:
    """The ASGI application of our pages."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        from batchdrain.plugins.application import application

        await application()(scope, receive, send)


class BatchdrainPlugin(AirflowPlugin):
    """Serves the page of refused records, to which tasks link."""

    name = "batchdrain"
    fastapi_apps = [{"app": Pages(), "url_prefix": PAGES, "name": "batchdrain"}]  # noqa: RUF012
