"""What the measurements are called in tables and in the chart, in their order."""

from __future__ import annotations

OURS = "batchdrain"
"""What the labels of our own measurements begin with."""

INSERT = {
    "insert_one_row": "one row at a time, autocommit",
    "insert_execute_loop": "execute() in a loop, committed per batch",
    "insert_insert_rows": "PostgresHook.insert_rows",
    "insert_values": "batchdrain, style values",
    "insert_execute_values": "psycopg2 execute_values",
    "insert_executemany": "psycopg executemany, pipelined",
    "insert_asyncpg": "asyncpg executemany",
    "insert_set_statements": "bare multi-row VALUES",
    "insert_copy": "COPY, rows formatted in Python",
    "insert_recordset": "batchdrain",
    "insert_recordset_in_turn": "batchdrain, nothing decoded ahead",
    "drain_stream": "batchdrain, whole drain of a stream",
    "drain_list": "batchdrain, whole drain of a list",
    "insert_copy_limit": "COPY, rows formatted beforehand (the limit)",
}
UPDATE = {
    "update_one_row": "one row at a time, autocommit",
    "update_values": "batchdrain, style values (CASE)",
    "update_set_statements": "bare CASE",
    "update_executemany": "psycopg executemany, pipelined",
    "update_recordset": "batchdrain",
}
DELETE = {
    "delete_one_row": "one row at a time, autocommit",
    "delete_values": "batchdrain, style values (IN)",
    "delete_executemany": "psycopg executemany, pipelined",
    "delete_set_statements": "bare IN list",
    "delete_recordset": "batchdrain",
}
BAD = {
    "bad_1pct_one_by_one": "1 % bad: redone one by one, autocommit",
    "bad_1pct_savepoints": "1 % bad: redone one by one, savepoints",
    "bad_01pct": "batchdrain, 0.1 % bad",
    "bad_1pct": "batchdrain, 1 % bad",
    "bad_10pct": "batchdrain, 10 % bad",
    "bad_50pct": "batchdrain, 50 % bad",
}
UNIQUE = {
    "unique_insert_executemany": "INSERT, psycopg executemany",
    "unique_insert_recordset": "batchdrain, INSERT",
    "unique_update_executemany": "UPDATE, psycopg executemany",
    "unique_update_recordset": "batchdrain, UPDATE",
}
LINK = {
    "rtt_5ms_one_row": "one row at a time, autocommit",
    "rtt_5ms_values": "batchdrain, style values",
    "rtt_5ms_executemany": "psycopg executemany, pipelined",
    "rtt_5ms_recordset": "batchdrain",
}
BACKLOG = {
    "backlog_24k": "batchdrain, whole drain of 24,000 messages",
    "backlog_1m": "batchdrain, whole drain of 1,000,000 messages",
}

GROUPS = {
    "INSERT": INSERT,
    "UPDATE": UPDATE,
    "DELETE": DELETE,
    "INSERT with bad records": BAD,
    "Table with a secondary unique index": UNIQUE,
    "INSERT over a link with 5 ms round-trip time": LINK,
    "Long backlog": BACKLOG,
}
"""All of them, by heading."""
