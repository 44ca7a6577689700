"""PostgreSQL and Valkey for the demo and the tests, with nothing to install but wheels.

    with PostgresServer() as postgres, ValkeyServer() as valkey:
        psycopg.connect(postgres.url)
        redis.Redis.from_url(valkey.url)

They listen on 127.0.0.1 only, several can run at once, root runs them as `nobody`, and they end
with the process that started them, however that one ends.
"""

from __future__ import annotations

from batchdrain.demo.embedded import EmbeddedServer
from batchdrain.demo.postgres_server import PostgresServer
from batchdrain.demo.valkey_server import ValkeyServer

__all__ = ["EmbeddedServer", "PostgresServer", "ValkeyServer"]
