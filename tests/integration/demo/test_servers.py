"""The embedded servers: started, stopped, kept, and gone with whoever started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis

from batchdrain.demo import embedded
from batchdrain.demo.servers import EmbeddedServer, PostgresServer, ValkeyServer
from batchdrain.errors import ConfigurationError, SystemicError

BOTH = pytest.mark.parametrize("kind", [PostgresServer, ValkeyServer])

HOLD = """
import os, sys, time
from batchdrain.demo.servers import PostgresServer, ValkeyServer
keep = sys.argv[1] if len(sys.argv) > 1 else None
with PostgresServer(keep=keep) as postgres, ValkeyServer(keep=keep) as valkey:
    child = os.fork()
    if child:
        print(child, postgres.pid, valkey.pid, postgres.folder, valkey.folder, flush=True)
    time.sleep(60)
"""


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Tell whether a condition comes true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def command_lines() -> str:
    """Return the command lines of all processes, as `ps` shows them."""
    if not Path("/proc/self/cmdline").exists():
        listing = ["ps", "-axww", "-o", "command"]
        return subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    texts = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            texts.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(texts)


def query(server: PostgresServer, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_postgres_starts_fresh_in_utf8_and_utc() -> None:
    """The same database on every machine, whatever its locale and time zone, in short time."""
    began = time.monotonic()
    with PostgresServer(fsync=False, settings={"work_mem": "7MB", "search_path": "a'b, \\"}) as it:
        # A start takes 0.7 s; the limit leaves room for a busy machine.
        assert time.monotonic() - began < 10
        shown = [
            query(it, f"SHOW {name}")[0][0]
            for name in ("server_encoding", "timezone", "fsync", "work_mem", "search_path")
        ]
        assert shown == ["UTF8", "UTC", "off", "7MB", "a'b, \\"]
        assert query(it, "SELECT datlocale FROM pg_database WHERE datname = current_database()")
        assert it.url == f"postgresql://postgres:{it.password}@127.0.0.1:{it.port}/postgres"
        assert it.url_of("a b").endswith("/a%20b")
    assert not it.folder.exists()
    assert not it.running


def test_postgres_asks_for_its_password() -> None:
    """A neighbour on the machine gets in neither over TCP nor over the socket."""
    with PostgresServer(fsync=False) as server:
        for host in (server.host, str(server.folder)):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(
                    host=host, port=server.port, user="postgres", dbname="postgres", password="no"
                )


def test_the_password_shows_in_no_log_file_or_process() -> None:
    """Not on a command line, not in the log, not in what stays in the run folder."""
    with PostgresServer(fsync=False) as server:
        query(server, "SELECT 1")
        assert f"-D {server.data}" in command_lines()
        assert server.password not in command_lines()
        for file in (server.log, *server.folder.glob("*.*")):
            if file.is_file():
                assert server.password not in file.read_text(encoding="utf-8")


def test_valkey_serves_and_obeys_settings() -> None:
    """Settings of the caller win; the URL names database 0."""
    with ValkeyServer(settings={"maxmemory": "64mb"}) as server:
        assert server.url == f"redis://127.0.0.1:{server.port}/0"
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            assert client.config_get("maxmemory") == {"maxmemory": str(64 << 20)}
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
    assert not server.folder.exists()


def test_several_start_at_the_same_time() -> None:
    """Four PostgreSQL at once, each with a port and a folder of its own."""
    servers = [PostgresServer(fsync=False) for _ in range(4)]
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(PostgresServer.start, servers))
        assert len({server.port for server in servers}) == 4
        assert len({query(server, "SHOW data_directory")[0] for server in servers}) == 4
    finally:
        for server in servers:
            server.close()
    assert not any(server.folder.exists() for server in servers)


def cut_off(connection: psycopg.Connection) -> bool:
    """Whether a statement on this connection fails because the server is gone."""
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


@BOTH
@pytest.mark.parametrize("end", [EmbeddedServer.stop, EmbeddedServer.kill])
def test_a_server_comes_back_with_its_data_on_its_port(
    kind: type[PostgresServer | ValkeyServer], end: Callable[[EmbeddedServer], None]
) -> None:
    """After a stop and after SIGKILL, with a client connected all the while."""
    with kind(fsync=False) as server:
        port, pid = server.port, server.pid
        if isinstance(server, PostgresServer):
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
                end(server)
                # A backend may answer once more before it learns that its postmaster was killed.
                assert eventually(lambda: cut_off(connection))
        else:
            with redis.Redis.from_url(server.url) as client:
                client.set("kept", 7)
                end(server)
        assert (server.running, server.pid) == (False, None)
        server.start()
        assert (server.port, server.running) == (port, True)
        assert server.pid != pid
        if isinstance(server, PostgresServer):
            assert query(server, "SELECT n FROM kept") == [(7,)]
        else:
            with redis.Redis.from_url(server.url) as client:
                assert client.get("kept") == b"7"


def test_a_port_lost_in_a_race_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may take the port between our look and the server's start."""
    with socket.create_server((embedded.HOST, 0)) as taken:
        ports = iter([taken.getsockname()[1], embedded.free_port()])
        monkeypatch.setattr(embedded, "free_port", lambda: next(ports))
        with PostgresServer(fsync=False) as server:
            assert query(server, "SELECT 1") == [(1,)]
        ports = iter([taken.getsockname()[1], server.port])
        with ValkeyServer(fsync=False) as valkey:
            assert valkey.port == server.port


