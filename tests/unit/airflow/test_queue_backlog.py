"""The arguments of trigger and sensor, and what Airflow keeps of a trigger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.models.trigger import Trigger
from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

from batchdrain.errors import ConfigurationError
from batchdrain.sensors.queue_backlog import QueueBacklogSensor
from batchdrain.triggers.looks import LONGEST_WAIT, wait_after
from batchdrain.triggers.queue_backlog import QueueBacklogTrigger

PATH = "batchdrain.triggers.queue_backlog.QueueBacklogTrigger"


def kept(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that Airflow keeps of a trigger."""
    path, arguments = QueueBacklogTrigger(**arguments).serialize()
    assert path == PATH
    return arguments


def test_queues_are_named_by_their_tables_or_by_their_keys():
    keys = ["batchdrain:orders", "batchdrain:flights:0", "batchdrain:flights:1"]
    assert kept(tables="orders, flights:2")["queues"] == keys
    assert kept(tables=["orders", "flights:2"])["queues"] == keys
    assert kept(queues=keys)["queues"] == keys
    assert kept(queues=[*keys, keys[0]])["queues"] == keys
    assert kept(queues="batchdrain:sales.orders")["queues"] == ["batchdrain:sales.orders"]
    assert kept(tables="orders", prefix="other")["queues"] == ["other:orders"]


def test_what_is_left_out_comes_from_the_section(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "orders")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__PREFIX", "shop")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__REDIS_CONN_ID", "shop_queues")
    found = kept()
    assert found == {
        "queues": ["shop:orders"],
        "prefix": "shop",
        "redis_conn_id": "shop_queues",
        "threshold": 1,
        "cooldown": 30.0,
        "poll_interval": 0.5,
    }


def test_the_triggerer_makes_the_same_trigger_whatever_its_own_section_says(monkeypatch):
    """An error there would end the triggerer, with the triggers of everybody."""
    found = kept(tables="orders", cooldown=timedelta(minutes=2), threshold="7")
    assert (found["cooldown"], found["threshold"]) == (120.0, 7)
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__PREFIX", "{bad}")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "*")
    assert kept(**found) == found


def test_airflow_knows_a_trigger_again_when_it_reads_the_dag_file_again(airflow_home):
    """Otherwise it would start it anew, without its cooldown, at each reading."""
    first = QueueBacklogTrigger(tables=["orders", "flights:2"], cooldown=5)
    stored = Trigger.from_object(first)
    again = QueueBacklogTrigger(tables="orders, flights:2", cooldown=5.0)
    assert BaseEventTrigger.hash(stored.classpath, stored.kwargs) == BaseEventTrigger.hash(
        *again.serialize()
    )


def test_the_scheme_of_a_message_queue_leads_to_it():
    generic = MessageQueueTrigger(scheme="batchdrain+redis", tables="orders", threshold=9)
    assert generic.serialize() == QueueBacklogTrigger(tables="orders", threshold=9).serialize()
    AssetWatcher(name="orders", trigger=generic)
    assert Asset("orders", watchers=[AssetWatcher("orders", generic)]).watchers


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"tables": "orders", "threshold": 0}, "argument threshold is 0, but .* at least 1"),
        ({"tables": "orders", "threshold": "many"}, "argument threshold is 'many'"),
        ({"tables": "orders", "cooldown": 0}, "argument cooldown is 0, but .* at least 1"),
        ({"tables": "orders", "poll_interval": 0.01}, "argument poll_interval is 0.01"),
        ({"tables": "orders", "poll_interval": float("nan")}, "argument poll_interval is nan"),
        ({"tables": "*"}, r"tables to watch are \*.* name them"),
        ({"tables": "a b"}, "argument tables is 'a b'"),
        ({"tables": "orders", "queues": "batchdrain:orders"}, "tables and queues both"),
        ({"queues": []}, r"argument queues is \[\]"),
        ({"queues": [5]}, r"argument queues is \[5\]"),
        ({"queues": "orders"}, "'orders' is wrong: it does not begin with batchdrain:"),
        ({"queues": "batchdrain:a:b:c"}, "too many parts"),
        ({"tables": "orders", "prefix": "{x}"}, "argument prefix is"),
        ({"tables": "orders", "redis_conn_id": " "}, "argument redis_conn_id is"),
        ({}, "option tables has no value: set it in section"),
    ],
)
def test_a_bad_argument_is_named_when_the_file_is_parsed(arguments, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        QueueBacklogTrigger(**arguments)


def test_waits_for_a_server_that_is_away_double_up_to_a_bound():
    for failures in range(1, 2_000):
        longest = min(LONGEST_WAIT, 0.5 * 2.0 ** min(failures, 30))
        assert longest / 2 <= wait_after(failures, 0.5) <= longest


def test_the_sensor_looks_every_five_seconds_unless_told_otherwise():
    assert QueueBacklogSensor(task_id="w", tables="orders").poke_interval == 5
    every_two = QueueBacklogSensor(task_id="w", poke_interval=timedelta(seconds=2))
    assert every_two.poke_interval == 2
    assert {"tables", "queues", "threshold"} <= set(every_two.template_fields)
