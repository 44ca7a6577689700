"""The built wheel, installed apart from this checkout, does what the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import psycopg
import pytest
import redis

from fix_airflow_home import REPOSITORY

RUN = """
import json, pathlib, sys
import batchdrain
assert pathlib.Path(batchdrain.__file__).is_relative_to(sys.prefix), batchdrain.__file__
from airflow.dag_processing.dagbag import DagBag
for folder in ("others", "dags"):
    bag = DagBag(folder, bundle_name=folder)
    assert not bag.import_errors, bag.import_errors
    assert "drain_tables" in bag.dags
print("state:", bag.dags["drain_tables"].test().state)
print("control:", bag.dags["control_queues"].test().state)
"""


def snippets(language: str) -> list[str]:
    """Return the README's blocks of code in a language."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and otherwise what this one has."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(REPOSITORY)], check=True, capture_output=True)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
    # A folder named in a .pth file is searched, but its own .pth files, the editable
    # installation of this checkout among them, are not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin" / "python"


@pytest.mark.usefixtures("airflow_connections")
def test_the_readmes_dag_drains_a_table_from_an_empty_folder(
    installed: Path,
    tmp_path: Path,
    connection: psycopg.Connection,
    redis_client: redis.Redis,
) -> None:
    """Its DAG file, its message and its hook, as they stand there."""
    drain_file, control_file, alerting_file, with_the_hook = snippets("python")
    for folder, files in (("dags", [drain_file, control_file]), ("others", [alerting_file])):
        (tmp_path / folder).mkdir()
        for number, text in enumerate(files):
            (tmp_path / folder / f"dag_{number}.py").write_text(text)
    connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, amount numeric)")
    message = re.search(r"XADD batchdrain:orders '\*' data '(.*)'", "".join(snippets("bash")))
    assert message is not None
    redis_client.xadd("batchdrain:orders", {"data": message[1]})

    def run(script: str) -> str:
        return subprocess.run(
            [str(installed), "-c", script],
            cwd=tmp_path,
            env={**os.environ, "AIRFLOW__BATCHDRAIN__TABLES": "orders"},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    printed = run(RUN)
    assert "state: success" in printed
    assert "control: success" in printed
    assert connection.execute("SELECT id, amount FROM orders").fetchone() == (1, 12.5)
    assert "refused: ['2']" in run(f"{with_the_hook}\nprint('refused:', refused)")
    assert connection.execute("SELECT amount FROM orders").fetchall() == [(13,)]
