"""Turns our errors into Airflow's, with one clear sentence and nothing of the rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from batchdrain.errors import BatchdrainError, SystemicError


def _nothing() -> str:
    return ""


@contextmanager
def failing_clearly(
    log: logging.Logger | Any, subject: str, so_far: Callable[[], str] = _nothing
) -> Iterator[None]:
    """Run a task's work; when it fails, the last line that we log tells the outcome.

    `so_far` ends that line with what is done all the same. A SystemicError becomes
    AirflowFailException, which Airflow doesn't try again; our other errors and the driver's become
    AirflowException. The original is kept out of the log: PostgreSQL's messages quote row values.
    Whatever else is raised passes through.
    """
    try:
        yield
    except SystemicError as error:
        told = "failed, trying again would not help"
        log.error("%s: %s: %s%s", subject, told, error, so_far())
        raise AirflowFailException(str(error)) from None
    except BatchdrainError as error:
        log.error("%s: failed for now: %s%s", subject, error, so_far())
        raise AirflowException(str(error)) from None
    except psycopg.Error as error:
        sentence = f"PostgreSQL reported {type(error).__name__} (SQLSTATE {error.sqlstate})."
        log.error("%s: failed for now: %s%s", subject, sentence, so_far())
        raise AirflowException(sentence) from None
    except AirflowTaskTimeout:
        log.error("%s: stopped by execution_timeout%s", subject, so_far())
        raise
    except BaseException as error:
        log.error("%s: failed: %s%s", subject, type(error).__name__, so_far())
        raise
