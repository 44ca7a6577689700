"""Fills the demo of docker-compose.yaml: three tables, and 24,000 messages for them.

The tables are made where there are none; each run pushes all messages again.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import psycopg
from redis import Redis

from batchdrain.demo.messages import all_messages
from batchdrain.demo.traffic import push


def secret(name: str) -> str:
    """Return the secret that the container has under this name."""
    file = Path(os.environ["BATCHDRAIN_SECRETS"], name)
    return file.read_text(encoding="utf-8").strip()


def make_tables(url: str) -> None:
    """Create the tables as the role that drains them, if it is the first time."""
    schema = files("batchdrain.demo").joinpath("schema.sql").read_bytes()
    with psycopg.connect(url, password=secret("target_password")) as connection:
        found = connection.execute("SELECT to_regclass('flights') IS NOT NULL").fetchone()
        if found != (True,):
            connection.execute(schema)


def main() -> None:
    """Make the tables and push the messages."""
    make_tables(os.environ["TARGET_URL"])
    with Redis.from_url(os.environ["QUEUES_URL"], password=secret("queues_password")) as redis:
        pushed = push(redis, all_messages())
    print(f"Pushed {pushed} records; unpause the DAG drain_tables, or trigger it.")


if __name__ == "__main__":
    main()
