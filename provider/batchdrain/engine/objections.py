"""Finds out what of a record PostgreSQL objects to, in one round trip."""

from __future__ import annotations

from dataclasses import dataclass

from batchdrain.engine.catalog import Table
from batchdrain.engine.ready import Ready
from batchdrain.engine.statements.questions import AS_JSONB, conversion
from batchdrain.engine.statements.shape import Shape
from batchdrain.engine.transaction import Command


@dataclass(frozen=True, slots=True)
class Question:
    """A command that fails when PostgreSQL does not take a record's value of the column `field`.

    Where `field` is None it is about the JSON of the whole record.
    """

    field: str | None
    command: Command


def questions_about(table: Table, shape: Shape, record: Ready) -> list[Question]:
    """Return the questions about a record, in the order in which a set statement converts it."""
    document = (record.data.decode(),)
    return [
        Question(None, Command(AS_JSONB, document)),
        *(
            Question(column.name, Command(f"SELECT {conversion(column)}", document))
            for column in table.columns
            if column.name in shape.carried
        ),
    ]
