"""`make up`: the demo's installation with data that is kept, until Ctrl-C."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

from redis import Redis

from batchdrain.demo import traffic
from batchdrain.demo.airflow_server import USER
from batchdrain.demo.display import Display
from batchdrain.demo.embedded import HOST
from batchdrain.demo.installation import DAG_ID, Installation, installation
from batchdrain.demo.messages import all_messages
from batchdrain.demo.run import first_run, start_airflow

PORT = 8080
"""Airflow's usual port, taken if it is free."""
WATCH_SECONDS = 1.0


def up(folder: Path) -> int:
    """Start the installation whose data lie in `folder`, and run it until KeyboardInterrupt.

    The first time, the messages are pushed. Returns 0; raises SystemicError when a part of
    the installation ends.
    """
    with ExitStack() as opened:
        with Display() as display:
            with display.phase("Start PostgreSQL and Valkey"):
                started = opened.enter_context(installation(keep=folder.absolute(), port=_port()))
            start_airflow(display, started.airflow)
            if started.fresh:
                with display.phase("Warm up with empty queues"):
                    first_run(started.airflow.client)
                messages = all_messages()
                total = sum(message.records for sent in messages.values() for message in sent)
                with (
                    display.phase("Push messages", total) as pushing,
                    Redis.from_url(started.valkey.url) as redis,
                ):
                    traffic.push(redis, messages, pushing.advance)
        _tell(started)
        try:
            while True:
                time.sleep(WATCH_SECONDS)
                started.airflow.check()
        except KeyboardInterrupt:
            print("\nStopping ...")
    return 0


def _tell(started: Installation) -> None:
    client = started.airflow.client
    print(f"""
Airflow     {client.url}/dags/{DAG_ID}
user        {USER}
password    {client.password}

PostgreSQL  {started.target_url}
Valkey      {started.valkey.url}
logs        {started.airflow.home}
""")
    if started.fresh:
        print(
            f"The queues hold the demo's messages. The next run of {DAG_ID} drains them: the "
            "schedule starts one every minute, or trigger it in the UI."
        )
    print("Ctrl-C stops all of it; the data stay.", flush=True)


def _port() -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, PORT))
        except OSError:
            return None
    return PORT
