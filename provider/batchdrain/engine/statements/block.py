"""What the blocks share that apply records on the server: how work gets in and outcomes out.

A block reads its records from a transaction-local setting and leaves what it refused in another,
so it needs no privilege beyond PL/pgSQL and survives a transaction pooler. Records travel as text
and are cast by the block, because one record that jsonb does not take would otherwise poison the
whole parameter. The statements stand in a block as they are, not as strings to EXECUTE: so
PostgreSQL plans each of them once for all records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batchdrain.engine.catalog import Table
from batchdrain.engine.failures import refused_predicate_sql
from batchdrain.engine.statements.questions import conversion
from batchdrain.engine.statements.quoting import dollar_quoted, literal, unused_name
from batchdrain.engine.statements.recordset import expanding
from batchdrain.engine.statements.shape import SetStatement, Shape

SET_WORK = """SELECT set_config('batchdrain.work', $1, true),
  set_config('batchdrain.records', $2, true)"""
"""Hands the block its work: the parameters are what `work_of` returns."""

BETWEEN_RECORDS, BETWEEN_CHUNKS = "\x1f", "\x1e"
"""JSON holds no control characters but white space (RFC 8259, 2 and 7)."""

OUTCOME = "SELECT current_setting('batchdrain.outcome')"
"""Returns a JSON array with an object for every record that the block refused."""

_REFUSING = """\
              DECLARE of_schema text;
              BEGIN
              GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                field = COLUMN_NAME, of_constraint = CONSTRAINT_NAME, of_table = TABLE_NAME,
                of_schema = SCHEMA_NAME;
              BEGIN
                {document} := {own}::jsonb;
              EXCEPTION WHEN OTHERS THEN
                {document} := NULL;
              END;
              IF {document} IS NOT NULL AND field = '' AND of_table = '' THEN
                BEGIN
                  CASE place
{probes}
                  END CASE;
                  field := '';
                EXCEPTION WHEN OTHERS THEN
                  NULL;
                END;
              END IF;
              refused := refused || jsonb_build_object(
                'ordinal', {ordinal}, 'state', state, 'message', message,
                'field', field, 'constraint', of_constraint, 'table', of_table, 'schema', of_schema,
                'readable', {document} IS NOT NULL);
              END;"""
"""What is done with a record (`own`) that failed by itself: the diagnostics are kept, and where
they name no column, the first one is looked for that does not convert."""


def do_block(table: Table, shapes: Sequence[Shape], text: str, own: str, ordinal: str) -> str:
    """Return a DO statement that applies records of these shapes.

    `text` is a format of PL/pgSQL with places for `statements` (the branches of a CASE over the
    variable `place`, a shape's number), `refusing`, `document` (a jsonb variable that the records
    are put in) and `swallowed` (a condition: is the error about a record?). `own` and `ordinal`
    are its expressions for the record at hand.
    """
    document = unused_name(table, "document")
    statements = (
        f"          WHEN {place} THEN\n"
        f"{_branch(expanding(table, shape, document, 'INTO missing, elsewhere, overtaken'))};"
        for place, shape in enumerate(shapes, 1)
    )
    probes = (
        f"            WHEN {place} THEN\n{_probe(table, shape, document)}"
        for place, shape in enumerate(shapes, 1)
    )
    refusing = _REFUSING.format(
        document=document, own=own, ordinal=ordinal, probes="\n".join(probes)
    )
    body = text.format(
        document=document,
        statements="\n".join(statements),
        refusing=refusing,
        swallowed=refused_predicate_sql(),
    )
    return f"DO {dollar_quoted(body)}"


def int_array(numbers: Iterable[int]) -> str:
    """Return numbers as PostgreSQL writes an array of them."""
    return f"{{{','.join(map(str, numbers))}}}"


def _branch(statement: SetStatement) -> str:
    if statement.question is None:
        return statement.text
    change = statement.text or "NULL"
    if statement.insert is None:
        return f"""{statement.question};
IF missing IS NULL AND elsewhere IS NULL THEN {change}; END IF"""
    return f"""{statement.question};
IF missing IS NOT NULL THEN missing := NULL; {statement.insert};
ELSIF elsewhere IS NULL THEN {change}; END IF"""


def _probe(table: Table, shape: Shape, document: str) -> str:
    """Convert one column after the other; `field` is left at the first that does not convert."""
    return "\n".join(
        f"field := {literal(column.name)}; PERFORM {conversion(column, document)};"
        for column in table.columns
        if column.name in shape.carried
    )
