"""Isolation on the server: one DO block that applies a batch in small pieces.

The block reads its records from a transaction-local setting and leaves what it refused in another,
so it needs no privilege beyond PL/pgSQL and survives a transaction pooler. Records travel as JSON
strings and are cast piece by piece, because one record that jsonb does not take would otherwise
poison the whole parameter. The statements stand in the block as they are, not as strings to
EXECUTE: so PostgreSQL plans each of them once for all pieces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from batchdrain.engine.catalog import Table
from batchdrain.engine.cut import Step
from batchdrain.engine.failures import refused_predicate_sql
from batchdrain.engine.statements.questions import conversion
from batchdrain.engine.statements.quoting import dollar_quoted, literal, unused_name
from batchdrain.engine.statements.recordset import expanding
from batchdrain.engine.statements.shape import SetStatement, Shape

WIDEST = 64
GROWTH = 2
SHRINKAGE = 8
"""Records in a piece: it shrinks where records are bad and grows where they are good, so that many
bad records cost little more than each of them needs, and few of them hardly anything."""

SET_WORK = "SELECT set_config('batchdrain.work', $1, true)"
"""Hands the block its work: $1 is what `work_of` returns."""

OUTCOME = "SELECT current_setting('batchdrain.outcome')"
"""Returns a JSON array with an object for every record that the block refused."""

_BLOCK = """#variable_conflict use_column
DECLARE
  work jsonb := current_setting('batchdrain.work')::jsonb;
  step jsonb; together boolean; document jsonb;
  records text[]; ordinals int[]; total int;
  width int; here int; upto int; one int; stop int;
  missing bigint[]; elsewhere bigint[];
  found jsonb[]; refused jsonb[] := '{{}}';
  state text; message text; field text; of_constraint text; of_table text; probe jsonb;
BEGIN
  FOR step IN SELECT value FROM jsonb_array_elements(work->'steps') LOOP
    together := (step->>'together')::boolean;
    records := ARRAY(SELECT jsonb_array_elements_text(step->'records'));
    ordinals := ARRAY(SELECT value::int FROM jsonb_array_elements_text(step->'ordinals'));
    total := cardinality(records);
    width := {widest}; here := 1;
    WHILE here <= total LOOP
      upto := least(here + width - 1, total);
      BEGIN
        found := '{{}}'; one := here;
        WHILE one <= upto LOOP
          stop := CASE WHEN together THEN upto ELSE one END;
          {document} := ('[' || array_to_string(records[one:stop], ',') || ']')::jsonb;
          missing := NULL; elsewhere := NULL;
          CASE (step->>'statement')::int
{statements}
          END CASE;
          IF missing IS NOT NULL OR elsewhere IS NOT NULL THEN
            found := found || ARRAY(
              SELECT jsonb_build_object('ordinal', ordinals[one + n::int - 1], 'missing', true)
              FROM unnest(missing) AS m(n) UNION ALL
              SELECT jsonb_build_object('ordinal', ordinals[one + n::int - 1], 'missing', false)
              FROM unnest(elsewhere) AS e(n));
          END IF;
          one := stop + 1;
        END LOOP;
        refused := refused || found;
        here := upto + 1;
        width := least(width * {growth}, {widest});
      EXCEPTION WHEN OTHERS THEN
        IF NOT {refused_predicate} THEN RAISE; END IF;
        IF upto > here THEN
          width := greatest((upto - here + 1) / {shrinkage}, 1);
          CONTINUE;
        END IF;
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
          field = COLUMN_NAME, of_constraint = CONSTRAINT_NAME, of_table = TABLE_NAME;
        BEGIN
          {document} := records[here]::jsonb;
        EXCEPTION WHEN OTHERS THEN
          {document} := NULL;
        END;
        IF {document} IS NOT NULL AND field = '' AND of_table = '' THEN
          BEGIN
            CASE (step->>'statement')::int
{probes}
            END CASE;
            field := '';
          EXCEPTION WHEN OTHERS THEN
            NULL;
          END;
        END IF;
        refused := refused || jsonb_build_object('ordinal', ordinals[here], 'state', state,
          'message', message, 'field', field, 'constraint', of_constraint,
          'readable', {document} IS NOT NULL);
        here := here + 1;
      END;
    END LOOP;
  END LOOP;
  PERFORM set_config('batchdrain.outcome', array_to_json(refused)::text, true);
END"""


def block_of(table: Table, shapes: Sequence[Shape]) -> str:
    """Return the block that applies records of these shapes; steps name them by their place."""
    document = unused_name(table, "document")
    statements = (
        f"          WHEN {place} THEN\n"
        f"{_branch(expanding(table, shape, document, 'INTO missing, elsewhere'))};"
        for place, shape in enumerate(shapes)
    )
    probes = (
        f"            WHEN {place} THEN\n{_probe(table, shape, document)}"
        for place, shape in enumerate(shapes)
    )
    body = _BLOCK.replace("document jsonb;", f"{document} jsonb;").format(
        widest=WIDEST,
        growth=GROWTH,
        shrinkage=SHRINKAGE,
        document=document,
        statements="\n".join(statements),
        probes="\n".join(probes),
        refused_predicate=refused_predicate_sql(),
    )
    return f"DO {dollar_quoted(body)}"


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


def work_of(shapes: Sequence[Shape], steps: Sequence[Step]) -> str:
    """Return the block's work as JSON: the steps with their records."""
    places = {shape: place for place, shape in enumerate(shapes)}
    return json.dumps(
        {
            "steps": [
                {
                    "statement": places[step.shape],
                    "together": step.together,
                    "ordinals": [record.ordinal for record in step.records],
                    "records": [record.data.decode() for record in step.records],
                }
                for step in steps
            ],
        }
    )
