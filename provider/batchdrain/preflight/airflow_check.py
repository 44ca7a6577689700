"""Looks at the settings of Airflow itself that matter to drains."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from batchdrain import configuration as options
from batchdrain.finding import Finding, Level
from batchdrain.preflight.given import Given

AIRFLOW = "Airflow"
"""The subject of what is found about Airflow's own settings."""

_KILL_SECONDS = 5
"""Seconds from SIGTERM to SIGKILL in Airflow 3.3, whatever killed_task_cleanup_time says."""

_LATE_HEARTBEAT = 15
_HOPS = 2
"""Steps of a run that each wait for the scheduler: until the list starts, and then a drain."""

_BUSY_PARSING = 10


def airflow_findings(given: Given, queues: int) -> list[Finding]:
    """Look at the settings as this process sees them; `queues` is how many there are to drain."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _slots(queues),
        lambda: _mapping(queues),
        lambda: _scheduler(given),
        _stopping,
        _parsing,
        _secrecy,
        _forms,
        _test_button,
    )
    found: list[Finding] = []
    for check in checks:
        found += _read(check)
    return found


def _read(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    from airflow.sdk.exceptions import AirflowConfigException

    try:
        return list(check())
    except (AirflowConfigException, ValueError) as error:
        return [Finding(Level.ERROR, AIRFLOW, f"a setting can't be read: {error}", "mend it")]


def _slots(queues: int) -> Iterator[Finding]:
    from airflow.sdk import conf

    parallelism = conf.getint("core", "parallelism")
    per_run = conf.getint("core", "max_active_tasks_per_dag")
    executor = conf.get("core", "executor")
    what = (
        f"{executor}; {parallelism} tasks at a time ([core] parallelism), {per_run} of one run "
        "(max_active_tasks_per_dag)"
    )
    most = min(parallelism, per_run)
    if most < queues:
        do = "raise them if each queue is to have a drain at once; otherwise queues take turns"
        yield Finding(Level.INFO, AIRFLOW, f"{what}, for {queues} queues", do)
    else:
        yield Finding(Level.OK, AIRFLOW, what)


def _mapping(queues: int) -> Iterator[Finding]:
    from airflow.sdk import conf

    most = conf.getint("core", "max_map_length")
    if queues > most:
        what = f"a run that finds more than {most} queues would fail, and there are {queues}"
        yield Finding(Level.WARNING, AIRFLOW, what, f"set [core] max_map_length to {queues}")


def _scheduler(given: Given) -> Iterator[Finding]:
    from airflow.sdk import conf

    pause = conf.getfloat("scheduler", "scheduler_idle_sleep_time")
    cadences = (given.read_if_valid(options.PEAK_CADENCE), given.read_if_valid(options.CADENCE))
    shortest = min((cadence for cadence in cadences if cadence is not None), default=None)
    what = f"each step of a run costs up to {pause:g} s ([scheduler] scheduler_idle_sleep_time)"
    if shortest is not None and _HOPS * pause > shortest / 2:
        do = f"set it to {shortest / (2 * _HOPS):g} or less, for runs every {shortest} s"
        yield Finding(Level.WARNING, AIRFLOW, what, do)
    else:
        yield Finding(Level.OK, AIRFLOW, what)


def _stopping() -> Iterator[Finding]:
    from airflow.sdk import conf

    interval = conf.getint("workers", "min_heartbeat_interval")
    cleanup = conf.getint("core", "killed_task_cleanup_time")
    what = (
        f"a run that is marked failed reaches its drains within {interval} s ([workers] "
        f"min_heartbeat_interval); they then have {_KILL_SECONDS} s, and take 4"
    )
    if interval > _LATE_HEARTBEAT:
        do = f"set min_heartbeat_interval to {_LATE_HEARTBEAT} or less"
        yield Finding(Level.WARNING, AIRFLOW, what, do)
    else:
        yield Finding(Level.OK, AIRFLOW, what)
    if cleanup != 60:
        what = f"[core] killed_task_cleanup_time is {cleanup}, which Airflow 3.3 does not read"
        do = f"count on {_KILL_SECONDS} s from SIGTERM to SIGKILL"
        yield Finding(Level.INFO, AIRFLOW, what, do)


def _parsing() -> Iterator[Finding]:
    from airflow.sdk import conf

    interval = conf.getint("dag_processor", "min_file_process_interval")
    processes = conf.getint("dag_processor", "parsing_processes")
    what = (
        f"DAG files are parsed every {interval} s by {processes} processes ([dag_processor] "
        "min_file_process_interval, parsing_processes)"
    )
    if interval < _BUSY_PARSING:
        do = "raise it to 30 or more: parsing takes the processors from drains"
        yield Finding(Level.WARNING, AIRFLOW, what, do)
    else:
        yield Finding(Level.OK, AIRFLOW, what)


def _secrecy() -> Iterator[Finding]:
    from airflow.sdk import conf

    if not conf.getboolean("core", "hide_sensitive_var_conn_fields"):
        what = "[core] hide_sensitive_var_conn_fields is off: passwords in extra fields are shown"
        yield Finding(Level.WARNING, AIRFLOW, what, "set it to True")


def _forms() -> Iterator[Finding]:
    from airflow.sdk import conf

    if not conf.getboolean("core", "dag_run_conf_overrides_params"):
        what = "[core] dag_run_conf_overrides_params is off: forms have no effect"
        yield Finding(Level.WARNING, AIRFLOW, what, "set it to True")


def _test_button() -> Iterator[Finding]:
    from airflow.sdk import conf

    if conf.get("core", "test_connection").strip().lower() != "enabled":
        what = "connections can't be tested in the UI ([core] test_connection)"
        do = "set it to Enabled, if whoever may edit connections may reach any server from Airflow"
        yield Finding(Level.INFO, AIRFLOW, what, do)
