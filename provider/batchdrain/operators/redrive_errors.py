"""Shows, applies again or discards the refused records of a table."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import BaseOperator, Context

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.drain import StopSignal
from batchdrain.engine.redrive import Patch, Redrive
from batchdrain.engine.refused_records import Choice, RefusedRecord
from batchdrain.errors import ConfigurationError, TransientError
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.operators.action_param import chosen_action
from batchdrain.operators.drain_log import Tally, shown
from batchdrain.operators.form_check import check_names
from batchdrain.operators.lineage import Flow, lineage_of
from batchdrain.operators.outcome import failing_clearly
from batchdrain.operators.task_run import run_of
from batchdrain.operators.text_table import aligned

if TYPE_CHECKING:
    from batchdrain.operators.lineage import Lineage

REDRIVE_ACTIONS = ("inspect", "redrive", "discard")
"""What may be done to refused records."""

MOST_RECORDS = 1_000_000
"""The most records that one task may be asked to work on."""

_SHOWN = 200
"""Rows that the log shows."""

_HEAD = ("row", "refused at (UTC)", "operation", "error type", "field", "client", "tries", "id")


class RedriveErrorsOperator(BaseOperator):
    """Does one of REDRIVE_ACTIONS to the unresolved refused records of one table.

    `redrive` applies them again, with their own scope, and tells each row what became of it: a
    record is handled once, even if the task is killed or two run at once. What is refused again
    stays, with its newest reason and one try more. `discard` resolves rows without applying them.
    Params: `action`, `table`, `error_types`, `clients`, `ids`, `since`, `until`, `most`,
    `set_columns` and `drop_columns`. Arguments left out come from section `[batchdrain]`; `scope`
    has to be that of the drains, or records reach rows that are not theirs.
    """

    template_fields: Sequence[str] = ("tables", "postgres_conn_id")
    ui_color = "#f2dada"

    def __init__(
        self,
        *,
        tables: str | Sequence[str] | AllowList | None = None,
        postgres_conn_id: str | None = None,
        scope: Mapping[str, str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.postgres_conn_id = postgres_conn_id
        self.scope = scope
        self._stop = StopSignal()
        self._working: Redrive | None = None
        self._flow: Flow | None = None
        self._tally = Tally()

    def execute(self, context: Context) -> dict[str, Any]:
        """Do it, and return the action and how many records it concerned.

        Raises AirflowFailException with a sentence for a bad Param or option.
        """
        params = context["params"]
        with failing_clearly(self.log, "refused records"):
            check_names(context)
            action, table = chosen_action(params, REDRIVE_ACTIONS), self._table(params)
            choice, most = _choice(params), _most(params)
            hook = BatchPostgresHook(options.POSTGRES_CONN_ID.read(self.postgres_conn_id))
            settings = replace(hook.settings, scope=options.SCOPE.read(self.scope))
            redrive = Redrive(hook.connect, table, settings=settings, run=run_of(context))
            self._working = redrive
            if action == "inspect":
                rows = redrive.inspect(choice, most)
                self._show(table, rows)
                counts = {"found": len(rows)}
            elif action == "discard":
                counts = {"discarded": redrive.discard(choice, most)}
            else:
                counts = self._redrive(redrive, choice, most, _patch(params))
                self._tally = Tally(applied=counts["applied"], refused=counts["refused again"])
                if redrive.table is not None:
                    self._flow = Flow(redrive.table, hook.location())
            told = ", ".join(f"{count} {what}" for what, count in counts.items())
            self.log.info("%s %s: %s", action, table, told)
        return {"action": action, "table": table, **counts}

    def on_kill(self) -> None:
        """Have the work end at its next batch, and cancel the running statement.

        Airflow calls this from a signal handler; the task has about five seconds left then.
        """
        self._stop.set()
        if self._working is not None:
            threading.Thread(target=self._working.cancel, daemon=True).start()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Lineage:
        """Tell OpenLineage the tables and the counts; looking and discarding move no records."""
        del task_instance
        return lineage_of(self._flow, self._tally)

    def _redrive(
        self, redrive: Redrive, choice: Choice, most: int, patch: Patch | None
    ) -> dict[str, int]:
        outcome = redrive.apply(
            choice,
            most,
            patch=patch,
            note=lambda sentence: self.log.info("%s", sentence),
            stopped=self._stop.is_set,
        )
        if self._stop.is_set():
            raise TransientError(f"stopped from outside after {outcome.applied} applied")
        return {
            "applied": outcome.applied,
            "refused again": outcome.refused,
            "left alone": outcome.skipped,
        }

    def _table(self, params: Mapping[str, Any]) -> str:
        allowed = options.TABLES.read(self.tables)
        table = str(params.get("table") or "").strip()
        if not table:
            raise ConfigurationError("The Param table must name a table.")
        if not allowed.covers(table):
            raise ConfigurationError(
                f"The Param table is {table!r}, but these tables may be drained: "
                f"{', '.join(allowed.names)}."
            )
        return table

    def _show(self, table: str, rows: Sequence[RefusedRecord]) -> None:
        if not rows:
            self.log.info("no refused record of %s is left", table)
            return
        for line in aligned(_HEAD, [_row(row) for row in rows[:_SHOWN]]):
            self.log.info("%s", line)
        if len(rows) > _SHOWN:
            self.log.info("and %d more", len(rows) - _SHOWN)


def _row(row: RefusedRecord) -> list[object]:
    return [
        row.id,
        "" if row.created_at is None else f"{row.created_at:%Y-%m-%d %H:%M:%S}",
        row.operation or "",
        row.error_type or "",
        row.field or "",
        "" if row.client_id is None else shown(row.client_id),
        row.attempts,
        shown(row.record_id),
    ]


def _choice(params: Mapping[str, Any]) -> Choice:
    return Choice(
        types=_texts(params, "error_types"),
        clients=_texts(params, "clients"),
        ids=_numbers(params),
        since=_moment(params, "since"),
        until=_moment(params, "until"),
    )


def _texts(params: Mapping[str, Any], name: str) -> list[str] | None:
    given = params.get(name) or []
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ConfigurationError(f"The Param {name} must be a list of texts.")
    if any("\0" in each for each in given):
        raise ConfigurationError(f"The Param {name} must not hold NUL characters.")
    return given or None


def _numbers(params: Mapping[str, Any]) -> list[int] | None:
    given = params.get("ids") or []
    message = "The Param ids must be a list of row numbers."
    if not isinstance(given, list):
        raise ConfigurationError(message)
    try:
        numbers = [_row_number(each) for each in given]
    except (TypeError, ValueError, OverflowError):
        raise ConfigurationError(message) from None
    if any(abs(number) >= 2**63 for number in numbers):
        raise ConfigurationError("The Param ids has a number that no row can have.")
    return numbers or None


def _row_number(given: Any) -> int:
    number = int(given)
    if isinstance(given, bool) or (isinstance(given, float) and given != number):
        raise ValueError("neither true nor 1.9 is row 1")
    return number


def _moment(params: Mapping[str, Any], name: str) -> datetime | None:
    given = params.get(name)
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError:
        raise ConfigurationError(
            f"The Param {name} is {given!r}, but it must be a time such as 2025-03-07T07:00:00Z."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _most(params: Mapping[str, Any]) -> int:
    most = params.get("most", 10_000)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_RECORDS:
        raise ConfigurationError(
            f"The Param most must be a number of records, from 1 to {MOST_RECORDS}."
        )
    return most


def _patch(params: Mapping[str, Any]) -> Patch | None:
    values, dropped = params.get("set_columns") or {}, _texts(params, "drop_columns") or []
    if not isinstance(values, dict):
        raise ConfigurationError("The Param set_columns must be an object: columns and values.")
    if not values and not dropped:
        return None
    try:
        return Patch({name: msgspec.json.encode(value) for name, value in values.items()}, dropped)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise ConfigurationError("The Param set_columns has a value that is no JSON.") from None
