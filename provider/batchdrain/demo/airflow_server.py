"""A real Airflow for the demo and the tests: its four components, LocalExecutor, PostgreSQL."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from batchdrain.demo import airflow_processes
from batchdrain.demo.account import run_base
from batchdrain.demo.airflow_client import AirflowClient
from batchdrain.demo.airflow_settings import AirflowSettings, Ports, Secrets, environment
from batchdrain.demo.lifeline import Ladder, Lifeline
from batchdrain.errors import SystemicError

USER = "admin"
START_SECONDS = 240.0
"""From nothing to healthy takes 40 s on two cores; more where no bytecode is compiled yet."""
LOOK_SECONDS = 0.25
LADDER: Ladder = (
    ("SIGTERM", airflow_processes.GRACE + airflow_processes.GIVE_UP + 2.0),
    ("SIGKILL", 2.0),
)
LOG_TAIL = 2_000
"""Characters of a component's log that an error shows."""


class AirflowServer:
    """Airflow on 127.0.0.1; it ends when its context, or the process that opened it, ends.

    `settings` say where its databases and queues are and what else is configured. `dags` maps
    file names to the DAG files that it serves. `keep` is a folder in which its home outlives it:
    logs, user and password. `port` is the port of UI and API, a free one when None.
    """

    def __init__(
        self,
        settings: AirflowSettings,
        dags: Mapping[str, Path],
        *,
        keep: Path | None = None,
        port: int | None = None,
    ) -> None:
        self._settings = settings
        self._dags = dags
        self._keep = keep
        self._ports = Ports.free(port)
        self._lifeline: Lifeline | None = None
        self._environment: dict[str, str] = {}
        self._home = Path()
        self._client: AirflowClient | None = None

    @property
    def url(self) -> str:
        """URL of the UI."""
        return self._ports.url

    @property
    def home(self) -> Path:
        """AIRFLOW_HOME: the components' logs, the tasks' logs under `logs`, the DAG files."""
        return self._home

    @property
    def client(self) -> AirflowClient:
        """The REST API, as the user that may do everything."""
        if self._client is None:
            raise SystemicError("Airflow isn't started; enter its context first.")
        return self._client

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of the components, for other commands of the same installation."""
        return self._environment

    def __enter__(self) -> Self:
        try:
            self.launch()
            self.wait_until_healthy()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def launch(self) -> None:
        """Start migration and components, and return at once."""
        if self._keep is not None:
            self._keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        lifeline = Lifeline(
            base=run_base(None),
            prefix="batchdrain-airflow-",
            account=None,
            ladder=LADDER,
            lock=None if self._keep is None else self._keep / "airflow.lock",
            patience=sum(seconds for _, seconds in LADDER),
        )
        self._lifeline = lifeline
        self._home = lifeline.folder if self._keep is None else self._keep
        known = self._secrets()
        self._write_files(known)
        self._client = AirflowClient(self.url, USER, known.password)
        self._environment = environment(self._settings, self._home, self._ports, known)
        command = [sys.executable, "-P", "-m", airflow_processes.__name__, str(self._home)]
        lifeline.start(command, self._environment, self._home / "airflow.log")

    def wait_until_migrated(self) -> None:
        """Return when the metadata database is ready and the components are starting.

        Like the other two that wait, raises SystemicError when Airflow ends or takes too long.
        """
        first = self._home / f"{airflow_processes.COMPONENTS[0]}.log"
        self._wait(first.exists, "its database is not ready")

    def wait_until_healthy(self) -> None:
        """Return when every component reports that it is well."""
        self._wait(lambda: set(self.client.health().values()) == {"healthy"}, "it is not healthy")

    def wait_for_dag(self, dag_id: str) -> None:
        """Return when the DAG processor has read this DAG; a file with an error raises too."""
        self._wait(lambda: self._has_dag(dag_id), f"it hasn't read the DAG {dag_id}")

    def _wait(self, ready: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise SystemicError(
                    f"After {START_SECONDS:.0f} s of Airflow, {problem}; {self._said()}"
                )
            time.sleep(LOOK_SECONDS)

    def _has_dag(self, dag_id: str) -> bool:
        if self.client.dag(dag_id) is not None:
            return True
        if errors := self.client.import_errors():
            raise SystemicError(f"Airflow can't read a DAG file: {errors[0]}")
        return False

    def check(self) -> None:
        """Raise SystemicError when a component has ended."""
        if self._lifeline is not None and self._lifeline.exit_code() is not None:
            raise SystemicError(f"Airflow has stopped: {self._said()}")

    def close(self) -> None:
        """Stop every process of Airflow and return when all are gone."""
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None

    def _secrets(self) -> Secrets:
        file = self._home / "secrets.json"
        if file.exists():
            return Secrets(**json.loads(file.read_text(encoding="utf-8")))
        known = Secrets(
            password=secrets.token_urlsafe(9),
            jwt=secrets.token_hex(64),
            fernet=urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            session=secrets.token_hex(32),
        )
        self._write(file, json.dumps(known.__dict__))
        return known

    def _write_files(self, known: Secrets) -> None:
        self._write(self._home / "passwords.json", json.dumps({USER: known.password}))
        for log in self._home.glob("*.log"):
            log.unlink()
        folder = self._home / "dags"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, source in self._dags.items():
            shutil.copyfile(source, folder / name)

    def _write(self, file: Path, text: str) -> None:
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")

    def _said(self) -> str:
        """Return the end of what the components logged, the reason first."""
        reason = _tail(self._home / "airflow.log", LOG_TAIL)
        for name in ("migration", *airflow_processes.COMPONENTS):
            called = "db migrate" if name == "migration" else name
            if f"{called} ended" in reason:
                return f"{reason}\n{_tail(self._home / f'{name}.log', LOG_TAIL)}"
        return reason


def _tail(log: Path, characters: int) -> str:
    if not log.exists():
        return ""
    return log.read_text(encoding="utf-8", errors="replace")[-characters:].strip()
