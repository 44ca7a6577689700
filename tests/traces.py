"""All that a database and a Redis hold, to be compared with what they hold later."""

from __future__ import annotations

from typing import Any

import psycopg
import redis
from psycopg import sql

_RELATIONS = """
SELECT n.nspname, c.relname, c.relkind::text
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY 1, 2"""

_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1"


def traces(database: str, client: redis.Redis) -> tuple[Any, ...]:
    """Return schemas, relations and rows of a database, and the keys of Redis with their bytes.

    Rows come with the place where they lie and the transaction that wrote them, so that one which
    was written again shows even if it is the same. What sequences hold is left out.
    """
    with psycopg.connect(database, autocommit=True) as connection:
        schemas = connection.execute(_SCHEMAS).fetchall()
        relations = connection.execute(_RELATIONS).fetchall()
        rows = {
            (schema, name): connection.execute(
                sql.SQL(
                    "SELECT ctid::text, xmin::text, to_jsonb(t)::text FROM {} AS t ORDER BY ctid"
                ).format(sql.Identifier(schema, name))
            ).fetchall()
            for schema, name, kind in relations
            if kind == "r"
        }
    keys: Any = client.keys("*")
    return schemas, relations, rows, {key: (client.dump(key), client.ttl(key)) for key in keys}
