"""Applies records to one PostgreSQL table in batches. Knows neither Redis nor Airflow."""

from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.records import (
    BatchResult,
    Malformed,
    Operation,
    Record,
    RecordResult,
    Refusal,
)
from batchdrain.engine.settings import EngineSettings

__all__ = [
    "BatchEngine",
    "BatchResult",
    "EngineSettings",
    "Malformed",
    "Operation",
    "Record",
    "RecordResult",
    "Refusal",
]
