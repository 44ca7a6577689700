"""A link with a long round-trip time: a TCP proxy on 127.0.0.1, in a process of its own.

It delays and does not throttle: each chunk is held back until its own moment, whatever is behind.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from urllib.parse import urlsplit

from benchmarks.process import answer, child, orders

_CHUNK = 262_144


@contextmanager
def slow_link(url: str, round_trip: float) -> Iterator[str]:
    """Give the URL of the same PostgreSQL at the far end of a link; `round_trip` in seconds."""
    target = urlsplit(url)
    with child("benchmarks.link") as ask:
        order = {"host": target.hostname, "port": target.port, "delay": round_trip / 2}
        port = ask(order)["port"]
        user = target.netloc.rpartition("@")[0]
        yield target._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()


def serve(host: str, port: int, delay: float) -> int:
    """Forward connections until the process ends, and return the port to connect to."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, (host, port), delay), daemon=True).start()
    return int(listener.getsockname()[1])


def _accept(listener: socket.socket, target: tuple[str, int], delay: float) -> None:
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(target)
        for source, sink in ((client, server), (server, client)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            held: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
            threading.Thread(target=_take, args=(source, held, delay), daemon=True).start()
            threading.Thread(target=_deliver, args=(sink, held), daemon=True).start()


def _take(source: socket.socket, held: SimpleQueue[tuple[float, bytes]], delay: float) -> None:
    chunk = b"-"
    with suppress(OSError):
        while chunk:
            chunk = source.recv(_CHUNK)
            held.put((time.perf_counter() + delay, chunk))
        return
    held.put((0, b""))


def _deliver(sink: socket.socket, held: SimpleQueue[tuple[float, bytes]]) -> None:
    with suppress(OSError):
        while True:
            due, chunk = held.get()
            if not chunk:
                sink.shutdown(socket.SHUT_WR)
                return
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            sink.sendall(chunk)


def main() -> None:
    """Serve as told on standard input, until that ends."""
    for order in orders():
        answer({"port": serve(order["host"], order["port"], order["delay"])})


if __name__ == "__main__":
    main()
