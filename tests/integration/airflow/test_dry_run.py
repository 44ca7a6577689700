"""A dry run from the form to the summary: everything is told, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from batchdrain.engine.position import create_state
from batchdrain.operators.drain_queue import DrainQueueOperator
from batchdrain.operators.list_queues import ListQueuesOperator
from batchdrain.operators.summarize_errors import SummarizeErrorsOperator
from fix_drain_dag import insert, push
from fix_task_context import TaskStandIn, drain_context
from traces import traces

pytestmark = pytest.mark.usefixtures("airflow_connections")

KEY = "batchdrain:things"
SECRET = "4711-not-for-logs"


@pytest.fixture(autouse=True)
def things(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text NOT NULL)")


@pytest.fixture
def untouched(database, redis_client):
    """Check that what is done meanwhile leaves no trace."""

    @contextmanager
    def check() -> Iterator[None]:
        before = traces(database, redis_client)
        yield
        assert traces(database, redis_client) == before

    return check


def dry(task: TaskStandIn | None = None, **params: Any) -> Any:
    return drain_context(task, dry_run=True, **params)


def drain(**arguments: Any) -> DrainQueueOperator:
    return DrainQueueOperator(task_id="drain", **{"queue_key": KEY, **arguments})


def listed(context: Any, **arguments: Any) -> list[dict[str, Any]]:
    return ListQueuesOperator(task_id="list_queues", tables="things", **arguments).execute(context)


def test_it_tells_what_a_drain_would_do_and_announces_nothing(redis_client, untouched, capsys):
    """Operations with their columns, refused records by type and id, never values."""
    push(redis_client, KEY, *(insert(id=n, name=SECRET) for n in range(5)))
    push(redis_client, KEY, insert(id=7, name=None), insert(id=SECRET, name="n"))
    context = dry()
    with untouched():
        found = drain().execute(context)
    assert found.pop("seconds") > 0
    assert found == {
        "dry_run": True,
        "queue": KEY,
        "table": "things",
        "waiting": 7,
        "messages": 7,
        "records": 7,
        "would_apply": 5,
        "would_refuse": 2,
        "brake": None,
        "remarks": [],
    }
    assert not context["outlet_events"]
    log = capsys.readouterr().out
    assert "dry run: nothing is changed" in log
    assert "would apply: INSERT of 5 records, columns id, name" in log
    assert "would refuse: not_null_violation in name: 1: 7" in log
    assert f"would refuse: invalid_text_representation in id: 1: {SECRET}" in log
    assert log.count(SECRET) == 1
    last = log.splitlines()[-1]
    assert "of 7 records 5 would be applied and 2 refused" in last
    assert "nothing was changed" in last


def test_params_bound_it_and_choose_the_style(redis_client, untouched, capsys):
    push(redis_client, KEY, *(insert(id=n, name=None) for n in range(30)))
    with untouched():
        assert drain(dry_run_limit=20).execute(dry())["records"] == 20
        assert drain(dry_run_limit=20).execute(dry(dry_run_limit=10))["records"] == 10
        assert drain().execute(dry(max_records=5, statement_style="values"))["records"] == 5
        braked = drain(brake_after=20).execute(dry())["brake"]
        assert drain(brake_after=20).execute(dry(max_refused_share=1))["brake"] is None
    assert "not_null_violation in column name" in braked
    assert braked in capsys.readouterr().out


def test_a_lock_ends_the_try_with_a_sentence_and_the_next_one_goes_through(
    redis_client, database, untouched, monkeypatch, capsys
):
    """It is tried again as a drain is: a lock says nothing about the records."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__LOCK_TIMEOUT", "0.3")
    push(redis_client, KEY, insert(id=1, name="n"))
    with psycopg.connect(database) as other, untouched():
        other.execute("LOCK TABLE things IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(AirflowException, match="nothing was changed") as failed:
            drain().execute(dry())
        other.rollback()
    assert not isinstance(failed.value, AirflowFailException)
    assert "another session keeps rows or tables locked" in capsys.readouterr().out.splitlines()[-1]
    assert drain().execute(dry())["would_apply"] == 1


def test_a_kill_before_it_starts_ends_it(redis_client, untouched):
    push(redis_client, KEY, insert(id=1, name="n"))
    operator = drain()
    operator.on_kill()
    with untouched(), pytest.raises(AirflowException, match="nothing was changed"):
        operator.execute(dry())


def test_every_queue_with_a_backlog_is_tried_whoever_has_it(
    redis_client, connection, untouched, capsys
):
    """On hold, being drained, about to be tried again: a dry run disturbs nobody."""
    push(redis_client, KEY, insert(id=1, name="n"))
    with untouched():
        assert [each["queue_key"] for each in listed(dry())] == [KEY]
    other = TaskStandIn("test_dag", "other run", "drain", map_index=0)
    drain().execute(drain_context(other))
    connection.execute("UPDATE batchdrain.position SET owner = 'token'")
    push(redis_client, KEY, insert(id=2, name="n"))
    for state, reason in (("running", "is draining it"), ("up_for_retry", "will try it again")):
        task = TaskStandIn(others={"other run": {"drain_0": state}})
        assert listed(drain_context(task)) == []
        with untouched():
            assert [each["queue_key"] for each in listed(dry(task))] == [KEY]
        assert f"is tried although run other run {reason}" in capsys.readouterr().out
    connection.execute("UPDATE batchdrain.position SET held = true")
    with untouched():
        assert listed(dry()) == [{"queue_key": KEY, "parents": {}}]
        assert drain().execute(dry())["would_apply"] == 1
    log = capsys.readouterr().out
    assert "dry run: queues are tried, and nothing is changed" in log
    assert f"{KEY}: is tried although it is held" in log
    assert "1 queues to try, 0 left out" in log
    assert "the queue is on hold: a drain would apply nothing" in log


def test_nobody_lingers_or_waits_for_parents(redis_client, connection, untouched):
    connection.execute("CREATE TABLE parts (id integer PRIMARY KEY, thing int REFERENCES things)")
    push(redis_client, "batchdrain:parts", insert(id=1, thing=1))
    push(redis_client, KEY, insert(id=1, name="n"))
    operator = ListQueuesOperator(task_id="list", tables="parts, things", linger="always")
    with untouched():
        found = operator.execute(dry())
    assert sorted(each["queue_key"] for each in found) == ["batchdrain:parts", KEY]
    assert all(each == {"queue_key": each["queue_key"], "parents": {}} for each in found)
    with untouched():
        assert drain(queue_key="batchdrain:parts").execute(dry())["would_refuse"] == 1


def test_the_summary_tells_what_was_tried_and_claims_nothing(
    redis_client, connection, untouched, monkeypatch, capsys
):
    """From the drains' figures, without an alert; what could not be tried is named."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__ALERT_REFUSED_SHARE", "0")
    push(redis_client, KEY, insert(id=1, name="n"), insert(id=2, name=None))
    context = dry()
    plan = [*listed(context), {"queue_key": "batchdrain:gone", "parents": {}}]
    task = TaskStandIn(
        returned={"list_queues": plan, "drain": [drain(brake_after=1).execute(dry()), None]}
    )
    capsys.readouterr()
    with untouched():
        found = SummarizeErrorsOperator(task_id="summary").execute(dry(task))
    assert (found["dry_run"], found["failed"]) == (True, ["batchdrain:gone"])
    assert [each["would_apply"] for each in found["tried"]] == [1]
    log = capsys.readouterr().out
    assert "would apply  would refuse" in log
    assert "could not be tried, see the logs of their tasks: batchdrain:gone" in log
    sentence = "dry run: of 1 queues 1 records would be applied and 1 refused; nothing was changed"
    assert sentence in log.splitlines()[-1]
    assert "this run" not in log
    create_state(connection)
    nothing = SummarizeErrorsOperator(task_id="summary").execute(dry(TaskStandIn()))
    assert nothing == {"dry_run": True, "tried": [], "failed": []}


@pytest.mark.parametrize("value", ["true", "false", 1, "yes"])
def test_what_is_neither_true_nor_false_drains_nothing(redis_client, untouched, value):
    """Taken for false it would drain; taken for true, a queue could be accepted by mistake."""
    push(redis_client, KEY, insert(id=1, name="n"))
    sentence = f"The Param dry_run is {value!r}, but it must be true or false"
    with untouched():
        for operator in (drain(), ListQueuesOperator(task_id="l", tables="things")):
            with pytest.raises(AirflowFailException, match=sentence):
                operator.execute(drain_context(dry_run=value))
        with pytest.raises(AirflowFailException, match="accept_rewound is"):
            drain().execute(drain_context(accept_rewound=value))


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"min_batch_size": 9, "max_batch_size": 8}, "min_batch_size is 9, but max_batch_size"),
        ({"batch_size": "many"}, "The Param batch_size is 'many', but"),
        ({"max_seconds": 0}, "The Param max_seconds is 0, but"),
        ({"statement_style": "copy"}, "The Param statement_style is 'copy', but"),
        ({"dry_run_limit": 0}, "The Param dry_run_limit is 0, but"),
        ({"accept_rewound": "no"}, "The Param accept_rewound is 'no', but"),
        ({"tables": ["planes"]}, "'planes' may not be drained; these tables may: things"),
        ({"tables": "things"}, "must be a list of names"),
    ],
)
def test_a_wrong_param_fails_the_list_once_and_not_each_drain(params, sentence):
    """Where nothing has a backlog, too."""
    with pytest.raises(AirflowFailException, match=sentence):
        listed(drain_context(**params))


def test_a_size_that_makes_the_others_meaningless_comes_first(redis_client):
    push(redis_client, KEY, insert(id=1, name="n"))
    sizes = {"batch_size": 5, "min_batch_size": 9, "max_batch_size": 8}
    assert [each["queue_key"] for each in listed(drain_context(**sizes))] == [KEY]
