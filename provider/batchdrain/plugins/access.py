"""Who may see a page. What Airflow does not declare public is used in this module alone.

An app of a plugin is open to everybody unless it demands a login itself.
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
from airflow.models.dag import DagModel
from airflow.models.serialized_dag import SerializedDagModel
from fastapi import Depends

LOGGED_IN = Depends(get_user)
"""Demands a login."""

READER = Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))
"""Demands a login, and the permission to read the logs of the DAG that the path names."""

OPERATOR = Depends(requires_access_dag("POST", DagAccessEntity.RUN))
"""Demands a login, and the permission to trigger the DAG that the path names."""


def may_read(dag_id: str, user: Any) -> bool:
    """Whether there is such a DAG, and this user may read it."""
    if DagModel.get_dagmodel(dag_id) is None:
        return False
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(get_auth_manager().is_authorized_dag(method="GET", details=details, user=user))


def tasks_of(dag_id: str) -> list[Any] | None:
    """Return the tasks of a DAG as they were parsed last; None where there is no such DAG."""
    dag = SerializedDagModel.get_dag(dag_id)
    return None if dag is None else list(dag.tasks)


def form_of(dag_id: str) -> dict[str, Any]:
    """Return the Params of a DAG and their defaults; empty where there is no such DAG."""
    dag = SerializedDagModel.get_dag(dag_id)
    return {} if dag is None else dict(dag.params.dump())
