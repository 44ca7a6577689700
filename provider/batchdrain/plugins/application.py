"""Our pages: what of a DAG's tables was refused. They change nothing, in any database.

Whoever may read the DAG's logs sees what these tell, too: types, fields, ids. The values of a
record are for those who may trigger the DAG.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import psycopg
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from batchdrain.engine.catalog import read_table
from batchdrain.engine.refused_view import RefusedView, Shown, tables_with_errors
from batchdrain.errors import BatchdrainError, SystemicError
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.plugins import page
from batchdrain.plugins.access import LOGGED_IN, OPERATOR, READER, tasks_of
from batchdrain.plugins.reach import Reach, chosen, reach_of
from batchdrain.plugins.replay import offer

_WORDS = {
    401: "Log in to Airflow, then open the link again.",
    403: "You may not see this: it takes the permission to read the DAG's logs, and for the values "
    "of a record the permission to trigger the DAG.",
    404: "There is no such page.",
    422: "The address of this page has a value that can't be right.",
}


@cache
def application() -> FastAPI:
    """Return the application; every route of it demands a login and a permission for its DAG."""
    app = FastAPI(
        title="batchdrain",
        dependencies=[LOGGED_IN],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_api_route("/dags/{dag_id}/refused", _refused, dependencies=[READER])
    app.add_api_route("/dags/{dag_id}/refused/row", _row, dependencies=[OPERATOR])
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(BatchdrainError, _told)
    app.add_exception_handler(psycopg.Error, _told)
    return app


def _asked(
    dag_id: str,
    table: str | None = None,
    error_type: str | None = None,
    run: str | None = None,
    connection: str | None = None,
    rows: str | None = None,
    number: Annotated[int, Query(alias="page", ge=1, le=page.LAST_PAGE)] = 1,
) -> page.Request:
    if any("\0" in (text or "") for text in (table, error_type, run)):
        raise HTTPException(422)
    return page.Request(
        dag_id,
        connection=connection or None,
        table=table or None,
        error_type=error_type or None,
        run=run or None,
        all_rows=rows == "all",
        page=number,
    )


_Asked = Annotated[page.Request, Depends(_asked)]


def _refused(asked: _Asked, user: Annotated[Any, LOGGED_IN]) -> HTMLResponse:
    reach = _reach(asked)
    hook = BatchPostgresHook(reach.connection)
    with hook.connect() as connection:
        if asked.table is None:
            return _html(page.tables_page(asked, _tables(connection, reach)))
        view = RefusedView(connection, read_table(connection, asked.table, hook.settings.scope))
        if not view.exists:
            told = f'Nothing was ever refused: there is no table "{view.name}" that may be read.'
            return _html(page.sentence_page(f"Refused records of {asked.table}", told))
        return _html(_rows(asked, view, offer(asked, reach, view, user)))


def _row(
    asked: _Asked, row_id: Annotated[str, Query(alias="id", pattern="^-?[0-9]+$")]
) -> HTMLResponse:
    if asked.table is None:
        raise HTTPException(404)
    hook = BatchPostgresHook(_reach(asked).connection)
    with hook.connect() as connection:
        view = RefusedView(connection, read_table(connection, asked.table, hook.settings.scope))
        found = view.row(row_id) if view.exists else None
    if found is None:
        raise HTTPException(404)
    return _html(page.row_page(asked, found))


def _reach(asked: page.Request) -> Reach:
    tasks = tasks_of(asked.dag_id)
    if tasks is None:
        raise HTTPException(404)
    return chosen(reach_of(tasks), asked.connection, asked.table)


def _tables(connection: psycopg.Connection[Any], reach: Reach) -> list[str]:
    """Return the tables of the DAG that have an error table, as a queue's key names them."""
    found: list[str] = []
    for schema, name, visible in tables_with_errors(connection):
        names = [f"{schema}.{name}", *([name] if visible else [])]
        covered = [each for each in names if each in reach.tables or reach.any_table]
        if covered:
            found.append(covered[-1])
    return found


def _rows(asked: page.Request, view: RefusedView, replay: page.Replay | str) -> str:
    shown = Shown(asked.error_type, asked.run, unresolved=not asked.all_rows)
    notes = []
    if asked.run and not view.knows_runs:
        notes.append("The rows do not tell their run (no column run_id), so all runs are shown.")
    if not view.knows_resolutions:
        notes.append("The rows do not tell what became of them (no column resolved_at).")
    skipped = (asked.page - 1) * page.PAGE_ROWS
    rows = view.rows(shown, skipped, page.PAGE_ROWS + 1)
    return page.rows_page(
        asked,
        view.kinds(shown),
        rows[: page.PAGE_ROWS],
        more=len(rows) > page.PAGE_ROWS,
        notes=notes,
        replay=replay,
    )


def _html(text: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(text, status, headers=page.HEADERS)


def _refuse(request: Request, error: Exception) -> HTMLResponse:
    """Say why there is no page; what the auth manager says of the user is not for the page."""
    del request
    status = error.status_code if isinstance(error, HTTPException) else 422
    told = _WORDS.get(status, "This can't be shown.")
    return _html(page.sentence_page("Refused records", told), status)


def _told(request: Request, error: Exception) -> HTMLResponse:
    """Say what is wrong; PostgreSQL's own messages quote values."""
    del request
    if isinstance(error, BatchdrainError):
        status = 404 if isinstance(error, SystemicError) else 503
        return _html(page.sentence_page("Refused records", str(error)), status)
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    told = f"PostgreSQL reported {type(error).__name__} (SQLSTATE {state})."
    return _html(page.sentence_page("Refused records", told), 503)
