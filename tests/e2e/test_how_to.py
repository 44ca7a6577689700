"""The pages of docs/how-to, done step by step on real servers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.operators.drain_queue import DrainQueueOperator
from fix_airflow_home import TEST_DAGS
from fix_drain_dag import parsed
from fix_node import RunScript
from fix_task_context import drain_context
from page_code import blocks, code
from walkthrough import HOW_TO, Walk

pytestmark = pytest.mark.usefixtures("airflow_connections")

RunPython = Callable[[str], None]


@pytest.fixture
def walk(connection, redis_client, capsys, monkeypatch) -> Walk:
    """A walk on the test's own servers."""
    monkeypatch.delenv("AIRFLOW__BATCHDRAIN__SCOPE", raising=False)
    return Walk(connection, redis_client, capsys, monkeypatch)


@pytest.fixture
def drain_all(redis_client) -> Callable[[], None]:
    """Drain every queue that there is."""

    def drain() -> None:
        for key in redis_client.keys("batchdrain:*"):
            queue_key = key.decode()
            DrainQueueOperator(task_id="drain", queue_key=queue_key).execute(drain_context())

    return drain


@pytest.fixture
def run_python(redis_url) -> Callable[..., dict[str, Any]]:
    """Run a page's Python against the test's own Redis database; return its names."""

    def run(*texts: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        for text in texts:
            exec(text.replace("redis://localhost:6379/0", redis_url), names)
        names["client"].close()
        return names

    return run


def found(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    return connection.execute(query.encode()).fetchall()


def test_first_table(walk, connection, run_python, monkeypatch):
    """Its table, its DAG file, its records; the log and the rows that it shows."""
    page = HOW_TO / "first-table.md"
    (made,) = re.findall(r"cat > home/dags/(\w+\.py) <<'FILE'\n(.*?)FILE\n", page.read_text(), re.S)
    file = TEST_DAGS / made[0]
    file.write_text(made[1])
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "orders")
    create, *_ = code(page, "sql")
    connection.execute(create.encode())
    run_python(*code(page, "python"))
    walk.capsys.readouterr()
    assert parsed(file, "drain_orders").test().state == "success"
    file.unlink()
    log = walk.capsys.readouterr().out
    steps = blocks(page)
    after = next(place for place, block in enumerate(steps) if block.language == "python") + 1
    walk.through(steps[after:], shown=log)


def test_key_and_scope(walk, drain_all, connection):
    """Each table, message, error and row of the page, as it shows them."""
    walk.through(blocks(HOW_TO / "key-and-scope.md"), before_query=drain_all)
    assert found(connection, "SELECT id, name FROM customers") == [(1, "Ada")]


def test_hold_and_replay(walk, connection):
    """Each command of the page with the log that it shows, and what the tables hold then."""
    walk.through(blocks(HOW_TO / "hold-and-replay.md"))
    failed = [place for place, state in enumerate(walk.states) if state != "success"]
    assert failed == [5, 11], "the removal that is not confirmed, and the queue that went back"
    orders = found(connection, "SELECT id, amount FROM orders ORDER BY id")
    assert orders == [(1, 5), (2, 6), (3, 700), (9, 9)]


def test_dry_run(walk):
    """What the log shows, that nothing is there afterwards, and what the run does then."""
    walk.through(blocks(HOW_TO / "dry-run.md"))
    assert walk.states == ["success", "success"]


@pytest.fixture
def moved_tables(connection: psycopg.Connection[Any]) -> None:
    """The tables that the producers of migrating.md write."""
    connection.execute(
        "CREATE TABLE orders (_id integer PRIMARY KEY, amount numeric NOT NULL, "
        "_client_id text NOT NULL, _ver text NOT NULL)"
    )
    connection.execute("CREATE TABLE returns (_id integer PRIMARY KEY)")
    connection.execute("INSERT INTO returns SELECT generate_series(3, 5)")


@pytest.mark.usefixtures("moved_tables")
def test_producers_in_python(run_python, drain_all, connection):
    """What they send is applied, from the stream and from the list."""
    run_python(*code(HOW_TO / "migrating.md", "python"))
    drain_all()
    rows = found(connection, "SELECT * FROM orders ORDER BY _id")
    assert rows == [(1, 7, "north", "1"), (2, 6, "north", "1")]
    assert found(connection, "SELECT _id FROM returns ORDER BY _id") == [(4,), (5,)]


@pytest.mark.usefixtures("moved_tables")
def test_producers_in_javascript(run_script: RunScript, drain_all, connection):
    """The same for both of its clients, after one DELETE of a row that another producer made."""
    connection.execute("INSERT INTO orders VALUES (2, 6, 'north', '1')")
    for script in code(HOW_TO / "migrating.md", "javascript"):
        run_script(script)
    drain_all()
    rows = found(connection, "SELECT * FROM orders ORDER BY _id")
    assert rows == [
        (4, 5, "north", "1"),
        (5, 6, "north", "1"),
        (6, 8, "north", "1"),
    ]
    assert found(connection, "SELECT _id FROM returns") == [(3,)]


def test_the_hook_has_the_methods_that_the_page_names_beside_the_old_ones():
    """With these arguments in this order; each in Python's spelling of the old name."""
    page = (HOW_TO / "migrating.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \| `(\w+)\((.*?)\)` \|", page, re.M)
    assert len(named) == 5
    for old, new, arguments in named:
        assert re.sub(r"([A-Z])", lambda letter: f"_{letter[0].lower()}", old) == new
        _, *parameters = inspect.signature(getattr(BatchPostgresHook, new)).parameters
        assert parameters == [*arguments.split(", "), "scope"]


def test_producers_in_both_languages_choose_the_same_shard(
    run_python, run_script: RunScript, redis_client
):
    """For numbers and texts, one character of which is more than a byte."""
    keys = [1, 2, 3, 4, 5, 17, "a1", "17:3", "ñandú"]
    (in_python,), (in_javascript,) = (
        code(HOW_TO / "shards.md", language) for language in ("python", "javascript")
    )
    run_python(in_python, f"for key in {keys!r}: send('INSERT', {{'id': key}})")
    chosen = shards(redis_client)
    assert sum(chosen.values()) == len(keys)
    redis_client.flushdb()
    calls = "".join(f"await send('INSERT', {{ id: {key!r} }});\n" for key in keys)
    run_script(f"{in_javascript}{calls}await client.quit();")
    assert shards(redis_client) == chosen


def shards(redis_client) -> dict[bytes, int]:
    """Return how many messages each queue holds."""
    return {key: redis_client.xlen(key) for key in redis_client.keys("batchdrain:*")}
