"""Isolation on the server: one DO block that applies a batch in small pieces.

The block's text never changes. It reads its work from a transaction-local setting and leaves what
it refused in another, so it needs no privilege beyond PL/pgSQL and survives a transaction pooler.
Records travel as JSON strings and are cast one piece at a time, because one record that jsonb does
not take would otherwise poison the whole parameter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from batchdrain.engine.catalog import Table
from batchdrain.engine.cut import Step
from batchdrain.engine.failures import refused_predicate_sql
from batchdrain.engine.statements.questions import conversions
from batchdrain.engine.statements.recordset import Recordset
from batchdrain.engine.statements.shape import Shape

PIECE = 16
"""Records in a set statement of the first level (DESIGN, isolation: measured best)."""

SET_WORK = "SELECT set_config('batchdrain.work', $1, true)"
"""Hands the block its work: $1 is what `work_of` returns."""

OUTCOME = "SELECT current_setting('batchdrain.outcome')"
"""Returns a JSON array with an object for every record that the block refused."""

BLOCK = f"""DO $batchdrain$
DECLARE
  work jsonb := current_setting('batchdrain.work')::jsonb;
  piece int := (work->>'piece')::int;
  step jsonb; statement jsonb; together boolean;
  records text[]; ordinals int[];
  first int; last int; here int; upto int;
  missing bigint[]; elsewhere bigint[]; whole boolean;
  found jsonb[]; refused jsonb[] := '{{}}';
  state text; message text; field text; of_constraint text; of_table text;
  probe jsonb; document jsonb;
BEGIN
  FOR step IN SELECT value FROM jsonb_array_elements(work->'steps') LOOP
    statement := work->'statements'->((step->>'statement')::int);
    together := (step->>'together')::boolean;
    records := ARRAY(SELECT jsonb_array_elements_text(step->'records'));
    ordinals := ARRAY(SELECT value::int FROM jsonb_array_elements_text(step->'ordinals'));
    FOR first IN 1..cardinality(records) BY piece LOOP
      last := least(first + piece - 1, cardinality(records));
      BEGIN
        found := '{{}}'; here := first; whole := true;
        WHILE here <= last LOOP
          upto := CASE WHEN together THEN last ELSE here END;
          IF (statement->>'reports')::boolean THEN
            EXECUTE statement->>'text' INTO missing, elsewhere
              USING ('[' || array_to_string(records[here:upto], ',') || ']')::jsonb;
            found := found || ARRAY(
              SELECT jsonb_build_object('ordinal', ordinals[here + n::int - 1], 'missing', true)
              FROM unnest(missing) AS n UNION ALL
              SELECT jsonb_build_object('ordinal', ordinals[here + n::int - 1], 'missing', false)
              FROM unnest(elsewhere) AS n);
          ELSE
            EXECUTE statement->>'text'
              USING ('[' || array_to_string(records[here:upto], ',') || ']')::jsonb;
          END IF;
          here := upto + 1;
        END LOOP;
      EXCEPTION WHEN OTHERS THEN
        IF NOT ({refused_predicate_sql()}) THEN RAISE; END IF;
        whole := false;
      END;
      IF whole THEN
        refused := refused || found;
        CONTINUE;
      END IF;
      FOR here IN first..last LOOP
        BEGIN
          missing := NULL; elsewhere := NULL;
          IF (statement->>'reports')::boolean THEN
            EXECUTE statement->>'text' INTO missing, elsewhere
              USING ('[' || records[here] || ']')::jsonb;
          ELSE
            EXECUTE statement->>'text' USING ('[' || records[here] || ']')::jsonb;
          END IF;
          IF missing IS NOT NULL OR elsewhere IS NOT NULL THEN
            refused := refused || jsonb_build_object(
              'ordinal', ordinals[here], 'missing', missing IS NOT NULL);
          END IF;
        EXCEPTION WHEN OTHERS THEN
          IF NOT ({refused_predicate_sql()}) THEN RAISE; END IF;
          GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            field = COLUMN_NAME, of_constraint = CONSTRAINT_NAME, of_table = TABLE_NAME;
          BEGIN
            document := records[here]::jsonb;
          EXCEPTION WHEN OTHERS THEN
            document := NULL;
          END;
          IF document IS NOT NULL AND field = '' AND of_table = '' THEN
            FOR probe IN SELECT value FROM jsonb_array_elements(statement->'probes') LOOP
              BEGIN
                EXECUTE probe->>1 USING document;
              EXCEPTION WHEN OTHERS THEN
                field := probe->>0;
                EXIT;
              END;
            END LOOP;
          END IF;
          refused := refused || jsonb_build_object('ordinal', ordinals[here], 'state', state,
            'message', message, 'field', field, 'constraint', of_constraint,
            'readable', document IS NOT NULL);
        END;
      END LOOP;
    END LOOP;
  END LOOP;
  PERFORM set_config('batchdrain.outcome', array_to_json(refused)::text, true);
END $batchdrain$"""


def work_of(table: Table, steps: Sequence[Step]) -> str:
    """Return the block's work as JSON: statements with their probes, and steps with records."""
    shapes = list(dict.fromkeys(step.shape for step in steps))
    return json.dumps(
        {
            "piece": PIECE,
            "statements": [_statement(table, shape) for shape in shapes],
            "steps": [
                {
                    "statement": shapes.index(step.shape),
                    "together": step.together,
                    "ordinals": [record.ordinal for record in step.records],
                    "records": [record.data.decode() for record in step.records],
                }
                for step in steps
            ],
        }
    )


def _statement(table: Table, shape: Shape) -> dict[str, object]:
    statement = Recordset().statement(table, shape)
    return {
        "text": statement.text,
        "reports": statement.reports,
        "probes": conversions(table, shape.carried),
    }
