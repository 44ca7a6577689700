"""The form of a drain: what it shows, what it takes, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError

from batchdrain import configuration as options
from batchdrain.allow_list import AllowedTable, AllowList
from batchdrain.dags.factory import build_drain_dag
from batchdrain.dags.trigger_form import trigger_form

NAMED = AllowList((AllowedTable("flights", 2), AllowedTable("airports")))
FORM = trigger_form(NAMED)
OPTIONS = {option.name: option for option in options.OPTIONS}


@pytest.fixture
def dag() -> DAG:
    return build_drain_dag("d", tables="flights, airports", schedule=None)


@pytest.mark.parametrize("name", FORM)
def test_every_param_explains_itself(name: str) -> None:
    """Title, description, type, examples; a number has limits, and says what it is if empty."""
    schema = FORM[name].schema
    assert schema["title"]
    assert FORM[name].description
    assert schema["type"]
    assert schema["examples"]
    if not {"integer", "number"}.isdisjoint(schema["type"]):
        assert schema["minimum"] < schema["maximum"]
        assert str(FORM[name].description).endswith("Empty: as configured.")


def test_the_params_stand_in_sections() -> None:
    assert {name: param.schema.get("section") for name, param in FORM.items()} == {
        "tables": None,
        "batch_size": "Batches",
        "min_batch_size": "Batches",
        "max_batch_size": "Batches",
        "max_records": "Limits of each queue",
        "max_seconds": "Limits of each queue",
        "statement_style": "Statements",
        "max_refused_share": "Safety",
        "accept_rewound": "Safety",
        "dry_run": "Dry run",
        "dry_run_limit": "Dry run",
    }


@pytest.mark.parametrize("name", FORM)
def test_every_example_is_taken_by_the_form_and_by_the_task(name: str, dag: DAG) -> None:
    schema = FORM[name].schema
    for example in schema["examples"]:
        value = [example] if name == "tables" else example
        dag.params.update({name: value})
        dag.params.validate()
        if name in OPTIONS:
            OPTIONS[name].read(params={name: value})


@pytest.mark.parametrize(
    "params",
    [
        {"tables": ["planes"]},
        {"tables": "flights"},
        {"tables": [1]},
        {"batch_size": 0},
        {"batch_size": "many"},
        {"batch_size": 100_001},
        {"min_batch_size": 1.5},
        {"max_batch_size": True},
        {"max_records": -1},
        {"max_seconds": 0.5},
        {"max_refused_share": 2},
        {"statement_style": "copy"},
        {"accept_rewound": "yes"},
        {"dry_run": "true"},
        {"dry_run": 1},
        {"dry_run_limit": 0},
    ],
)
def test_a_wrong_value_is_refused_by_its_name(params: dict[str, Any], dag: DAG) -> None:
    with pytest.raises(ParamValidationError, match=f"param {next(iter(params))}:"):
        dag.params.update(params)


def test_several_tables_are_taken_or_none(dag: DAG) -> None:
    """The form sends null where a choice was taken back."""
    dag.params.update({"tables": ["airports", "flights"], "batch_size": 500, "max_seconds": 1.5})
    assert dag.params.validate()["tables"] == ["airports", "flights"]
    dag.params.update({"tables": None})
    assert dag.params.validate()["tables"] is None
    free = build_drain_dag("d", tables="*", schedule=None)
    free.params.update({"tables": ["anything"]})
    assert free.params.validate()["tables"] == ["anything"]
