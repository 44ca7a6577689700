"""The one table of failure classes (SEMANTICS §4), for Python and for the server-side isolation."""

from __future__ import annotations

import re
from enum import StrEnum

import psycopg
from psycopg import errors


class FailureClass(StrEnum):
    """What an error from PostgreSQL means for the record or the batch at hand.

    REFUSED: the record goes to the error table. PASSING: it does when other records of the batch
    pass, else the failure is systemic. TRANSIENT: nothing is consumed, trying again may help.
    TOO_SLOW: the set statement is halved. SYSTEMIC: nothing is consumed, trying again won't help.
    """

    REFUSED = "refused"
    PASSING = "passing"
    TRANSIENT = "transient"
    TOO_SLOW = "too slow"
    SYSTEMIC = "systemic"


_CLASSES = {
    "21": FailureClass.REFUSED,
    "22": FailureClass.REFUSED,
    "23": FailureClass.REFUSED,
    "44000": FailureClass.REFUSED,
    "428C9": FailureClass.REFUSED,
    "54000": FailureClass.REFUSED,
    "54001": FailureClass.REFUSED,
    "P0001": FailureClass.REFUSED,
    "42": FailureClass.PASSING,
    "P0002": FailureClass.PASSING,
    "P0003": FailureClass.PASSING,
    "P0004": FailureClass.PASSING,
    "08": FailureClass.TRANSIENT,
    "25006": FailureClass.TRANSIENT,
    "25P03": FailureClass.TRANSIENT,
    "26000": FailureClass.TRANSIENT,
    "40001": FailureClass.TRANSIENT,
    "40P01": FailureClass.TRANSIENT,
    "53": FailureClass.TRANSIENT,
    "55P03": FailureClass.TRANSIENT,
    "57P0": FailureClass.TRANSIENT,
    "57014": FailureClass.TOO_SLOW,
}
"""By SQLSTATE or its beginning, the longest that fits; SYSTEMIC for PostgreSQL's other codes,
REFUSED for codes that aren't PostgreSQL's: those are a trigger's."""

_WARNINGS = {
    "00000": "successful_completion",
    "01000": "warning",
    "01003": "null_value_eliminated_in_set_function",
    "01004": "string_data_right_truncation",
    "01006": "privilege_not_revoked",
    "01007": "privilege_not_granted",
    "01008": "implicit_zero_bit_padding",
    "0100C": "dynamic_result_sets_returned",
    "01P01": "deprecated_feature",
}
"""Conditions that psycopg has no exception for (errcodes.txt); a trigger can still raise them."""


def _snake_case(name: str) -> str:
    # psycopg marks names that occur twice, or that Python has, with Ext or an underscore.
    name = name.removesuffix("Ext").removesuffix("_")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


CONDITIONS: dict[str, str] = _WARNINGS | {
    error.sqlstate: _snake_case(error.__name__)
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, psycopg.Error) and error.sqlstate
}
"""PostgreSQL's own SQLSTATEs and the names of their conditions (appendix A of its manual)."""


def classify(
    sqlstate: str | None, *, row_security: bool = False, cached_plan: bool = False
) -> FailureClass:
    """Return the class of a SQLSTATE; None means that the connection failed.

    `row_security` tells that a 42501 comes from a policy, `cached_plan` that a 0A000 comes from a
    prepared statement whose table was altered: the codes alone don't.
    """
    if sqlstate is None or cached_plan:
        return FailureClass.TRANSIENT
    if row_security:
        return FailureClass.REFUSED
    for length in (5, 4, 2):
        if sqlstate[:length] in _CLASSES:
            return _CLASSES[sqlstate[:length]]
    return FailureClass.SYSTEMIC if sqlstate in CONDITIONS else FailureClass.REFUSED


def failure_of(error: psycopg.Error) -> FailureClass:
    """Return the class of an error that psycopg raised.

    An error without SQLSTATE is transient when the connection is to blame; what psycopg itself
    objects to would be the same the next time.
    """
    if error.sqlstate is None:
        broken = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        return FailureClass.TRANSIENT if broken else FailureClass.SYSTEMIC
    # Messages are translated; the function that reports is not.
    reporter = error.diag.source_function
    return classify(
        error.sqlstate,
        row_security=error.sqlstate == "42501" and reporter == "ExecWithCheckOptions",
        cached_plan=error.sqlstate == "0A000" and reporter == "RevalidateCachedQuery",
    )


def condition_name(sqlstate: str) -> str:
    """Return PostgreSQL's name of the condition, or the SQLSTATE where PostgreSQL has none."""
    return CONDITIONS.get(sqlstate, sqlstate)


def refused_predicate_sql() -> str:
    """Return an SQL expression over PL/pgSQL's SQLSTATE: may isolation swallow the error?

    It is true for codes of the classes REFUSED and PASSING, and says the same as `classify`. It
    holds neither dollar nor percent signs nor braces, so that it can be put into any block.
    """
    swallowed = (FailureClass.REFUSED, FailureClass.PASSING)
    conditions = [
        f"left(SQLSTATE, {len(start)}) <> '{start}'"
        for start, failure in _CLASSES.items()
        if len(start) < 5 and failure not in swallowed
    ]
    codes = sorted(
        code for code in CONDITIONS | _CLASSES if len(code) == 5 and classify(code) not in swallowed
    )
    listed = ", ".join(f"'{code}'" for code in codes)
    return f"({' AND '.join(conditions)} AND SQLSTATE NOT IN ({listed}))"
