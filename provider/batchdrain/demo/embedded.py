"""What every embedded server has in common: account, run folder, port, start and stop."""

from __future__ import annotations

import os
import random
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from batchdrain.demo.account import kept_folder, run_base, server_account
from batchdrain.demo.lifeline import Ladder, Lifeline
from batchdrain.errors import SystemicError

HOST = "127.0.0.1"
START_SECONDS = 60.0
"""Long enough for crash recovery; a server that starts afresh takes under a second."""
POLL_SECONDS = 0.01
PORTS = range(15_000, 32_000)
"""Below the ports that Linux (32768 and up) and macOS (49152 and up) give to outgoing connections,
so that none of those takes a server's port while the server is stopped."""
BUSY_SIGNS = (b"address already in use", b"pre-existing shared memory block")
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""All that a server sees of our environment: no PG*, LC_* or LANG, and nobody's secrets."""


class EmbeddedServer(ABC):
    """A server on 127.0.0.1 that ends when its context, or the process that opened it, ends.

    `keep` is a folder in which the data outlives the server; without it they go with the server.
    `bin` is a folder with the server's programs, instead of those in the wheel. `port` is a free
    one when None. `fsync` off is for tests: data then survive a killed server, but no power cut.
    `settings` are the server's own, by their names; they win over ours.
    """

    name: str
    ladder: Ladder
    patience = 10.0
    """Seconds to wait for what an earlier server may still hold: port, shared memory, folder."""

    def __init__(
        self,
        *,
        keep: Path | str | None = None,
        bin: Path | str | None = None,
        port: int | None = None,
        fsync: bool = True,
        settings: Mapping[str, str | int | float | bool] | None = None,
    ) -> None:
        self.host = HOST
        self.fsync = fsync
        self.settings = dict(settings or {})
        self._keep = None if keep is None else Path(keep)
        self._bin = None if bin is None else Path(bin)
        self._port = port
        self._account = server_account()
        self._lifeline: Lifeline | None = None
        self._pid: int | None = None
        self._folder = Path()
        self._data = Path()

    @property
    def port(self) -> int:
        """The TCP port: the same for as long as the server is open, stopped or not."""
        if self._port is None:
            raise SystemicError(f"The embedded {self.name} has no port before it is started.")
        return self._port

    @property
    def pid(self) -> int | None:
        """Process id of the server's main process, None while it is stopped."""
        return self._pid

    @property
    def folder(self) -> Path:
        """The run folder, with the unix socket; gone when the server is closed."""
        return self._folder

    @property
    def data(self) -> Path:
        """The folder of the data: under the run folder, or under the folder to keep."""
        return self._data

    @property
    def log(self) -> Path:
        """The file that the server's log goes to."""
        return self._data.with_suffix(".log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the server, the first time or again, and return when it takes connections.

        Does nothing while it runs. Raises SystemicError when it does not come up.
        """
        if self._lifeline is not None and self.running:
            return
        try:
            lifeline = self._lifeline or self._open()
            self._start(lifeline)
        except BaseException:
            self.close()
            raise

    @property
    def running(self) -> bool:
        """Whether the server's main process runs."""
        if self._lifeline is None or self._pid is None:
            return False
        return self._lifeline.exit_code() is None

    def stop(self) -> None:
        """Stop the server in good order: clients are cut off, data are kept for `start`."""
        self._end(self.ladder)

    def kill(self) -> None:
        """Stop the server as a crash would, by SIGKILL; data are kept for `start`."""
        self._end((("SIGKILL", 10.0),))

    def close(self) -> None:
        """Stop the server for good and remove its run folder."""
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
            self._pid = None

    @abstractmethod
    def _prepare(self) -> None:
        """Find the programs and lay out the data folder; called once, before the first start."""

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """Write the configuration and return the command that starts the server on `port`."""

    @abstractmethod
    def _ready(self) -> bool:
        """Tell whether the server, whose process is `pid`, takes connections."""

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        return {**kept, "TZ": "UTC", "HOME": str(self._folder)}

    def _run(self, *command: str) -> int:
        if self._lifeline is None:
            raise SystemicError(f"The embedded {self.name} is closed; open a new one.")
        return self._lifeline.run(command, self._environment(), self.log)

    def _write(self, path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        if self._account is not None:
            self._account.own(path)

    def _open(self) -> Lifeline:
        kept = None if self._keep is None else kept_folder(self._keep, self._account)
        self._lifeline = Lifeline(
            base=run_base(self._account),
            prefix=f"batchdrain-{self.name}-",
            account=self._account,
            ladder=self.ladder,
            lock=None if kept is None else kept / f"{self.name}.lock",
            patience=self.patience,
        )
        self._folder = self._lifeline.folder
        self._data = (kept or self._folder) / self.name
        self.log.write_bytes(b"")
        self._prepare()
        return self._lifeline

    def _start(self, lifeline: Lifeline) -> None:
        deadline = time.monotonic() + self.patience
        while True:
            port = self._port or free_port()
            seen = self.log.stat().st_size
            self._pid = lifeline.start(self._command(port), self._environment(), self.log)
            if self._came_up(lifeline):
                self._port = port
                return
            said = self.log.read_bytes()[seen:]
            busy = any(sign in said.lower() for sign in BUSY_SIGNS)
            if not busy or time.monotonic() > deadline:
                raise SystemicError(
                    f"The embedded {self.name} did not start on {self.host}:{port}: "
                    f"{said.decode(errors='replace').strip()[-1000:]}"
                )
            time.sleep(10 * POLL_SECONDS)

    def _came_up(self, lifeline: Lifeline) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if lifeline.exit_code() is not None or time.monotonic() > deadline:
                lifeline.stop(self.ladder)
                self._pid = None
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _end(self, ladder: Ladder) -> None:
        if self._lifeline is not None:
            self._lifeline.stop(ladder)
            self._pid = None


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now; it may be taken the next moment.

    Raises SystemicError when a hundred tries find none.
    """
    for port in random.sample(PORTS, 100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise SystemicError("No free TCP port was found on 127.0.0.1; stop some servers first.")
