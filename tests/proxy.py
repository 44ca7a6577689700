"""A proxy between psycopg and PostgreSQL that loses COMMITs or their replies, and counts trips."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from enum import Enum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65_536
_LATE_SECONDS = 0.5


class Fate(Enum):
    """What becomes of the next COMMIT."""

    REQUEST_LOST = "the connection is cut, and PostgreSQL never sees the COMMIT"
    REQUEST_LATE = "the connection is cut, and PostgreSQL sees the COMMIT half a second later"
    REPLY_LOST = "PostgreSQL commits, then the connection is cut without a reply"
    REPLY_HELD = "PostgreSQL commits, and the client waits for the reply for ever"


class PostgresProxy:
    """Forwards bytes between 127.0.0.1 and the server of a URL; `url` leads through the proxy.

    `trips` counts round trips: how often a client spoke after it had all its answers. Each answer
    is delayed by `delay` seconds, so that requests sent without waiting count as one.
    """

    def __init__(self, url: str, *, delay: float = 0.0) -> None:
        self._target = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._fate: Fate | None = None
        self._spared = 0
        self.delay = delay
        self.trips = 0
        self.struck = threading.Event()

    @property
    def url(self) -> str:
        """The URL through the proxy, without encryption."""
        user = self._target.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{self._listener.getsockname()[1]}"
        query = "sslmode=disable&gssencmode=disable"
        return self._target._replace(netloc=netloc, query=query).geturl()

    def strike(self, fate: Fate, *, spared: int = 0) -> None:
        """Let a COMMIT meet its fate, after as many as are spared; `struck` is set then.

        Only those of batches count, which come in pipelines.
        """
        self._fate, self._spared = fate, spared

    def next_fate(self) -> Fate | None:
        """Return the fate of the COMMIT at hand, which strikes once."""
        if self._fate is None or self._spared:
            self._spared -= self._fate is not None
            return None
        fate, self._fate = self._fate, None
        return fate

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A blocked accept does not notice that its socket is closed.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            close(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(
                    (self._target.hostname or "", self._target.port or 5432)
                )
                self._open += [client, server]
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                conversation = _Conversation(self, client, server)
                threading.Thread(target=conversation.forward_requests, daemon=True).start()
                threading.Thread(target=conversation.forward_replies, daemon=True).start()


class _Conversation:
    """One client's connection."""

    def __init__(self, proxy: PostgresProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._lock = threading.Lock()
        # Opening the connection is no round trip, but it has an answer.
        self._speaking = True
        self._awaited = 1
        self._fate: Fate | None = None

    def forward_requests(self) -> None:
        messages = _Messages(startup=True)
        with contextlib.suppress(OSError):
            while chunk := self._client.recv(_CHUNK):
                kinds = list(messages.feed(chunk))
                self._asked(sum(kind in (b"S", b"Q") for kind, _ in kinds))
                if any(kind == b"P" and b"COMMIT\0" in body for kind, body in kinds):
                    self._fate = self._proxy.next_fate()
                if self._fate is Fate.REQUEST_LOST:
                    self._cut()
                    return
                if self._fate is Fate.REQUEST_LATE:
                    self._proxy.struck.set()
                    close(self._client)
                    time.sleep(_LATE_SECONDS)
                self._server.sendall(chunk)
        close(self._server)

    def forward_replies(self) -> None:
        messages = _Messages(startup=False)
        with contextlib.suppress(OSError):
            while chunk := self._server.recv(_CHUNK):
                ready = [body for kind, body in messages.feed(chunk) if kind == b"Z"]
                if ready:
                    time.sleep(self._proxy.delay)
                self._answered(len(ready))
                if self._fate is None:
                    self._client.sendall(chunk)
                elif b"I" in ready:
                    self._proxy.struck.set()
                    if self._fate is Fate.REPLY_LOST:
                        self._cut()
        close(self._client)

    def _asked(self, questions: int) -> None:
        with self._lock:
            self._proxy.trips += not self._speaking
            self._speaking = True
            self._awaited += questions

    def _answered(self, answers: int) -> None:
        with self._lock:
            self._awaited -= answers
            self._speaking &= self._awaited > 0

    def _cut(self) -> None:
        close(self._client)
        close(self._server)
        self._proxy.struck.set()


class _Messages:
    """Finds PostgreSQL's messages in a stream of bytes."""

    def __init__(self, *, startup: bool) -> None:
        self._kind_size = 0 if startup else 1
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield kind and body of the messages that are complete now."""
        self._rest += chunk
        while len(self._rest) >= self._kind_size + 4:
            (size,) = struct.unpack_from("!i", self._rest, self._kind_size)
            end = self._kind_size + size
            if len(self._rest) < end:
                return
            kind, body = self._rest[: self._kind_size], self._rest[self._kind_size + 4 : end]
            self._rest, self._kind_size = self._rest[end:], 1
            yield kind, body


def close(end: socket.socket) -> None:
    """Close a connection at once, also when another thread is reading from it."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
