"""The HTML of our pages. Pure functions; whatever is not ours passes through `escape`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import quote, urlencode

from batchdrain.engine.refused_view import Kind, ListedRow

PAGE_ROWS = 100
"""Rows on one page."""
LAST_PAGE = 100
"""Pages that can be turned to; further rows are reached by narrowing down."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""No script runs, nothing is loaded, no copy is kept."""

_STYLE = """
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 1.5rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0;
         border-bottom: 1px solid #8884; }
th { white-space: nowrap; }
td { white-space: pre-wrap; overflow-wrap: break-word; max-width: 24rem; }
td:nth-child(2):last-child { max-width: 60rem; }
pre { background: #8882; padding: .6rem; overflow-x: auto; white-space: pre-wrap; }
form label { margin-right: 1rem; }
"""

_HEAD = (
    "row",
    "refused at (UTC)",
    "operation",
    "error type",
    "field",
    "client",
    "record id",
    "tries",
    "resolution",
    "run",
)
_RECORD_PAGE = "refused/row"


@dataclass(frozen=True, slots=True)
class Request:
    """What a page was asked for; the texts come from the URL."""

    dag_id: str
    connection: str | None = None
    table: str | None = None
    error_type: str | None = None
    run: str | None = None
    all_rows: bool = False
    page: int = 1

    def query(self) -> str:
        """Return the URL of this page, relative to it."""
        values = {
            "table": self.table,
            "error_type": self.error_type,
            "run": self.run,
            "rows": "all" if self.all_rows else None,
            "page": str(self.page) if self.page > 1 else None,
            "connection": self.connection,
        }
        return "?" + urlencode({name: value for name, value in values.items() if value})


@dataclass(frozen=True, slots=True)
class Replay:
    """The DAG that applies refused records again, and the defaults of its form.

    `ids` are the rows that it is to choose, None where its form chooses by table and type alone.
    """

    dag_id: str
    form: Mapping[str, object]
    ids: Sequence[int] | None = None


def sentence_page(title: str, sentence: str) -> str:
    """Return a page that says one thing."""
    return _layout(title, [f"<p>{escape(sentence)}</p>"])


def tables_page(asked: Request, tables: Sequence[str]) -> str:
    """Return the list of a DAG's tables that have refused records, or had some."""
    if not tables:
        told = "Nothing was ever refused of the tables that this DAG drains."
        return sentence_page(f"Refused records of {asked.dag_id}", told)
    items = [
        f"<li>{_link(table, replace(asked, table=table, page=1).query())}</li>" for table in tables
    ]
    return _layout(f"Refused records of {asked.dag_id}", ["<ul>", *items, "</ul>"])


def rows_page(
    asked: Request,
    kinds: Sequence[Kind],
    rows: Sequence[ListedRow],
    *,
    more: bool,
    notes: Sequence[str],
    replay: Replay | str,
) -> str:
    """Return the list of one table's refused records; `more` tells that further ones follow.

    A `replay` that is a sentence says why none is offered.
    """
    links = [row.id and f"{_RECORD_PAGE}{_row_query(asked, row.id)}" for row in rows]
    table = _table(_HEAD, [_cells(row) for row in rows], links)
    body = [
        _form(asked),
        *(f"<p>{escape(note)}</p>" for note in notes),
        _kinds(asked, kinds),
        table if rows else "<p>No such row.</p>",
        _turning(asked, more),
        _replay(asked, replay),
        _elsewhere(asked),
    ]
    return _layout(f"Refused records of {asked.table}", body)


def row_page(asked: Request, row: Mapping[str, str | None]) -> str:
    """Return one row with the record's values."""
    cells = [[name, value] for name, value in row.items() if value is not None]
    back = _link("Back to the list", f"../refused{asked.query()}")
    title = f"Row {row.get('id')} of the refused records of {asked.table}"
    return _layout(title, [_table(("column", "value"), cells, []), f"<p>{back}</p>"])


def _layout(title: str, body: Sequence[str]) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{''.join(body)}</body></html>"
    )


