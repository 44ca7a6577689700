"""Creates what batchdrain keeps in the target database, next to others who do the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Composed

_ATTEMPTS = 5

_CREATED_MEANWHILE = (
    errors.UniqueViolation,
    errors.DuplicateSchema,
    errors.DuplicateTable,
    errors.DuplicateObject,
)
"""What IF NOT EXISTS still raises when two sessions create the same thing at once."""


def create_missing(
    connection: psycopg.Connection[Any], statements: Sequence[SQL | Composed]
) -> None:
    """Run CREATE … IF NOT EXISTS statements in one transaction of their own.

    A concurrent creation of the same things is waited for and then found done. Raises what
    PostgreSQL raises otherwise.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connection.transaction(), connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            return
        except _CREATED_MEANWHILE:
            if attempt == _ATTEMPTS:
                raise
