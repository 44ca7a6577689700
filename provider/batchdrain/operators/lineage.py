"""What OpenLineage is told of a task; the extra `openlineage` is imported only when it asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchdrain.engine.catalog import Table
from batchdrain.engine.error_table import error_table_name
from batchdrain.operators.drain_log import Tally

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    Lineage = OperatorLineage[Any, Any]


@dataclass(frozen=True, slots=True)
class Flow:
    """From where to where a task moves records.

    `postgres` is host, port and database, `redis` host, port and database number; `redis` and
    `queue` are None where the records come out of the table's error table.
    """

    table: Table
    postgres: tuple[str, int, str]
    redis: tuple[str, int, int] | None = None
    queue: str | None = None


def lineage_of(flow: Flow | None, tally: Tally) -> Lineage:
    """Return datasets with their columns and with the counts of this try; no values.

    A PostgreSQL table is named as OpenLineage's naming says, `postgres://host:port` and
    `database.schema.table`; a queue, for which it says nothing, `redis://host:port` and
    `database/key`. Where records were refused the error table is the second output. A task that
    failed before it knew its table has no lineage.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    if flow is None:
        return OperatorLineage()
    outputs = [_table(flow, tally.applied)]
    if tally.refused:
        outputs.append(_error_table(flow, tally.refused))
    return OperatorLineage(inputs=[_input(flow, tally)], outputs=outputs)


def _input(flow: Flow, tally: Tally) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    if flow.redis is None:
        return InputDataset(_namespace(flow), _name(flow, error_table_name(flow.table.name)))
    host, port, database = flow.redis
    read = statistics.InputStatisticsInputDatasetFacet(rowCount=tally.records, size=tally.size)
    return InputDataset(
        namespace=f"redis://{host}:{port}",
        name=f"{database}/{flow.queue}",
        inputFacets={"inputStatistics": read},
    )


def _table(flow: Flow, rows: int) -> OutputDataset:
    from openlineage.client.facet_v2 import schema_dataset

    output = _output(flow, flow.table.name, rows)
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=column.name, type=column.type)
        for column in flow.table.columns
    ]
    output.facets = {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}
    return output


def _error_table(flow: Flow, rows: int) -> OutputDataset:
    return _output(flow, error_table_name(flow.table.name), rows)


def _output(flow: Flow, table: str, rows: int) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    written = statistics.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    return OutputDataset(
        namespace=_namespace(flow),
        name=_name(flow, table),
        outputFacets={"outputStatistics": written},
    )


def _namespace(flow: Flow) -> str:
    host, port, _ = flow.postgres
    return f"postgres://{host}:{port}"


def _name(flow: Flow, table: str) -> str:
    return f"{flow.postgres[2]}.{flow.table.schema}.{table}"
