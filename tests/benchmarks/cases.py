"""Who is measured at what, in the order of the tables."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.competitors import Competitor, Servers, copying, others
from benchmarks.competitors.drains import Drain
from benchmarks.competitors.fallback import OneByOne
from benchmarks.competitors.ours import Engine
from benchmarks.competitors.psycopg3 import ExecuteLoop, Executemany, OneRow, SetStatements
from benchmarks.rounds import Case
from benchmarks.scenario import BAD_SHARES, Scenario

_INSERTS: dict[str, Competitor] = {
    "insert_one_row": OneRow("insert"),
    "insert_execute_loop": ExecuteLoop("insert"),
    "insert_insert_rows": others.insert_rows,
    "insert_set_statements": SetStatements("insert"),
    "insert_values": Engine("values"),
    "insert_asyncpg": others.asyncpg_executemany,
    "insert_executemany": Executemany("insert"),
    "insert_execute_values": others.execute_values,
    "insert_copy": copying.formatted,
    "insert_recordset": Engine(),
    "insert_recordset_in_turn": Engine(ahead=False),
    "insert_copy_limit": copying.preformatted,
    "drain_stream": Drain("stream"),
    "drain_list": Drain("list"),
}

_SLOW = (
    "_one_row",
    "_execute_loop",
    "_one_by_one",
    "_savepoints",
    "update_values",
    "update_set_statements",
)
"""How the names of measurements end that take seconds."""


def cases(scenarios: Mapping[str, Scenario], near: Servers, far: Servers) -> list[Case]:
    """Return all cases; `far` leads over the slow link."""
    insert = scenarios["insert"]
    found = [Case(name, insert, each, near) for name, each in _INSERTS.items()]
    for operation in ("update", "delete"):
        ways: dict[str, Competitor] = {
            "one_row": OneRow(operation),
            "set_statements": SetStatements(operation),
            "values": Engine("values"),
            "executemany": Executemany(operation),
            "recordset": Engine(),
        }
        found += [
            Case(f"{operation}_{way}", scenarios[operation], each, near)
            for way, each in ways.items()
        ]
    found += [Case(name, scenarios[name], Engine(), near) for name in BAD_SHARES]
    for way, savepoints in (("one_by_one", False), ("savepoints", True)):
        competitor = OneByOne(savepoints=savepoints)
        found.append(Case(f"bad_1pct_{way}", scenarios["bad_1pct"], competitor, near))
    for operation in ("insert", "update"):
        for way, each in (("executemany", Executemany(operation)), ("recordset", Engine())):
            name = f"unique_{operation}"
            found.append(Case(f"{name}_{way}", scenarios[name], each, near))
    found += [
        Case("rtt_5ms_one_row", scenarios["insert_few"], OneRow("insert"), far),
        Case("rtt_5ms_executemany", insert, Executemany("insert"), far),
        Case("rtt_5ms_values", insert, Engine("values"), far),
        Case("rtt_5ms_recordset", insert, Engine(), far),
    ]
    return [
        Case(c.name, c.scenario, c.competitor, c.servers, c.name.endswith(_SLOW)) for c in found
    ]
