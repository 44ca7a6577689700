"""Walks through a page of the documents: does what it says, and sees what it shows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from fix_airflow_home import REPOSITORY
from fix_drain_dag import parsed
from page_code import Block, cells, missing_lines, printed

HOW_TO = REPOSITORY / "docs" / "how-to"


@dataclass
class Walk:
    """What a page's code works on. SQL and `redis-cli` go to the servers as they stand.

    `airflow dags trigger` runs the shipped DAG in this process, `export` sets a variable. A block
    of text shows what the query before it finds, or some lines of the log before it.
    """

    connection: psycopg.Connection[Any]
    redis: Any
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    states: list[str] = field(default_factory=list)

    def through(
        self,
        page: Sequence[Block],
        before_query: Callable[[], object] = lambda: None,
        shown: list[list[str]] | str = "",
    ) -> None:
        """Walk through a page's blocks; `before_query` is called before each SELECT.

        `shown` is what the first block of text has to agree with, if it comes first.
        """
        for block in page:
            if block.language == "sql":
                if block.text.startswith("SELECT"):
                    before_query()
                shown = self._query(block.text)
            elif block.language == "bash":
                shown = self._commands(block)
            elif block.language == "text":
                self._compare(block.text, shown)

    def _query(self, text: str) -> list[list[str]]:
        cursor = self.connection.execute(text.encode())
        if cursor.description is None:
            return []
        return printed([column.name for column in cursor.description], cursor.fetchall())

    def _commands(self, block: Block) -> str:
        self.capsys.readouterr()
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["redis-cli"]:
                self.redis.execute_command(*words[1:])
            elif words[:1] == ["export"]:
                name, _, value = words[1].partition("=")
                self.monkeypatch.setenv(name, value)
            elif words[:3] == ["airflow", "dags", "trigger"]:
                self._trigger(words[3], words[4:])
            else:
                raise AssertionError(f"nobody has tried: {line}")
        return self.capsys.readouterr().out

    def _trigger(self, dag_id: str, options: list[str]) -> None:
        conf = json.loads(options[options.index("--conf") + 1]) if options else {}
        dag = parsed(REPOSITORY / "dags" / f"{dag_id}.py", dag_id)
        self.states.append(str(dag.test(run_conf=conf).state))

    @staticmethod
    def _compare(text: str, shown: list[list[str]] | str) -> None:
        if isinstance(shown, str):
            ours = [line for line in shown.splitlines() if "operators.batchdrain." in line]
            assert missing_lines(text, shown) == [], "\n".join(ours)
        else:
            assert cells(text) == shown
