"""A folder that servers of another user can work in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder directly under the temporary one, which other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="t"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
