"""A chat's webhook for tests: a server that keeps what is posted to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

SECRET = "T4711/hook"
"""The part of the webhook's URL that no log may show."""


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    """Serve a webhook that answers with `status`; give its port, and paths with bodies."""
    posted: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, json.loads(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, posted
        finally:
            server.shutdown()
            thread.join()


def chat(port: int) -> str:
    """Return the Airflow connection to the webhook, as an environment variable has it."""
    host = "http://127.0.0.1"
    return json.dumps({"conn_type": "http", "host": host, "port": port, "password": SECRET})
