"""Isolation on the server: one DO block that applies a batch in small pieces.

See `block` for how a block gets its records.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from batchdrain.engine.catalog import Table
from batchdrain.engine.cut import Step
from batchdrain.engine.statements.block import (
    BETWEEN_CHUNKS,
    BETWEEN_RECORDS,
    do_block,
    int_array,
)
from batchdrain.engine.statements.shape import Shape

WIDEST = 64
SHRINKAGE = 4
"""Records in a piece: 64 at most, the size of the chunks in which they travel, and 1.5/sqrt(share
of bad ones so far, for each shape), which is about where the price of a statement and the price of
repeating a failed one balance. A piece that fails is repeated in quarters. (Best of thirty ways in
a simulation with 0.1 % to 50 % bad ones.)"""

_BLOCK = """#variable_conflict use_column
DECLARE
  work jsonb := current_setting('batchdrain.work')::jsonb;
  chunks text[] := string_to_array(current_setting('batchdrain.records'), E'\\x1e');
  ordinals int[] := work->>'ordinals';
  step jsonb; together boolean; {document} jsonb;
  chunk text; chunk_number int := 0; records text[]; joined text;
  before int := 0; rest int; total int;
  place int; width int; fence int; here int; upto int; one int; stop int; first int;
  seen int[] := array_fill(0, ARRAY[{shapes}]); bad int[] := array_fill(0, ARRAY[{shapes}]);
  missing bigint[]; elsewhere bigint[]; overtaken bigint[];
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
            missing := NULL; elsewhere := NULL; overtaken := NULL;
            CASE place
{statements}
            END CASE;
            IF overtaken IS NOT NULL THEN RAISE serialization_failure; END IF;
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
          IF NOT {swallowed} THEN RAISE; END IF;
          IF upto > here THEN
            fence := upto;
            width := greatest((upto - here + 1) / {shrinkage}, 1);
            CONTINUE;
          END IF;
{refusing}
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
    text = _BLOCK.replace("{widest}", str(WIDEST)).replace("{shrinkage}", str(SHRINKAGE))
    text = text.replace("{shapes}", str(len(shapes)))
    return do_block(
        table, shapes, text, "split_part(chunk, E'\\x1f', here)", "ordinals[before + here]"
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
        "ordinals": int_array(record.ordinal for record in records),
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