def _link(text: str, href: str) -> str:
    return f'<a href="{escape(href)}">{escape(text)}</a>'


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    links: Sequence[str | None],
) -> str:
    """Return a table; a row's first cell is a link where there is one."""
    lines = ["<tr>", *(f"<th>{escape(name)}</th>" for name in head), "</tr>"]
    for number, row in enumerate(rows):
        cells = [escape(value or "") for value in row]
        href = links[number] if number < len(links) else None
        if href is not None:
            cells[0] = f'<a href="{escape(href)}">{cells[0]}</a>'
        lines += ["<tr>", *(f"<td>{cell}</td>" for cell in cells), "</tr>"]
    return f"<table>{''.join(lines)}</table>"


def _cells(row: ListedRow) -> list[str | None]:
    return [
        row.id,
        None if row.created_at is None else row.created_at[:19],
        row.operation,
        row.error_type,
        row.field,
        row.client_id,
        row.record_id,
        row.attempts,
        row.resolution,
        row.run_id,
    ]


def _row_query(asked: Request, row_id: str) -> str:
    return f"{asked.query()}&{urlencode({'id': row_id})}"


def _form(asked: Request) -> str:
    hidden = {"table": asked.table, "connection": asked.connection}
    fields = [
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in hidden.items()
        if value
    ]
    checked = " checked" if asked.all_rows else ""
    return (
        f'<form method="get">{"".join(fields)}'
        f"{_input('error_type', 'Error type', asked.error_type)}{_input('run', 'Run', asked.run)}"
        f'<label><input type="checkbox" name="rows" value="all"{checked}> resolved ones, too'
        "</label><button>Show</button></form>"
    )


def _input(name: str, label: str, value: str | None) -> str:
    return (
        f'<label>{label} <input type="text" name="{name}" value="{escape(value or "")}" size="32">'
        "</label>"
    )


def _kinds(asked: Request, kinds: Sequence[Kind]) -> str:
    if not kinds:
        return ""
    rows = [[kind.error_type, kind.field, str(kind.count)] for kind in kinds]
    links = [
        None
        if kind.error_type is None
        else replace(asked, error_type=kind.error_type, page=1).query()
        for kind in kinds
    ]
    return _table(("error type", "field", "rows"), rows, links)


def _turning(asked: Request, more: bool) -> str:
    links = []
    if asked.page > 1:
        links.append(_link("Newer", replace(asked, page=asked.page - 1).query()))
    if more and asked.page < LAST_PAGE:
        links.append(_link("Older", replace(asked, page=asked.page + 1).query()))
    elif more:
        links.append("Narrow down to see older ones.")
    return f"<p>{' '.join(links)}</p>" if links else ""


def _elsewhere(asked: Request) -> str:
    links = [
        _link("All runs", replace(asked, run=None, page=1).query()) if asked.run else "",
        _link("All tables of the DAG", replace(asked, table=None, page=1).query()),
        f"The DAG: {_dag_link(asked.dag_id)}",
    ]
    return f"<p>{' &middot; '.join(link for link in links if link)}</p>"


def _dag_link(dag_id: str) -> str:
    """Return a link from …/batchdrain/dags/<dag>/refused up to where Airflow's pages begin."""
    return _link(dag_id, f"../../../dags/{quote(dag_id)}")


def _replay(asked: Request, replay: Replay | str) -> str:
    if isinstance(replay, str):
        return f"<p>{escape(replay)}</p>"
    # All of the form: Airflow shows no field that its configuration leaves out.
    form = {**replay.form, "table": asked.table}
    if asked.error_type:
        form["error_types"] = [asked.error_type]
    if replay.ids is not None:
        form["ids"] = list(replay.ids)
    return (
        f"<h2>Apply them again</h2><p>Trigger {_dag_link(replay.dag_id)}; put this in place of the "
        "configuration under its advanced options to choose what is shown here:</p>"
        f"<pre>{escape(_by_lines(form))}</pre>"
    )


def _by_lines(form: Mapping[str, object]) -> str:
    """Return an object as JSON, one member to a line: many ids would fill the page otherwise."""
    members = (f"  {json.dumps(name)}: {json.dumps(form[name], default=str)}" for name in form)
    return "{\n" + ",\n".join(members) + "\n}"
