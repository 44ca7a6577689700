"""The Dockerfile's commands, run one after the other without Docker, and without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import dockerfile
from compose_file import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the commands are Linux's")


class Image:
    """A folder that stands for the file system of both stages, and a Python that is the image's.

    The Python has what requirements.txt locks, as the image will, so that pip has to download
    nothing; it must accept the hashes and versions all the same.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root
        self.python = root / "python"
        subprocess.run([sys.executable, "-m", "venv", str(self.python)], check=True)
        packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(self.python)}))
        (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        airflow = self.python / "bin" / "airflow"
        airflow.write_text(f'#!/bin/sh\nexec {self.python}/bin/python -m airflow "$@"\n')
        airflow.chmod(0o755)
        (root / "tmp").mkdir()
        (root / "opt" / "airflow").mkdir(parents=True)

    def placed(self, text: str) -> str:
        """Return a text whose absolute paths lead into the folder."""
        return re.sub(r"(?<![\w/.])/(?=(?:tmp|opt)/)", f"{self.root}/", text)

    def copy(self, copy: dockerfile.Copy) -> None:
        """Do what a COPY does, for files and folders."""
        base = REPOSITORY if copy.from_stage is None else self.root
        target = self.folder / self.placed(copy.target)
        for pattern in copy.sources:
            found = sorted(base.glob(pattern.lstrip("/")))
            assert found, f"COPY finds no {pattern}"
            for source in found:
                place = target / source.name if copy.target.endswith("/") else target
                place.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, place)
                elif not place.exists() or not place.samefile(source):
                    shutil.copyfile(source, place)

    def run(self, command: str) -> None:
        """Run a command as RUN does."""
        done = subprocess.run(
            ["/bin/sh", "-c", self.placed(command)],
            cwd=self.folder,
            env={
                "PATH": f"{self.python}/bin:/usr/bin:/bin",
                "HOME": str(self.root / "home"),
                "PIP_CONFIG_FILE": "/dev/null",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_NO_INDEX": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def build(self) -> None:
        """Carry out the Dockerfile."""
        copies = iter(dockerfile.copies())
        for instruction in dockerfile.instructions():
            match instruction.name:
                case "FROM":
                    self.folder = self.root
                case "WORKDIR":
                    self.folder = Path(self.placed(instruction.rest))
                    self.folder.mkdir(parents=True)
                case "COPY":
                    self.copy(next(copies))
                case "RUN":
                    self.run(instruction.rest)
                case "ARG":
                    pass
                case other:
                    pytest.fail(f"This test does not know {other}.")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the Dockerfile makes."""
    built = Image(tmp_path_factory.mktemp("image"))
    built.build()
    return built


def test_the_image_gets_the_wheel_and_its_scripts(image: Image) -> None:
    """Built from the files that it copies alone, installed with hashes, seen by Airflow."""
    shown = "import batchdrain; print(batchdrain.__file__)"
    done = subprocess.run(
        [image.python / "bin" / "python", "-c", shown], capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(image.python)
    assert (image.root / "opt/batchdrain/airflow_init.py").is_file()
    assert (image.root / "opt/airflow/auth").stat().st_mode & 0o777 == 0o770
    assert not (image.root / "tmp/check").exists()


def test_a_wheel_that_was_changed_is_not_installed(image: Image) -> None:
    """The hash that the first stage writes down is checked in the second."""
    (wheel,) = (image.root / "tmp/wheel").glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"changed")
    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        image.run(dockerfile.commands(1)[0])
