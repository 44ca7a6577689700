"""The Airflow assets that stand for the tables that are drained into."""

from __future__ import annotations

from airflow.sdk import Asset, AssetAlias

TABLES_ALIAS = "batchdrain"
"""The alias of every table's asset: mapped tasks can't have outlets that depend on the map."""


def tables_alias() -> AssetAlias:
    """Return the alias through which drains announce what they have changed."""
    return AssetAlias(TABLES_ALIAS, group="batchdrain")


def table_asset(host: str, port: int, database: str, schema: str, table: str) -> Asset:
    """Return the asset of one table of one database."""
    uri = f"postgres://{host}:{port}/{database}/{schema}/{table}"
    return Asset(name=uri.removeprefix("postgres://"), uri=uri, group="batchdrain")
