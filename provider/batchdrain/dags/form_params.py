"""What a DAG's author adds to the form of one of our DAGs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from batchdrain.errors import ConfigurationError


def merged_params(form: Mapping[str, Param], given: Any) -> ParamsDict:
    """Return the form with other defaults, or further Params, of the author's.

    Raises ConfigurationError for params that are no mapping.
    """
    params = given or {}
    if not isinstance(params, (Mapping, ParamsDict)):
        raise ConfigurationError(
            f"The argument params must be a dict of Params, not of type {type(params).__name__}."
        )
    merged = ParamsDict(dict(form))
    merged.update(params)
    return merged
