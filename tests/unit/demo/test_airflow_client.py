"""The client of Airflow's API, against a server that answers as Airflow does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from batchdrain.demo.airflow_client import AirflowApiError, AirflowClient


class Airflow(BaseHTTPRequestHandler):
    """Accepts the latest token only, knows one run, and forgets the first token at once."""

    tokens = 0

    def do_POST(self) -> None:
        """Log in."""
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).tokens += 1
        self.answer(201, {"access_token": f"token-{self.tokens}"})

    def do_GET(self) -> None:
        """Show the run."""
        if self.headers["Authorization"] != "Bearer token-2":
            self.answer(401, {"detail": "Invalid JWT token"})
        elif self.path == "/api/v2/dags/d/dagRuns/a%2Bb%3A1":
            self.answer(200, {"state": "success"})
        else:
            self.answer(404, {"detail": "no such thing"})

    def answer(self, status: int, body: dict[str, str]) -> None:
        """Send JSON."""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def client() -> Iterator[AirflowClient]:
    """A client of a server that runs for the test."""
    Airflow.tokens = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Airflow) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield AirflowClient(f"http://127.0.0.1:{server.server_port}", "admin", "secret")
        server.shutdown()
        thread.join()


def test_an_expired_token_is_renewed_and_ids_are_quoted(client: AirflowClient) -> None:
    assert client.run("d", "a+b:1") == {"state": "success"}
    assert Airflow.tokens == 2


def test_a_refusal_says_what_was_asked_and_what_was_answered(client: AirflowClient) -> None:
    with pytest.raises(AirflowApiError, match=r"GET .*/dags/d/dagRuns/x answered 404: .*no such"):
        client.run("d", "x")


def test_a_dag_that_is_not_there_yet_is_none(client: AirflowClient) -> None:
    assert client.dag("other") is None


def test_health_is_empty_while_nobody_answers() -> None:
    assert AirflowClient("http://127.0.0.1:9", "admin", "secret").health() == {}
