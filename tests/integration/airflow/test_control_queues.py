"""Looking at queues, holding and releasing them, and removing messages, against real servers."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException

from batchdrain.engine.position import positions
from batchdrain.operators.control_queues import ControlQueuesOperator
from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.list_queues import ListQueuesOperator
from batchdrain.operators.summarize_errors import SummarizeErrorsOperator
from fix_airflow_home import REPOSITORY
from fix_drain_dag import insert, parsed, push
from fix_task_context import TaskStandIn, drain_context

pytestmark = pytest.mark.usefixtures("airflow_connections")

KEY = "batchdrain:things"


@pytest.fixture(autouse=True)
def things(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")


def control(action: str, allowed: str = "things", **params: Any) -> dict[str, Any]:
    operator = ControlQueuesOperator(task_id="control", tables=allowed)
    return operator.execute(drain_context(action=action, **params))


def listed() -> list[dict[str, Any]]:
    return ListQueuesOperator(task_id="list_queues", tables="things").execute(drain_context())


def drain() -> dict[str, Any]:
    return DrainQueueOperator(task_id="drain", queue_key=KEY).execute(drain_context())


def test_a_held_queue_is_not_drained_until_it_is_released(redis_client, connection, capsys):
    push(redis_client, KEY, insert(id=1, name="n"))
    assert control("hold") == {"action": "hold", "queues": [KEY], "removed": 0}
    assert listed() == []
    assert f"{KEY}: 1 messages, left out: it is held" in capsys.readouterr().out
    assert drain()["ending"] == "held"
    summary = SummarizeErrorsOperator(task_id="summary").execute(drain_context())
    assert summary["stopped"] == [KEY]
    assert f"{KEY} is held" in capsys.readouterr().out
    assert positions(connection, [KEY])[KEY].held
    control("release")
    assert drain()["applied"] == 1


@pytest.mark.parametrize("pushed", ["stream", "list"])
def test_looking_shows_how_queues_stand_and_no_value(redis_client, capsys, pushed):
    bodies = [
        b'{"operation": "INSERT", "record": {"id": 1, "name": "a secret"}}',
        b'{"operation": "delete", "records": [{"id": 1}, {"id": 2}]}',
        b"no secret either",
    ]
    for body in bodies:
        if pushed == "stream":
            redis_client.xadd(KEY, {"data": body})
        else:
            redis_client.rpush(KEY, body)
    control("look", messages=5)
    log = capsys.readouterr().out
    assert "id, name" in log
    assert "DELETE" in log
    assert "(malformed)" in log
    assert "secret" not in log
    assert re.search(rf"{KEY} +{pushed} +new +3 ", log)
    assert drain()["messages"] == 3


def test_messages_are_removed_only_when_the_queue_is_named(redis_client):
    push(redis_client, KEY, *(insert(id=n, name="n") for n in range(5)))
    with pytest.raises(AirflowFailException, match=f"Param confirm has to be .*{KEY}"):
        control("remove", remove=2)
    with pytest.raises(AirflowFailException, match="Param confirm"):
        control("remove", remove=2, confirm="batchdrain:others")
    with pytest.raises(AirflowFailException, match="has 5 messages"):
        control("remove", remove=6, confirm=KEY)
    assert control("remove", remove=2, confirm=KEY)["removed"] == 2
    assert drain()["applied"] == 3


def test_a_second_try_removes_nothing(redis_client):
    """An earlier one may have removed messages before it failed."""
    push(redis_client, KEY, *(insert(id=n, name="n") for n in range(5)))
    context = drain_context(TaskStandIn(try_number=2), action="remove", remove=2, confirm=KEY)
    with pytest.raises(AirflowFailException, match="not the first try"):
        ControlQueuesOperator(task_id="control", tables="things").execute(context)
    assert drain()["applied"] == 5


@pytest.mark.parametrize("tables", ["others, things", "things, others"])
def test_a_key_that_is_no_queue_keeps_no_other_from_being_held(
    redis_client, connection, capsys, tables
):
    redis_client.set("batchdrain:others", "x")
    push(redis_client, KEY, insert(id=1, name="n"))
    assert control("hold", tables)["queues"] == [KEY]
    assert positions(connection, [KEY])[KEY].held
    assert "batchdrain:others is a string" in capsys.readouterr().out


@pytest.mark.parametrize("chosen", [[], ["others"]])
def test_where_no_key_is_a_queue_nothing_is_held_and_that_is_no_success(
    redis_client, connection, chosen
):
    redis_client.set("batchdrain:others", "x")
    for action in ("hold", "release"):
        said = f"{action}: done for no queue, .*: batchdrain:others; .* is a string"
        with pytest.raises(AirflowFailException, match=said):
            control(action, "others", tables=chosen)
    assert positions(connection, ["batchdrain:others"]) == {}
    assert control("look", "others", tables=chosen)["queues"] == []
    assert control("hold", "*")["queues"] == []


def test_ids_that_a_producer_chose_need_not_be_times(redis_client):
    redis_client.xadd(KEY, {"data": "{}"}, id="1764174790000000-1")
    assert control("look")["queues"] == [KEY]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"action": "purge"}, "one of look, hold, release, remove"),
        ({"action": "hold", "tables": ["others"]}, "may not be drained"),
        ({"action": "hold", "shard": 7}, "no such queue"),
        ({"action": "remove", "remove": 1, "tables": ["things"]}, "one queue at a time"),
        ({"action": "remove", "tables": ["things"], "shard": 0}, "Param remove must be a number"),
        ({"action": "look", "messages": 0}, "Param messages must be a number"),
    ],
)
def test_a_wrong_param_is_refused_with_a_sentence(params, sentence):
    with pytest.raises(AirflowFailException, match=sentence):
        control(allowed="things:2", **params)


def test_of_a_table_with_shards_one_can_be_chosen(redis_client, connection):
    for shard in (0, 1):
        push(redis_client, f"{KEY}:{shard}", insert(id=shard, name="n"))
    assert control("hold", "things:2", shard=1)["queues"] == [f"{KEY}:1"]
    assert [*positions(connection, [f"{KEY}:0", f"{KEY}:1"])] == [f"{KEY}:1"]
    assert control("look", "*")["queues"] == [f"{KEY}:0", f"{KEY}:1"]


@pytest.mark.parametrize("pushed", ["stream", "list"])
def test_of_a_queue_that_there_was_before_a_hold_does_not_say_that_it_is_new(
    redis_client, capsys, pushed
):
    """Drained to empty, a list has no key; nor has a queue that somebody has deleted."""
    if pushed == "stream":
        push(redis_client, KEY, insert(id=1, name="n"))
    else:
        redis_client.rpush(KEY, b'{"operation": "INSERT", "record": {"id": 1, "name": "n"}}')
    assert drain()["applied"] == 1
    control("hold")
    redis_client.delete(KEY)
    control("hold")
    assert "does not exist yet" not in capsys.readouterr().out


def test_a_queue_is_held_before_its_first_message_comes(redis_client, connection, capsys):
    """Where all tables may be drained, too: hold, then let the producers begin."""
    for allowed in ("things", "*"):
        assert control("hold", allowed, tables=["things"])["queues"] == [KEY]
        told = capsys.readouterr().out
        assert f"{KEY} does not exist yet, and is held for when its first message comes" in told
    assert listed() == []
    assert f"{KEY}: no messages, and it is held" in capsys.readouterr().out
    push(redis_client, KEY, insert(id=1, name="n"))
    assert drain()["ending"] == "held"
    with pytest.raises(AirflowFailException, match="no such queue"):
        control("hold", "*", tables=["thing"])


def test_a_queue_that_is_held_before_it_exists_is_released_with_all_others(connection):
    """Where all tables may be drained Redis tells of the queues, and does not know this one yet."""
    control("hold", "*", tables=["things"])
    assert control("look", "*")["queues"] == [KEY]
    assert control("release", "*")["queues"] == [KEY]
    assert not positions(connection, [KEY])[KEY].held


@pytest.mark.parametrize("conf", [{"table": ["things"]}, {"actions": "hold"}, {"shards": 1}])
def test_a_name_that_no_param_has_is_refused_and_nothing_held(conf, redis_client, monkeypatch):
    """Passed over, it would leave the choice open: all queues would be held."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "things")
    push(redis_client, KEY, insert(id=1, name="n"))
    dag = parsed(REPOSITORY / "dags" / "control_queues.py", "control_queues")
    assert dag.test(run_conf={"action": "hold", **conf}).state == "failed"
    assert drain()["applied"] == 1


def test_the_shipped_dag_does_what_its_form_says(redis_client, monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "things")
    push(redis_client, KEY, insert(id=1, name="n"))
    dag = parsed(REPOSITORY / "dags" / "control_queues.py", "control_queues")
    assert dag.test(run_conf={"action": "hold"}).state == "success"
    assert drain()["ending"] == "held"
    assert dag.test(run_conf={"action": "release"}).state == "success"
    assert drain()["applied"] == 1
