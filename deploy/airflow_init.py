"""Prepares Airflow for docker-compose.yaml: its database, the password of its user, connections.

Runs each time before the other services start, and changes only what is not there yet, but for the
first user's password, which is always the secret. The container's environment says where things
are; nothing secret is printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

VARIABLES = {
    "airflow_admin_password": "AIRFLOW_ADMIN_PASSWORD",
    "airflow_api_secret": "AIRFLOW_API_SECRET",
    "airflow_fernet_key": "AIRFLOW_FERNET_KEY",
    "airflow_jwt_secret": "AIRFLOW_JWT_SECRET",
    "metadata_password": "METADATA_PASSWORD",
    "queues_password": "QUEUES_PASSWORD",
    "target_password": "TARGET_PASSWORD",
}
"""The secrets that this or a later service needs, and where their values come from."""
IN_A_URL = re.compile(r"[A-Za-z0-9._~-]+")
"""Characters that mean nothing else in a URL (RFC 3986, unreserved)."""


def read_secrets(folder: Path) -> dict[str, str]:
    """Return the secrets by their names.

    Ends the process with a sentence when one is missing, empty, or would break a URL.
    """
    secrets = {}
    for name, variable in VARIABLES.items():
        file = folder / name
        secrets[name] = file.read_text(encoding="utf-8").strip() if file.exists() else ""
        if not secrets[name]:
            sys.exit(f"{variable} has no value in .env; run make secrets.")
    if not IN_A_URL.fullmatch(secrets["metadata_password"]):
        sys.exit("METADATA_PASSWORD becomes part of a URL; use letters and digits alone in .env.")
    return secrets


def airflow(*arguments: str) -> None:
    """Run an `airflow` command; ends the process when it fails."""
    done = subprocess.run([sys.executable, "-m", "airflow", *arguments], check=False)
    if done.returncode != 0:
        sys.exit(f"airflow {' '.join(arguments[:2])} ended with code {done.returncode}; see above.")


def set_password(file: Path, user: str, password: str) -> None:
    """Write a user's password to the file of Airflow's simple auth manager; others keep theirs."""
    known = json.loads(file.read_text(encoding="utf-8") or "{}") if file.exists() else {}
    file.touch(mode=0o600)
    file.write_text(json.dumps({**known, user: password}) + "\n", encoding="utf-8")


def connection(url: str, password: str) -> dict[str, object]:
    """Return a connection as `airflow connections import` reads it, from a URL without password."""
    parts = urlsplit(url)
    database = parts.path.lstrip("/")
    where = {"extra": {"db": int(database)}} if parts.scheme == "redis" else {"schema": database}
    return {
        "conn_type": "postgres" if parts.scheme == "postgresql" else parts.scheme,
        "host": parts.hostname,
        "port": parts.port,
        "login": parts.username,
        "password": password,
        **where,
    }


def add_connections(connections: Mapping[str, object]) -> None:
    """Add those that Airflow's database does not have; what users changed there stays."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "connections.json")
        file.touch(mode=0o600)
        file.write_text(json.dumps(connections), encoding="utf-8")
        airflow("connections", "import", str(file))


def main() -> None:
    """Prepare everything; the exit code is 0 when all of it is there."""
    secrets = read_secrets(Path(os.environ["BATCHDRAIN_SECRETS"]))
    user = os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(":")[0].strip()
    passwords = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    airflow("db", "migrate")
    set_password(passwords, user, secrets["airflow_admin_password"])
    add_connections(
        {
            "postgres_default": connection(os.environ["TARGET_URL"], secrets["target_password"]),
            "redis_default": connection(os.environ["QUEUES_URL"], secrets["queues_password"]),
        }
    )
    print(f"Airflow is prepared; its user is {user}.", flush=True)


if __name__ == "__main__":
    main()
