"""Refuses what was filled wrongly into a form, as far as Airflow lets it through.

Airflow checks each Param by itself, and takes a name that no Param has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from airflow.sdk import Context

from batchdrain import configuration as options
from batchdrain.errors import ConfigurationError

_CHECKED = (
    options.BATCH_SIZE,
    options.MIN_BATCH_SIZE,
    options.MAX_BATCH_SIZE,
    options.BATCH_SECONDS,
    options.MAX_RECORDS,
    options.MAX_SECONDS,
    options.MAX_REFUSED_SHARE,
    options.STATEMENT_STYLE,
    options.DRY_RUN_LIMIT,
)
_FLAGS = ("dry_run", "accept_rewound")
_FORM = ("tables", *_FLAGS, *(option.name for option in _CHECKED))

_ALIKE = 0.8
"""From this likeness on (see difflib) a name is taken for a misspelt one."""


def check_form(context: Context) -> None:
    """Look at what a run was triggered with, before anything is drained.

    Raises ConfigurationError that names the Param. A misspelt one, `dry-run` say, must not be
    passed over: the run would do what nobody asked for.
    """
    params: Mapping[str, Any] = context["params"]
    run = context.get("dag_run")
    dag = context.get("dag")
    if run is not None and dag is not None:
        conf = run.conf or {}
        _refuse_misspelt(conf, dag.params)
        _refuse_ignored({name: conf[name] for name in _FORM if name in conf}, params)
    for option in _CHECKED:
        if params.get(option.name) is not None:
            option.read(params=params)
    for name in _FLAGS:
        flag(params, name)
    least, most = params.get("min_batch_size"), params.get("max_batch_size")
    if params.get("batch_size") is None and least and most and int(least) > int(most):
        raise ConfigurationError(
            f"The Param min_batch_size is {least}, but max_batch_size is {most}: the smallest "
            "batch can't be larger than the largest; change one, or give batch_size alone."
        )


def check_names(context: Context) -> None:
    """Look at the names that a run was triggered with, where a wrong one would do harm.

    Raises ConfigurationError for each name that no Param has: passed over, it would leave a choice
    open, so that the run would work on all records or queues instead of some.
    """
    run, dag = context.get("dag_run"), context.get("dag")
    if run is None or dag is None:
        return
    conf = run.conf or {}
    _refuse_misspelt(conf, dag.params)
    if unknown := sorted(set(conf) - set(dag.params)):
        raise ConfigurationError(
            f"The run was triggered with {unknown[0]!r}, but there is no such Param: there are "
            f"{', '.join(dag.params)}. Nothing was done."
        )
    _refuse_ignored(conf, context["params"])


def flag(params: Mapping[str, Any], name: str) -> bool:
    """Return a Param that is true or false, false where it is missing.

    Raises ConfigurationError for anything else: `"false"`, taken for true, would do harm.
    """
    value = params.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ConfigurationError(f"The Param {name} is {value!r}, but it must be true or false.")
    return value


def _refuse_misspelt(conf: Mapping[str, Any], params: Iterable[str]) -> None:
    known = {_plain(name): name for name in params}
    for name in sorted(set(conf) - set(known.values())):
        for meant in get_close_matches(_plain(name), known, n=1, cutoff=_ALIKE):
            raise ConfigurationError(
                f"The run was triggered with {name!r}, but there is no such Param: did you mean "
                f"{known[meant]!r}? Nothing was done."
            )


def _refuse_ignored(conf: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    ignored = [name for name, given in conf.items() if given != params.get(name)]
    if ignored:
        raise ConfigurationError(
            f"The run was triggered with {', '.join(ignored)}, but Airflow does not hand that on: "
            "set dag_run_conf_overrides_params of section [core] to True. Nothing was done."
        )


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
