"""Node.js for tests: runs the JavaScript that stands in the documents."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CLIENTS = Path(__file__).with_name("node_redis.mjs")
"""What stands in for the packages `ioredis` and `redis`: it talks to the real server."""

RunScript = Callable[[str], str]


@pytest.fixture
def run_script(tmp_path: Path, redis_url: str) -> RunScript:
    """Run a script against the test's own Redis database, and return what it prints."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the JavaScript of the documents is not tried")
    for name in ("ioredis", "redis"):
        package = tmp_path / "node_modules" / name
        package.mkdir(parents=True)
        shutil.copyfile(CLIENTS, package / "index.mjs")
        described = {"name": name, "exports": "./index.mjs"}
        (package / "package.json").write_text(json.dumps(described), encoding="utf-8")

    def run(script: str) -> str:
        file = tmp_path / "script.mjs"
        file.write_text(script.replace("redis://localhost:6379/0", redis_url), encoding="utf-8")
        done = subprocess.run(
            [node, str(file)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
