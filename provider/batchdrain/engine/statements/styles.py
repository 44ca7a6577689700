"""Chooses the statement style."""

from __future__ import annotations

from batchdrain.engine.catalog import Table
from batchdrain.engine.statements.recordset import Recordset
from batchdrain.engine.statements.shape import StatementStyle
from batchdrain.engine.statements.values import Values

_STYLES: dict[str, type[Recordset] | type[Values]] = {
    style.name: style for style in (Recordset, Values)
}


def open_style(name: str, table: Table) -> StatementStyle:
    """Return the style of a name in `settings.STATEMENT_STYLES`, for one table."""
    return _STYLES[name](table)