@BOTH
def test_a_given_port_that_stays_taken_is_an_error(
    kind: type[PostgresServer | ValkeyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what did not start, where, and what the server said."""
    monkeypatch.setattr(EmbeddedServer, "patience", 0.2)
    with socket.create_server((embedded.HOST, 0)) as taken:
        server = kind(fsync=False, port=taken.getsockname()[1])
        with pytest.raises(SystemicError, match=r"did not start on 127\.0\.0\.1:"):
            server.start()
    assert not server.folder.exists()


@pytest.mark.parametrize("kept", [False, True])
def test_a_killed_parent_leaves_neither_process_nor_folder(short_folder: Path, kept: bool) -> None:
    """SIGKILL, with a forked child alive that holds every pipe open; gone within ten seconds."""
    keep = short_folder / "keep"
    command = [sys.executable, "-c", HOLD, *([str(keep)] if kept else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, *servers, one, other = parent.stdout.readline().split()
        try:
            parent.kill()
            assert eventually(lambda: not any(runs(int(pid)) for pid in servers))
            assert eventually(lambda: not Path(one).exists() and not Path(other).exists(), 2)
        finally:
            os.kill(int(child), signal.SIGKILL)
    assert keep.exists() == kept


def test_a_parent_killed_while_the_server_is_made_leaves_nothing(short_folder: Path) -> None:
    """Not even when it is killed in the middle of initdb."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(short_folder)}) as parent:
        assert eventually(lambda: bool(list(short_folder.glob("*/postgres.new"))))
        parent.kill()
    assert eventually(lambda: not list(short_folder.iterdir()))


@BOTH
def test_what_is_kept_outlives_the_server(
    kind: type[PostgresServer | ValkeyServer], short_folder: Path
) -> None:
    """Data and password are the same at the next start; the run folder goes all the same."""
    keep = short_folder / "keep"
    with kind(keep=keep) as first:
        if isinstance(first, PostgresServer):
            query(first, "CREATE TABLE kept AS SELECT 7 AS n")
        else:
            with redis.Redis.from_url(first.url) as client:
                client.set("kept", 7)
        first.kill()
    assert not first.folder.exists()
    with kind(keep=keep) as second:
        if isinstance(first, PostgresServer) and isinstance(second, PostgresServer):
            assert second.password == first.password
            assert query(second, "SELECT n FROM kept") == [(7,)]
        else:
            with redis.Redis.from_url(second.url) as client:
                assert client.get("kept") == b"7"


def test_an_unfinished_kept_folder_is_made_anew(short_folder: Path) -> None:
    """An initdb that was cut off does not stand in the way of the next start."""
    (short_folder / "postgres.new").mkdir()
    (short_folder / "postgres.new" / "PG_VERSION").write_text("18")
    with PostgresServer(keep=short_folder, fsync=False) as server:
        assert query(server, "SELECT 1") == [(1,)]


@BOTH
def test_a_kept_folder_serves_one_server_at_a_time(
    kind: type[PostgresServer | ValkeyServer],
    short_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second one is an error that names the folder; the first goes on undisturbed."""
    monkeypatch.setattr(EmbeddedServer, "patience", 0.2)
    with kind(keep=short_folder, fsync=False) as first:
        with pytest.raises(ConfigurationError, match=str(short_folder)):
            kind(keep=short_folder).start()
        assert first.running


def test_a_broken_setting_is_an_error_with_the_server_s_words() -> None:
    """The server's own message is in the error, and nothing stays behind."""
    server = PostgresServer(fsync=False, settings={"no_such_setting": 1})
    with pytest.raises(SystemicError, match="no_such_setting"):
        server.start()
    assert not server.folder.exists()
    with pytest.raises(ConfigurationError):
        PostgresServer(fsync=False, settings={"work_mem": "1\n"}).start()
