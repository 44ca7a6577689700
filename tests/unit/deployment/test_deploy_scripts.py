"""The scripts that docker-compose.yaml runs, and the one that makes its secrets."""

from __future__ import annotations

import http.server
import json
import re
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

import compose_file
from compose_file import EXAMPLE, REPOSITORY, read_environment

DEPLOY = REPOSITORY / "deploy"
STATES = {"metadatabase": {"status": "healthy"}, "triggerer": {"status": None}}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what `make secrets` needs of a clone."""
    shutil.copy(EXAMPLE, tmp_path)
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    return tmp_path


def make_secrets(clone: Path) -> dict[str, str]:
    """Run the script, from elsewhere, and return what is in .env then."""
    script = clone / "deploy/make_secrets.sh"
    subprocess.run(["sh", str(script)], cwd="/", check=True, capture_output=True)
    return read_environment(clone / ".env")


def test_every_secret_gets_a_value_of_its_own(clone: Path) -> None:
    """Long, random, for the owner's eyes only; settings keep their defaults."""
    made = make_secrets(clone)
    example = read_environment(EXAMPLE)
    secrets = {name: made[name] for name, value in example.items() if not value}
    assert {**made, **dict.fromkeys(secrets, "")} == example
    assert len(set(secrets.values())) == len(secrets)
    Fernet(secrets.pop("AIRFLOW_FERNET_KEY"))
    assert all(len(value) == 64 and value.isalnum() for value in secrets.values())
    assert (clone / ".env").stat().st_mode & 0o777 == 0o600
    assert not (clone / ".env.new").exists()


def test_a_second_run_keeps_what_is_there_and_adds_what_is_new(clone: Path) -> None:
    """Secrets that servers already know must not change; an update may bring another one."""
    before = make_secrets(clone)
    assert make_secrets(clone) == before
    with (clone / ".env").open("a") as file:
        file.write("MINE=1\nTARGET_PASSWORD_2=")
    with (clone / ".env.example").open("a") as file:
        file.write("NEW_SETTING=5\nNEW_PASSWORD=\n")
    after = make_secrets(clone)
    assert after.pop("NEW_SETTING") == "5"
    assert len(after.pop("NEW_PASSWORD")) == 64
    assert after == {**before, "MINE": "1", "TARGET_PASSWORD_2": ""}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with all secrets that airflow_init.py wants."""
    names = runpy.run_path(str(DEPLOY / "airflow_init.py"))["VARIABLES"]
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("abc123")
    return folder


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("queues_password", None, "QUEUES_PASSWORD has no value in .env; run make secrets."),
        ("airflow_fernet_key", "\n", "AIRFLOW_FERNET_KEY has no value in .env; run make secrets."),
        ("metadata_password", "a@b/c", "METADATA_PASSWORD becomes part of a URL; use letters"),
    ],
)
def test_a_missing_or_unusable_secret_is_told_in_a_sentence(
    secrets: Path, name: str, value: str | None, sentence: str
) -> None:
    """Before Airflow is loaded, and without the value."""
    (secrets / name).unlink()
    if value is not None:
        (secrets / name).write_text(value)
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "airflow_init.py")],
        env={"BATCHDRAIN_SECRETS": str(secrets)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert "a@b/c" not in done.stderr


def test_the_init_service_is_given_every_secret_that_it_asks_for() -> None:
    """And no other."""
    asked = runpy.run_path(str(DEPLOY / "airflow_init.py"))["VARIABLES"]
    document = compose_file.document()
    sources = {name: secret["environment"] for name, secret in document["secrets"].items()}
    given = document["services"]["airflow-init"]["secrets"]
    assert asked == {name: sources[name] for name in given}


@pytest.mark.parametrize("server", ["queues", "target-db"])
def test_a_server_without_its_secret_does_not_start(tmp_path: Path, server: str) -> None:
    """An empty password would be none at all; what to do is told instead."""
    (tmp_path / "secret").touch()
    if server == "queues":
        command = compose_file.words(compose_file.services({})["queues"]["command"])
        command = [re.sub(r"/run/secrets/\w+", str(tmp_path / "secret"), w) for w in command]
    else:
        command = [str(DEPLOY / "target_role.sh")]
    environment = {"PATH": "/usr/bin:/bin", "BATCHDRAIN_PASSWORD_FILE": str(tmp_path / "secret")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(
        r"(QUEUES|TARGET)_PASSWORD has no value in \.env; run make secrets\.\n", done.stderr
    )


def test_the_password_of_the_first_user_is_set_and_others_stay(tmp_path: Path) -> None:
    """Airflow adds users to the same file, with passwords that it makes up."""
    set_password = runpy.run_path(str(DEPLOY / "airflow_init.py"))["set_password"]
    file = tmp_path / "passwords.json"
    set_password(file, "admin", "one")
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(json.dumps({"admin": "one", "ana": "hers"}))
    set_password(file, "admin", "two")
    assert json.loads(file.read_text()) == {"admin": "two", "ana": "hers"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://batchdrain@target-db:5432/target",
            {"conn_type": "postgres", "login": "batchdrain", "schema": "target"},
        ),
        ("redis://queues:6379/3", {"conn_type": "redis", "login": None, "extra": {"db": 3}}),
    ],
)
def test_a_url_becomes_a_connection(url: str, expected: dict[str, Any]) -> None:
    """With the password beside it, so that any character may be in it."""
    connection = runpy.run_path(str(DEPLOY / "airflow_init.py"))["connection"]
    made = connection(url, "p@ss/word")
    assert expected.items() <= made.items()
    assert made["password"] == "p@ss/word"
    assert f"//{made['host']}:{made['port']}/" in url.replace("batchdrain@", "")


@pytest.fixture
def monitor() -> Iterator[str]:
    """URL of a server that answers as Airflow's health page does."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()
            self.wfile.write(json.dumps(STATES).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_health_check_tells_what_is_wrong(monitor: str) -> None:
    """Nothing if all is well; otherwise a sentence, and the exit code is 1."""
    problem: Callable[..., str | None] = runpy.run_path(str(DEPLOY / "airflow_health.py"))[
        "problem"
    ]
    assert problem(f"{monitor}/health", None) is None
    assert problem(f"{monitor}/health", "metadatabase") is None
    assert problem(f"{monitor}/health", "triggerer") == (
        f"triggerer is None, says {monitor}/health."
    )
    assert problem(f"{monitor}/health", "worker") == f"{monitor}/health says nothing of worker."
    assert "503" in str(problem(f"{monitor}/gone", None))
    assert "does not answer" in str(problem("http://127.0.0.1:1/health", None))
    command = [sys.executable, str(DEPLOY / "airflow_health.py"), f"{monitor}/health", "triggerer"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
