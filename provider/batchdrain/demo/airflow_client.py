"""The few calls of Airflow's REST API that the demo and the tests need."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

ENDED = frozenset({"success", "failed"})
"""The states in which a DAG run has ended."""
TIMEOUT = 120.0
"""Seconds that one request may take: an API server that has just started works for 9 s on the first
task, answers nobody meanwhile, and may have to share its processors."""

_open = build_opener(ProxyHandler({})).open

Json = dict[str, Any]


class AirflowApiError(Exception):
    """The API answered with an error; `status` is the HTTP status, the message what it said."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AirflowClient:
    """A user of the REST API: logs in with a password, as the login page does.

    Methods raise AirflowApiError when the API refuses, URLError when it can't be reached, and
    those that wait raise TimeoutError.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self.user = user
        self.password = password
        self._token: str | None = None

    def health(self) -> dict[str, str]:
        """Return the state of each component, `healthy` if all is well; empty while unreachable."""
        try:
            answer = json.loads(self._send("GET", "/api/v2/monitor/health", None))
        except (URLError, ConnectionError, TimeoutError, AirflowApiError):
            return {}
        return {name: str(component["status"]) for name, component in answer.items()}

    def dag(self, dag_id: str) -> Json | None:
        """Return a DAG, None while the DAG processor hasn't read it."""
        try:
            return self.request("GET", f"/dags/{quote(dag_id)}")
        except AirflowApiError as error:
            if error.status == 404:
                return None
            raise

    def import_errors(self) -> list[str]:
        """Return the stack traces of DAG files that could not be read."""
        errors = self.request("GET", "/importErrors")["import_errors"]
        return [str(error["stack_trace"]) for error in errors]

    def pause(self, dag_id: str, paused: bool) -> None:
        """Switch a DAG's schedule off or on."""
        self.request("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": paused})

    def trigger(self, dag_id: str, params: Json | None = None) -> str:
        """Start a run as the trigger form does; returns the run's id."""
        body = {"logical_date": None, "conf": params or {}}
        return str(self.request("POST", f"/dags/{quote(dag_id)}/dagRuns", body)["dag_run_id"])

    def runs(self, dag_id: str) -> list[Json]:
        """Return a DAG's latest runs, the newest first."""
        path = f"/dags/{quote(dag_id)}/dagRuns?order_by=-run_after&limit=100"
        runs: list[Json] = self.request("GET", path)["dag_runs"]
        return runs

    def run(self, dag_id: str, run_id: str) -> Json:
        """Return one run."""
        return self.request("GET", self._run_path(dag_id, run_id))

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        timeout: float = 300.0,
        on_look: Callable[[], None] = lambda: None,
        interval: float = 0.5,
    ) -> Json:
        """Wait until a run has ended and return it; `on_look` is called at each look."""
        deadline = time.monotonic() + timeout
        while True:
            run = self.run(dag_id, run_id)
            on_look()
            if run["state"] in ENDED:
                return run
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"Run {run_id} of {dag_id} is still {run['state']} after {timeout:.0f} s."
                )
            time.sleep(interval)

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """Return a run's task instances, mapped ones each on its own."""
        path = f"{self._run_path(dag_id, run_id)}/taskInstances?limit=100"
        instances: list[Json] = self.request("GET", path)["task_instances"]
        return instances

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run `success` or `failed`, as the UI does."""
        self.request("PATCH", self._run_path(dag_id, run_id), {"state": state})

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, attempt: int = 1
    ) -> str:
        """Return a task's log as text, one event a line."""
        path = (
            f"{self._run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{attempt}"
            f"?full_content=true&map_index={map_index}"
        )
        content = self.request("GET", path)["content"]
        return "\n".join(
            str(event["event"]) if isinstance(event, dict) else str(event) for event in content
        )

    def request(self, method: str, path: str, body: Json | None = None) -> Json:
        """Call the API below `/api/v2` and return the JSON object that it answers with."""
        if self._token is None:
            self._token = self._log_in()
        try:
            answer = self._send(method, f"/api/v2{path}", body, self._token)
        except AirflowApiError as error:
            if error.status != 401:
                raise
            self._token = self._log_in()
            answer = self._send(method, f"/api/v2{path}", body, self._token)
        content: Json = json.loads(answer) if answer else {}
        return content

    def _log_in(self) -> str:
        credentials = {"username": self.user, "password": self.password}
        answer = json.loads(self._send("POST", "/auth/token", credentials))
        return str(answer["access_token"])

    def _run_path(self, dag_id: str, run_id: str) -> str:
        return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"

    def _send(self, method: str, path: str, body: Json | None, token: str | None = None) -> bytes:
        request = Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with _open(request, timeout=TIMEOUT) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            message = f"{method} {path} answered {error.code}: {said[:500]}"
            raise AirflowApiError(error.code, message) from None
