"""Isolation on the server: one DO block that applies a batch in small pieces.

The block reads its records from a transaction-local setting and leaves what it refused in another,
so it needs no privilege beyond PL/pgSQL and survives a transaction pooler. Records travel as text
and are cast piece by piece, because one record that jsonb does not take would otherwise poison the
whole parameter. The statements stand in the block as they are, not as strings to
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
SHRINKAGE = 4
"""Records in a piece: 64 at most, the size of the chunks in which they travel, and 1.5/sqrt(share
of bad ones so far, for each shape), which is about where the price of a statement and the price of
repeating a failed one balance. A piece that fails is repeated in quarters. (Best of thirty ways in
a simulation with 0.1 % to 50 % bad ones.)"""

SET_WORK = """SELECT set_config('batchdrain.work', $1, true),
  set_config('batchdrain.records', $2, true)"""
"""Hands the block its work: the parameters are what `work_of` returns."""

BETWEEN_RECORDS, BETWEEN_CHUNKS = "\x1f", "\x1e"
"""JSON holds no control characters but white space (RFC 8259, 2 and 7)."""

OUTCOME = "SELECT current_setting('batchdrain.outcome')"
"""Returns a JSON array with an object for every record that the block refused."""

_BLOCK = """#variable_conflict use_column
DECLARE
  work jsonb := current_setting('batchdrain.work')::jsonb;
  chunks text[] := string_to_array(current_setting('batchdrain.records'), E'\\x1e');
  ordinals int[] := work->>'ordinals';
  step jsonb; together boolean; document jsonb;
  chunk text; chunk_number int := 0; records text[]; joined text;
  before int := 0; rest int; total int;
  place int; width int; fence int; here int; upto int; one int; stop int; first int;
  seen int[] := array_fill(0, ARRAY[{shapes}]); bad int[] := array_fill(0, ARRAY[{shapes}]);
  missing bigint[]; elsewhere bigint[];
  found jsonb[]; refused jsonb[] := '{{}}';
  state text; message text; field text; of_constraint text; of_table text;
BEGIN
  FOR step IN SELECT value FROM jsonb_array_elements(work->'steps') LOOP
    together := (step->>'together')::boolean;
    place := (step->>'statement')::int;
    rest := (step->>'records')::int;
    WHILE rest > 0 LOOP
      chunk_number := chunk_number + 1;
      chunk := chunks[chunk_number]; records := NULL;
      total := least(rest, {widest});
      here := 1; fence := 0;
      WHILE here <= total LOOP
        IF here > fence THEN
          width := least({widest}, ceil(1.5 * sqrt(greatest(seen[place], 1)
            / greatest(bad[place], 1e-6::float8))));
        END IF;
        upto := least(here + width - 1, total);
        BEGIN
          found := '{{}}'; one := here;
          WHILE one <= upto LOOP
            stop := CASE WHEN together THEN upto ELSE one END;
            IF stop - one + 1 = total THEN
              joined := replace(chunk, E'\\x1f', ',');
            ELSE
              records := coalesce(records, string_to_array(chunk, E'\\x1f'));
              joined := array_to_string(records[one:stop], ',');
            END IF;
            {document} := ('[' || joined || ']')::jsonb;
            missing := NULL; elsewhere := NULL;
            CASE place
{statements}
            END CASE;
            IF missing IS NOT NULL OR elsewhere IS NOT NULL THEN
              first := before + one - 1;
              found := found || ARRAY(
                SELECT jsonb_build_object('ordinal', ordinals[first + n::int], 'missing', true)
                FROM unnest(missing) AS m(n) UNION ALL
                SELECT jsonb_build_object('ordinal', ordinals[first + n::int], 'missing', false)
                FROM unnest(elsewhere) AS e(n));
            END IF;
            one := stop + 1;
          END LOOP;
          refused := refused || found;
          seen[place] := seen[place] + upto - here + 1;
          here := upto + 1;
        EXCEPTION WHEN OTHERS THEN
          IF NOT {refused_predicate} THEN RAISE; END IF;
          IF upto > here THEN
            fence := upto;
            width := greatest((upto - here + 1) / {shrinkage}, 1);
            CONTINUE;
          END IF;
          GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            field = COLUMN_NAME, of_constraint = CONSTRAINT_NAME, of_table = TABLE_NAME;
          BEGIN
            {document} := split_part(chunk, E'\\x1f', here)::jsonb;
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
            'ordinal', ordinals[before + here], 'state', state, 'message', message,
            'field', field, 'constraint', of_constraint, 'readable', {document} IS NOT NULL);
          here := here + 1;
          seen[place] := seen[place] + 1;
          bad[place] := bad[place] + 1;
        END;
      END LOOP;
      before := before + total;
      rest := rest - total;
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
        for place, shape in enumerate(shapes, 1)
    )
    probes = (
        f"            WHEN {place} THEN\n{_probe(table, shape, document)}"
        for place, shape in enumerate(shapes, 1)
    )
    body = _BLOCK.replace("document jsonb;", f"{document} jsonb;").format(
        widest=WIDEST,
        shapes=len(shapes),
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


def work_of(shapes: Sequence[Shape], steps: Sequence[Step]) -> tuple[str, str]:
    """Return the block's work: the steps as JSON, and the records in chunks."""
    places = {shape: place for place, shape in enumerate(shapes, 1)}
    records = [record for step in steps for record in step.records]
    chunks = (
        step.records[first : first + WIDEST]
        for step in steps
        for first in range(0, len(step.records), WIDEST)
    )
    work = {
        "ordinals": f"{{{','.join(str(record.ordinal) for record in records)}}}",
        "steps": [
            {
                "statement": places[step.shape],
                "together": step.together,
                "records": len(step.records),
            }
            for step in steps
        ],
    }
    between, within = BETWEEN_CHUNKS.encode(), BETWEEN_RECORDS.encode()
    joined = (within.join([record.data for record in chunk]) for chunk in chunks)
    return json.dumps(work), between.join(joined).decode()
