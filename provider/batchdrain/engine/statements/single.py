"""Records one by one on the server: a DO block for those that probably will be refused.

It knows no pieces, so that PostgreSQL has little of it to compile: each record has an EXCEPTION
block of its own. See `block` for how a block gets its records.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from batchdrain.engine.catalog import Table
from batchdrain.engine.ready import Ready
from batchdrain.engine.statements.block import BETWEEN_RECORDS, do_block, int_array
from batchdrain.engine.statements.shape import Shape

_BLOCK = """#variable_conflict use_column
DECLARE
  work jsonb := current_setting('batchdrain.work')::jsonb;
  records text[] := string_to_array(current_setting('batchdrain.records'), E'\\x1f');
  ordinals int[] := work->>'ordinals'; places int[] := work->>'statements';
  place int; {document} jsonb; missing bigint[]; elsewhere bigint[]; overtaken bigint[];
  refused jsonb[] := '{{}}';
  state text; message text; field text; of_constraint text; of_table text;
BEGIN
  FOR here IN 1 .. cardinality(records) LOOP
    place := places[here];
    BEGIN
      {document} := ('[' || records[here] || ']')::jsonb;
      missing := NULL; elsewhere := NULL; overtaken := NULL;
      CASE place
{statements}
      END CASE;
      IF overtaken IS NOT NULL THEN RAISE serialization_failure; END IF;
      IF missing IS NOT NULL OR elsewhere IS NOT NULL THEN
        refused := refused
          || jsonb_build_object('ordinal', ordinals[here], 'missing', missing IS NOT NULL);
      END IF;
    EXCEPTION WHEN OTHERS THEN
      IF NOT {swallowed} THEN RAISE; END IF;
{refusing}
    END;
  END LOOP;
  PERFORM set_config('batchdrain.outcome', array_to_json(refused)::text, true);
END"""


def single_block(table: Table, shapes: Sequence[Shape]) -> str:
    """Return the block that applies records of these shapes, which name them by their place."""
    return do_block(table, shapes, _BLOCK, "records[here]", "ordinals[here]")


def single_work(shapes: Sequence[Shape], records: Sequence[Ready]) -> tuple[str, str]:
    """Return the block's work, the parameters of SET_WORK."""
    places = {shape: place for place, shape in enumerate(shapes, 1)}
    work = {
        "ordinals": int_array(record.ordinal for record in records),
        "statements": int_array(places[record.shape] for record in records),
    }
    joined = BETWEEN_RECORDS.encode().join([record.data for record in records])
    return json.dumps(work), joined.decode()
