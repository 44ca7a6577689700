"""The Airflow assets that stand for the tables that are drained into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from airflow.sdk import Asset, AssetAlias

from batchdrain.engine.batch_log import totals
from batchdrain.engine.run import Run

TABLES_ALIAS = "batchdrain"
"""The alias of every table's asset: mapped tasks can't have outlets that depend on the map."""

_COUNTED = ("messages", "records", "applied", "refused", "lost", "batches", "isolated")


def tables_alias() -> AssetAlias:
    """Return the alias through which drains announce what they have changed."""
    return AssetAlias(TABLES_ALIAS, group="batchdrain")


def table_asset(host: str, port: int, database: str, schema: str, table: str) -> Asset:
    """Return the asset of one table of one database.

    Its name is its URI, as for an `Asset` that somebody makes of the URI alone: to Airflow, assets
    are the same only if their names are, too.
    """
    uri = f"postgres://{host}:{port}/{database}/{schema}/{table}"
    return Asset(name=uri, uri=uri, group="batchdrain")


def counts_of_run(
    connect: Callable[[], psycopg.Connection[Any]], run: Run, queue: str, table: str
) -> dict[str, int]:
    """Return what all tries of a run have done with a queue and its table, `schema.table`.

    Empty where they have committed nothing.
    """
    with connect() as connection:
        for entry in totals(connection, run.dag_id, run.run_id):
            if (entry.queue, entry.table) == (queue, table):
                return {name: getattr(entry, name) for name in _COUNTED}
    return {}
