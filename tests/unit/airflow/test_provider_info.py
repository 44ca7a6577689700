"""What Airflow reads to learn of the provider."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib import resources

import jsonschema  # type: ignore[import-untyped]

from batchdrain.configuration import OPTIONS
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.provider_info import get_provider_info


def test_it_is_valid_against_airflows_own_schema():
    schema = json.loads(
        resources.files("airflow").joinpath("provider_info.schema.json").read_text()
    )
    jsonschema.validate(get_provider_info(), schema)


def test_every_option_is_documented():
    options = get_provider_info()["config"]["batchdrain"]["options"]
    assert set(options) == {option.name for option in OPTIONS}
    assert all(
        {"description", "version_added", "type", "example", "default"} == set(option)
        for option in options.values()
    )


def test_every_module_and_class_that_it_names_exists():
    info = get_provider_info()
    for kind in ("operators", "hooks", "sensors", "triggers"):
        for module in info[kind][0]["python-modules"]:
            importlib.import_module(module)
    for path in (*info["queues"], *info["notifications"], *info["extra-links"]):
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name)
    for connection in info["connection-types"]:
        module, _, name = connection["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert hook.conn_type == connection["connection-type"]
        assert hook.hook_name == connection["hook-name"]


def test_the_connection_form_hides_what_is_secret():
    for connection in get_provider_info()["connection-types"]:
        for name, field in connection["conn-fields"].items():
            secret = "password" in name
            assert (field["schema"].get("format") == "password") is secret, name


def test_a_form_that_was_saved_as_it_came_is_a_connection(monkeypatch):
    """The UI stores the default of every field that nobody filled in, or null."""
    fields = next(
        connection["conn-fields"]
        for connection in get_provider_info()["connection-types"]
        if connection["connection-type"] == "batchdrain_redis"
    )
    for extra in (
        {name: field["schema"].get("default") for name, field in fields.items()},
        dict.fromkeys(fields),
        dict.fromkeys(fields, ""),
    ):
        connection = {"conn_type": "batchdrain_redis", "host": "h", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_FORM", json.dumps(connection))
        options = RedisQueueHook("form").client().connection_pool.connection_kwargs
        assert (options["host"], options["port"], options["db"]) == ("h", 6379, 0)
        assert (options["socket_connect_timeout"], options["socket_timeout"]) == (5, 10)


_SHOW = """
import sys
from airflow.cli import cli_parser

_COMMANDS = ("list", "get batchdrain", "hooks", "configs", "triggers", "queues", "links")
for command in map(str.split, _COMMANDS):
    print("==", command[0])
    arguments = cli_parser.get_parser().parse_args(["providers", *command, "--output", "json"])
    arguments.func(arguments)
"""


def test_airflow_shows_the_provider(airflow_home):
    """`airflow providers list`, `get`, `hooks` and so on, in one process to save time."""
    done = subprocess.run(
        [sys.executable, "-c", _SHOW], capture_output=True, text=True, check=True, timeout=120
    )
    _, listed, got, hooks, configs, triggers, queues, links = done.stdout.split("== ")
    assert '"batchdrain"' in listed
    assert '"0.1.0"' in got
    assert "batchdrain.hooks.postgres.BatchPostgresHook" in hooks
    assert "batchdrain.hooks.queue.RedisQueueHook" in hooks
    assert "batchdrain_postgres" in hooks
    assert "batchdrain_redis" in hooks
    assert "batchdrain" in configs
    assert "batchdrain.triggers.queue_backlog" in triggers
    assert "batchdrain.triggers.message_queue.BacklogMessageQueueProvider" in queues
    assert "batchdrain.operators.refused_link.RefusedRecordsLink" in links
    assert "Deprecat" not in done.stderr


_PLUGIN = """
import sys
from importlib.metadata import entry_points

(point,) = entry_points(group="airflow.plugins", name="batchdrain")
(app,) = point.load().fastapi_apps
assert app["url_prefix"] == "/batchdrain"
print([name for name in sys.modules if name in ("fastapi", "batchdrain.plugins.application")])
"""


def test_the_plugin_costs_a_worker_nothing():
    """Every component of Airflow loads it; what the pages need is imported when one is opened."""
    command = [sys.executable, "-c", _PLUGIN]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]"
