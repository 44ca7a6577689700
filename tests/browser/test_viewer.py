"""What a user with the role Viewer can't do."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from airflow_pages import TriggerForm
from batchdrain.demo.airflow_client import AirflowApiError
from fix_airflow import RunningAirflow


@pytest.mark.parametrize("dag_id", ["drain_tables", "control_queues", "redrive_errors"])
def test_a_viewer_starts_nothing_in_the_form_nor_over_the_api(
    airflow: RunningAirflow, viewer: Page, dag_id: str
) -> None:
    """Airflow shows the form to everybody who may see the DAG, and refuses it when it is sent."""
    before = airflow.client.runs(dag_id)
    form = TriggerForm.of(viewer, dag_id)
    form.send()
    expect(form.dialog).to_contain_text("403 Forbidden")
    with pytest.raises(AirflowApiError) as refused:
        airflow.viewer().trigger(dag_id)
    assert refused.value.status == 403
    assert airflow.client.runs(dag_id) == before
