"""Looks whether drains can run, and fails with what to do if not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from batchdrain.allow_list import AllowList
from batchdrain.errors import ConfigurationError
from batchdrain.finding import Finding, Level
from batchdrain.operators.outcome import failing_clearly
from batchdrain.preflight.given import Given
from batchdrain.preflight.look import look
from batchdrain.preflight.report import lines, verdict, would_fail


class PreflightOperator(BaseOperator):
    """Looks at options, Airflow, servers, tables and queues, shows a table, and changes nothing.

    Returns how many findings there are of each level. Give it the arguments that the drains have;
    those left out come from section `[batchdrain]`.
    """

    template_fields: Sequence[str] = ("tables", "prefix", "postgres_conn_id", "redis_conn_id")
    ui_color = "#e3ecd2"

    def __init__(
        self,
        *,
        tables: str | Sequence[str] | AllowList | None = None,
        prefix: str | None = None,
        postgres_conn_id: str | None = None,
        redis_conn_id: str | None = None,
        drain_pool: str | None = None,
        left_push: bool | str | Sequence[str] | None = None,
        scope: Mapping[str, str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.prefix = prefix
        self.postgres_conn_id = postgres_conn_id
        self.redis_conn_id = redis_conn_id
        self.drain_pool = drain_pool
        self.left_push = left_push
        self.scope = scope

    def execute(self, context: Context) -> dict[str, int]:
        """Look, and return the counts by level.

        Raises AirflowFailException when a drain would fail.
        """
        del context
        with failing_clearly(self.log, "preflight"):
            findings = look(
                Given(
                    tables=self.tables,
                    prefix=self.prefix,
                    postgres_conn_id=self.postgres_conn_id,
                    redis_conn_id=self.redis_conn_id,
                    pool=self.drain_pool,
                    left_push=self.left_push,
                    scope=self.scope,
                )
            )
            self._show(findings)
            if would_fail(findings):
                raise ConfigurationError(f"{verdict(findings)}: {_first_error(findings)}")
        counted = Counter(each.level for each in findings)
        return {str(level): counted[level] for level in Level}

    def _show(self, findings: Sequence[Finding]) -> None:
        for line in lines(findings):
            self.log.info("%s", line)
        self.log.info("%s", verdict(findings))


def _first_error(findings: Sequence[Finding]) -> str:
    first = next(each for each in findings if each.level is Level.ERROR)
    return f"{first.subject}: {first.what}"
