"""Which tables a DAG drains: whoever may read the DAG may see what of them was refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from batchdrain import configuration as options
from batchdrain.errors import ConfigurationError
from batchdrain.operators.refused_link import RefusedRecordsLink, table_of

_OURS = "batchdrain."


@dataclass(frozen=True, slots=True)
class Reach:
    """The tables of one target database, named by its connection's id."""

    connection: str
    tables: frozenset[str] = frozenset()
    any_table: bool = False

    def covers(self, table: str) -> bool:
        """Whether the DAG drains this table."""
        return self.any_table or table in self.tables

    def plus(self, tables: Iterable[str], any_table: bool) -> Reach:
        """Return the reach with more tables."""
        return replace(
            self, tables=self.tables | set(tables), any_table=self.any_table or any_table
        )


def reach_of(tasks: Iterable[Any]) -> dict[str, Reach]:
    """Return what the tasks of a serialized DAG drain, by connection id.

    Arguments that they leave out come from section `[batchdrain]`, here as in a worker. Raises
    ConfigurationError for a bad or missing option.
    """
    found: dict[str, Reach] = {}
    for task in tasks:
        of_task = _Arguments(task)
        if not _is_ours(task) or of_task.are_templates:
            continue
        if hasattr(task, "tables"):
            allowed = options.TABLES.read(of_task.tables)
            names, any_table = allowed.names, allowed.any_table
        else:
            table = table_of(of_task)
            names, any_table = (() if table is None else (table,)), False
        connection = options.POSTGRES_CONN_ID.read(of_task.postgres_conn_id)
        known = found.get(connection, Reach(connection))
        found[connection] = known.plus(names, any_table)
    return {name: reach for name, reach in found.items() if reach.tables or reach.any_table}


def chosen(reaches: dict[str, Reach], connection: str | None, table: str | None) -> Reach:
    """Return the reach that a request means.

    Without a connection it is the only one, or else the first that covers the table. Raises
    ConfigurationError when the DAG does not drain the table.
    """
    if not reaches:
        raise ConfigurationError("This DAG has no task that tells which tables it drains.")
    if connection is not None:
        found = reaches.get(connection)
        if found is None:
            raise ConfigurationError(f"This DAG drains nothing by the connection {connection!r}.")
    else:
        covering = (each for each in reaches.values() if table is not None and each.covers(table))
        found = next(covering, next(iter(reaches.values())))
    if table is not None and not found.covers(table):
        raise ConfigurationError(f"This DAG does not drain the table {table!r}.")
    return found


def _is_ours(task: Any) -> bool:
    """Whether the task is one of our operators, or of a class that was made from one."""
    if not hasattr(task, "postgres_conn_id"):
        return False
    links = {link.name for link in task.operator_extra_links}
    return str(task._task_module).startswith(_OURS) or RefusedRecordsLink.name in links


class _Arguments:
    """The arguments of a task, mapped or not; those that it leaves out are None."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self._partial = getattr(task, "partial_kwargs", None) or {}

    def __getattr__(self, name: str) -> Any:
        return self._partial.get(name, getattr(self._task, name, None))

    @property
    def are_templates(self) -> bool:
        """Whether only a running task knows them."""
        values = (self.postgres_conn_id, self.tables, self.table, self.queue_key, self.prefix)
        return any("{{" in str(value) or "{%" in str(value) for value in values)
