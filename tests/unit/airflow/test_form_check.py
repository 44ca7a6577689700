"""What a run was triggered with, where Airflow lets it through."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from batchdrain.dags.factory import build_drain_dag
from batchdrain.errors import ConfigurationError
from batchdrain.operators.form_check import check_form


def context(**conf: Any) -> Any:
    """Return what a task sees of a run that was triggered with this."""
    dag = build_drain_dag("d", tables="flights", schedule=None, params={"region": "mx"})
    params = {**dag.params.dump(), **conf}
    return {"params": params, "dag": dag, "dag_run": SimpleNamespace(conf=conf)}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *((name, "dry_run") for name in ("dryrun", "dry-run", "DRY_RUN", "Dry run", "dry_runs")),
        ("table", "tables"),
        ("max_record", "max_records"),
        ("max-batch-size", "max_batch_size"),
        ("accept_rewind", "accept_rewound"),
    ],
)
def test_a_misspelt_param_is_refused_and_the_right_one_named(name: str, meant: str) -> None:
    """Passed over, a run that was meant to be tried would drain."""
    with pytest.raises(ConfigurationError, match=f"{name!r}, .* did you mean '{meant}'"):
        check_form(context(**{name: True}))


def test_what_belongs_to_others_is_left_alone() -> None:
    """A deployment may give a run more than our Params."""
    check_form(context(region="us", ticket="OPS-1", reason="dry run first", owner="me"))
    without: Any = {"params": {}}
    check_form(without)
    empty: Any = {**context(), "dag_run": SimpleNamespace(conf=None)}
    check_form(empty)


def test_a_form_that_airflow_does_not_hand_on_is_refused() -> None:
    """With dag_run_conf_overrides_params off a run that was to be tried would drain."""
    ignored: Any = {**context(dry_run=True), "params": {"dry_run": False}}
    with pytest.raises(ConfigurationError, match=r"dry_run, .* dag_run_conf_overrides_params"):
        check_form(ignored)
    check_form(context(dry_run=True, tables=["flights"], max_seconds=1.5))
