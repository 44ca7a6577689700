"""The DAG files as Airflow's DAG processor sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseHook, Param
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from batchdrain.dags.control import build_control_dag
from batchdrain.dags.factory import build_drain_dag
from batchdrain.dags.preflight import build_preflight_dag
from batchdrain.dags.redrive import build_redrive_dag
from batchdrain.demo.installation import BY_HAND, DAG_ID
from batchdrain.errors import ConfigurationError
from fix_airflow_home import REPOSITORY

EXAMPLES = REPOSITORY / "provider" / "batchdrain" / "example_dags"


def bag(folder) -> DagBag:
    return DagBag(folder, bundle_name="shipped")


def test_parsing_opens_no_connection_and_reads_none(monkeypatch):
    """Sockets and connection look-ups fail here, and every DAG file is parsed all the same."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("parsing must not do this")

    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "flights:2, airports")
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    for folder in (REPOSITORY / "dags", EXAMPLES):
        parsed = bag(folder)
        assert not parsed.import_errors
        assert parsed.dags
        for dag in parsed.dags.values():
            DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))


def test_example_dags_load_without_an_error_or_a_deprecation_warning(airflow_home):
    """As with load_examples on, in a process where every warning of ours is an error."""
    script = (
        "import warnings; warnings.filterwarnings('error', module='batchdrain')\n"
        "from airflow.dag_processing.bundles.manager import DagBundlesManager\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        "bundle = DagBundlesManager().get_bundle('batchdrain-example-dags')\n"
        "bag = DagBag(bundle.path, bundle_name=bundle.name)\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "print(sorted(bag.dags))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "AIRFLOW__CORE__LOAD_EXAMPLES": "True"},
    )
    assert done.returncode == 0, done.stderr
    examples = sorted(file.stem for file in EXAMPLES.glob("example_*.py"))
    assert str(examples) in done.stdout
    log = done.stdout + done.stderr
    assert "[error" not in log
    assert not [line for line in log.splitlines() if "batchdrain" in line and "Deprecat" in line]


