"""What a failing task logs and raises."""

from __future__ import annotations

import logging

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from batchdrain.errors import BrakeError, TransientError
from batchdrain.operators.outcome import failing_clearly

LOG = logging.getLogger("test_outcome")


@pytest.mark.parametrize(
    ("error", "raised", "line"),
    [
        (BrakeError("too many"), AirflowFailException, "q: failed, trying again would not help: "),
        (TransientError("away"), AirflowException, "q: failed for now: away"),
        (psycopg.errors.UniqueViolation("Key (id)=(secret)"), AirflowException, "UniqueViolation"),
        (KeyError("secret"), KeyError, "q: failed: KeyError"),
        (SystemExit(1), SystemExit, "q: failed: SystemExit"),
        (AirflowTaskTimeout("secret"), AirflowTaskTimeout, "q: stopped by execution_timeout"),
    ],
)
def test_the_last_line_tells_the_outcome_without_values(error, raised, line, caplog):
    with pytest.raises(raised) as caught, failing_clearly(LOG, "q"):
        raise error
    assert line in caplog.messages[-1]
    assert "secret" not in caplog.text
    if raised in (AirflowException, AirflowFailException):
        assert caught.value.__suppress_context__
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [BrakeError("x"), TransientError("x"), psycopg.Error(), AirflowTaskTimeout(), SystemExit()],
)
def test_the_last_line_ends_with_what_is_done_all_the_same(error, caplog):
    with pytest.raises(BaseException), failing_clearly(LOG, "q", lambda: "; 3 done"):  # noqa: B017
        raise error
    assert caplog.messages[-1].endswith("; 3 done")
