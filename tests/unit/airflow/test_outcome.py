"""What a failing task logs and raises."""

from __future__ import annotations

import logging

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

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