def test_the_shipped_dag_tells_its_cadence_where_a_user_looks(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TIMEZONE", "America/Mexico_City")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "flights:2, airports")
    dag = bag(REPOSITORY / "dags").dags["drain_tables"]
    words = "every 60 s; every 15 s 07:00\u201308:00 America/Mexico_City"
    assert words in (dag.description or "")
    assert words in (dag.doc_md or "")
    assert {"every 60 s", "every 15 s 07:00\u201308:00 America/Mexico_City"} <= set(dag.tags)
    assert dag.params.get_param("tables").schema["items"]["enum"] == ["flights", "airports"]
    assert dag.params.get_param("dry_run").schema["title"] == "Dry run"
    assert dag.max_active_runs == 3
    assert not dag.catchup


def test_the_control_dag_waits_for_nothing_but_its_form(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "flights:2, airports")
    dag = bag(REPOSITORY / "dags").dags["control_queues"]
    assert [dag.schedule] == [None]
    assert not dag.is_paused_upon_creation
    assert dag.params.get_param("tables").schema["items"]["enum"] == ["flights", "airports"]
    assert dag.params.get_param("action").schema["enum"] == ["look", "hold", "release", "remove"]


def test_the_preflight_dag_parses_where_its_options_are_bad(monkeypatch):
    """It is there to say what is wrong with them."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "a:b:c")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__CADENCE", "7 s")
    dag = bag(REPOSITORY / "dags").dags["preflight"]
    assert [dag.schedule] == [None]
    assert not dag.is_paused_upon_creation
    assert dag.task_ids == ["look"]


def test_the_package_carries_the_shipped_dags():
    """The demo copies them from there."""
    texts = {
        (REPOSITORY / "provider" / "batchdrain" / "dags" / f"{name}.py").read_text()
        for name in (DAG_ID, *BY_HAND)
    }
    assert texts == {file.read_text() for file in (REPOSITORY / "dags").glob("*.py")}


def test_the_dag_has_the_tasks_that_make_a_failed_drain_a_failed_run():
    dag = build_drain_dag("d", tables="flights", pool="orders", schedule=None)
    assert dag.get_task("list_queues").downstream_task_ids == {"drain", "watch_pool"}
    assert "watch_pool" not in build_drain_dag("d", tables="flights", schedule=None).task_ids
    assert dag.get_task("drain").downstream_task_ids == {"summarize_errors", "all_drained"}
    assert dag.get_task("drain").pool == "orders"
    assert dag.get_task("list_queues").pool == "default_pool"
    assert dag.get_task("summarize_errors").trigger_rule == "all_done"
    assert dag.get_task("all_drained").trigger_rule == "none_failed"


def test_arguments_come_before_the_section(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__CADENCE", "120")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__PEAK_WINDOW", "none")
    assert {"every 120 s"} <= set(build_drain_dag("d").tags)
    assert {"every 300 s"} <= set(build_drain_dag("d", cadence=300).tags)
    started = build_drain_dag("d", start_date=datetime(2026, 1, 1, tzinfo=UTC))
    assert started.start_date.year == 2026


def test_lingering_stands_in_words_beside_the_cadence(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__LINGER", "peak")
    assert "08:00 UTC; lingering at the peak" in (build_drain_dag("d").description or "")
    assert (build_drain_dag("d", linger="off").description or "").endswith("08:00 UTC")
    with pytest.raises(ConfigurationError, match="argument linger is 'yes', but it must be one of"):
        build_drain_dag("d", linger="yes")


def test_a_bad_option_is_named_when_the_file_is_parsed(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__CADENCE", "7 s")
    with pytest.raises(ConfigurationError, match=r"option cadence of section \[batchdrain\]"):
        build_drain_dag("d")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("batch_size", 0),
        ("batch_size", "many"),
        ("max_records", -1),
        ("max_seconds", "nan"),
        ("max_refused_share", 1.5),
        ("statement_style", "copy"),
        ("scope", "tenant"),
        ("left_push", "orders:4"),
        ("scope", {"tenant": "record"}),
        ("tables", 5),
    ],
)
def test_a_bad_argument_is_named_when_the_file_is_parsed(argument, value):
    with pytest.raises(ConfigurationError, match=f"The argument {argument} is "):
        build_drain_dag("d", schedule=None, **{argument: value})


def test_an_argument_that_is_a_template_waits_for_the_task(monkeypatch):
    """A bad option of the section isn't met when an argument is checked, either."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__MAX_SECONDS", "soon")
    dag = build_drain_dag("d", schedule=None, batch_size="{{ var.value.size }}", max_records="none")
    assert dag.get_task("drain").partial_kwargs["batch_size"] == "{{ var.value.size }}"


def test_what_a_user_shows_of_the_dag_comes_before_ours():
    dag = build_drain_dag(
        "d",
        schedule=None,
        tables="flights",
        description="ours",
        doc_md="# ours",
        catchup=False,
        params={"region": "mx", "batch_size": 50, "max_seconds": Param(9, type="integer")},
    )
    assert (dag.description, dag.doc_md, dag.catchup) == ("ours", "# ours", False)
    shown = dag.params.validate()
    assert (shown["region"], shown["batch_size"], shown["max_seconds"]) == ("mx", 50, 9)
    assert shown["tables"] == []
    tried = build_drain_dag("d", schedule=None, tables="flights", params={"dry_run": True})
    assert tried.params.validate()["dry_run"] is True
    with pytest.raises(ParamValidationError, match="param batch_size:"):
        dag.params.update({"batch_size": 0})


def test_the_forms_of_dags_by_hand_take_other_defaults_and_further_params():
    given = {"action": "hold", "shard": 1, "ticket": "none"}
    shown = build_control_dag("c", tables="flights:2", params=given).params.validate()
    assert {name: shown[name] for name in given} == given
    shown = build_redrive_dag("r", tables="a, b", params={"table": "b"}).params.validate()
    assert (shown["action"], shown["table"]) == ("inspect", "b")
    assert build_preflight_dag("p", params={"ticket": 1}).params.validate() == {"ticket": 1}
    with pytest.raises(ConfigurationError, match="The argument params must be a dict"):
        build_redrive_dag("r", tables="a", params=5)


@pytest.mark.parametrize(("argument", "value"), [("catchup", True), ("params", 5)])
def test_an_argument_that_a_drain_cannot_have_is_refused_in_a_sentence(argument, value):
    with pytest.raises(ConfigurationError, match=f"The argument {argument} "):
        build_drain_dag("d", schedule=None, **{argument: value})


@pytest.mark.parametrize(
    ("argument", "value"),
    [("cadence", 60), ("peak_cadence", 15), ("peak_window", "none"), ("timezone", "UTC")],
)
def test_the_rhythm_of_the_configuration_and_a_schedule_of_ones_own_exclude_each_other(
    argument: str, value: object
) -> None:
    with pytest.raises(
        ConfigurationError, match=f"argument {argument} has no effect on a schedule"
    ):
        build_drain_dag("d", schedule="@hourly", **{argument: value})
