"""The table of failure classes."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from batchdrain.engine.failures import (
    FailureClass,
    classify,
    condition_name,
    failure_of,
    refused_predicate_sql,
)


@pytest.mark.parametrize(
    ("failure", "codes"),
    [
        (
            FailureClass.REFUSED,
            "21000 22001 22003 22007 22008 22P02 22P05 23000 23502 23503 23505 23514 23P01 44000 "
            "428C9 54000 54001 P0001 U0001 45000 BD001 99999 P0100",
        ),
        (FailureClass.PASSING, "42501 42703 42804 42P01 42883 42601 P0002 P0003 P0004"),
        (
            FailureClass.TRANSIENT,
            "08000 08003 08006 08P01 25006 25P03 26000 40001 40P01 53000 53100 53200 53300 55P03 "
            "57P01 57P02 57P03 57P05",
        ),
        (FailureClass.TOO_SLOW, "57014"),
        (
            FailureClass.SYSTEMIC,
            "0A000 25001 25P02 2F002 28P01 3D000 40003 54011 55000 55006 58030 XX000 XX001",
        ),
    ],
)
def test_every_code_has_the_class_that_was_promised(failure: FailureClass, codes: str) -> None:
    assert {code: classify(code) for code in codes.split()} == dict.fromkeys(codes.split(), failure)


def test_what_the_code_alone_does_not_tell() -> None:
    """A lost connection, a policy's refusal, and a plan that an ALTER TABLE outdated."""
    assert classify(None) is FailureClass.TRANSIENT
    assert classify("42501", row_security=True) is FailureClass.REFUSED
    assert classify("0A000", cached_plan=True) is FailureClass.TRANSIENT


def test_only_a_broken_connection_without_code_is_transient() -> None:
    assert failure_of(psycopg.OperationalError("gone")) is FailureClass.TRANSIENT
    assert failure_of(psycopg.InterfaceError("closed")) is FailureClass.TRANSIENT
    assert failure_of(psycopg.DataError("NUL")) is FailureClass.SYSTEMIC
    assert failure_of(errors.DeadlockDetected("loser")) is FailureClass.TRANSIENT


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("23505", "unique_violation"),
        ("22P02", "invalid_text_representation"),
        ("23502", "not_null_violation"),
        ("P0001", "raise_exception"),
        ("42501", "insufficient_privilege"),
        ("22003", "numeric_value_out_of_range"),
        ("428C9", "generated_always"),
        ("22008", "datetime_field_overflow"),
        ("XX000", "internal_error"),
        ("38002", "modifying_sql_data_not_permitted"),
        ("U0001", "U0001"),
    ],
)
def test_conditions_have_postgresqls_names(code: str, name: str) -> None:
    assert condition_name(code) == name


def test_the_predicate_fits_into_any_block() -> None:
    assert not set("$%{}") & set(refused_predicate_sql())
