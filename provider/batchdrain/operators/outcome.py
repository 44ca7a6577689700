"""Turns our errors into Airflow's, with one clear sentence and nothing of the rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from batchdrain.errors import BatchdrainError, SystemicError


@contextmanager
def failing_clearly(log: logging.Logger | Any, subject: str) -> Iterator[None]:
    """Run a task's work; when it fails, the last line that we log tells the outcome.

    A SystemicError becomes AirflowFailException, which Airflow doesn't try again; our other errors
    and the driver's become AirflowException. The original is kept out of the log: PostgreSQL's
    messages quote row values. Whatever else is raised passes through.
    """
    try:
        yield
    except SystemicError as error:
        log.error("%s: failed, trying again would not help: %s", subject, error)
        raise AirflowFailException(str(error)) from None
    except BatchdrainError as error:
        log.error("%s: failed for now: %s", subject, error)
        raise AirflowException(str(error)) from None
    except psycopg.Error as error:
        sentence = f"PostgreSQL reported {type(error).__name__} (SQLSTATE {error.sqlstate})."
        log.error("%s: failed for now: %s", subject, sentence)
        raise AirflowException(sentence) from None
    except BaseException as error:
        log.error("%s: failed: %s", subject, type(error).__name__)
        raise
