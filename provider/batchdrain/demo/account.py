"""Whose account an embedded server runs under, and which folders that account can use.

PostgreSQL refuses to run as root, so root runs its servers as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from batchdrain.errors import ConfigurationError

SOCKET_FOLDER_LENGTH = 60
"""Characters of a folder's path that leave room for a socket's name (sockaddr_un holds 107)."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its group, by number, that a server is run as."""

    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Tell whether this account may pass through `folder` and every folder above it."""
        return all(self._may_pass(part.stat()) for part in (folder, *folder.parents))

    def own(self, path: Path) -> None:
        """Give a file, or a folder with all that it holds, to this account."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(folder, name), self.uid, self.gid, follow_symlinks=False)

    def _may_pass(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def server_account() -> Account | None:
    """Return the account to run servers as, None where it is simply our own.

    Raises ConfigurationError for root on a machine without the user `nobody`.
    """
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise ConfigurationError(
            "PostgreSQL does not run as root and this machine has no user 'nobody'; "
            "run this as an ordinary user."
        ) from error
    return Account(nobody.pw_uid, nobody.pw_gid)


def run_base(account: Account | None) -> Path:
    """Return the temporary folder that run folders are made in: short, and open to `account`.

    Raises ConfigurationError when there is none.
    """
    for name in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        base = Path(name).resolve()
        usable = len(str(base)) <= SOCKET_FOLDER_LENGTH and base.is_dir()
        if not usable or not os.access(base, os.W_OK | os.X_OK):
            continue
        if account is None or account.can_enter(base):
            return base
    raise ConfigurationError(
        "No temporary folder can hold an embedded server; set TMPDIR to a short path "
        "that other users may enter."
    )


def kept_folder(path: Path, account: Account | None) -> Path:
    """Return the folder, made when missing, in which a server keeps what `path` stands for.

    That is `path` itself, unless the server's account can't enter it (a clone in root's home):
    then `path` becomes a link to a folder under /var/tmp.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    if account is not None and not path.exists() and not account.can_enter(path.parent):
        path.unlink(missing_ok=True)
        path.symlink_to(tempfile.mkdtemp(prefix="batchdrain-kept-", dir="/var/tmp"))
    folder = path.resolve()
    folder.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
        if not account.can_enter(folder):
            raise ConfigurationError(
                f"The user 'nobody', who runs the servers for root, can't enter {folder}; "
                "give another folder."
            )
    return folder
