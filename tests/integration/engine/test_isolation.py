"""Bad and slow records are singled out, and nothing else is refused (SEMANTICS, §4 and §5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest

from batchdrain.engine.engine import BatchEngine
from batchdrain.engine.settings import STATEMENT_STYLES, EngineSettings
from batchdrain.errors import SystemicError, TransientError
from fix_engine import MakeRecord, MakeRole, OpenEngine, refused, value
from proxy import PostgresProxy

Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.parametrize("style", STATEMENT_STYLES)

NAPPING = """
CREATE TABLE t (id int PRIMARY KEY, nap float8 CHECK (pg_sleep(nap)::text = ''), v int)"""

NO_PLPGSQL = "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC"

RAISING = """
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  {action};
  RETURN NEW;
END $$;
CREATE TRIGGER act BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION act()"""


@pytest.fixture
def mixed_batch(
    connection: Connection, make_role: MakeRole, open_engine: OpenEngine, record: MakeRecord
) -> Callable[[], dict[int, str]]:
    """Applies 200 records, of which 50, 51 and 150 are bad, as an ordinary role."""

    def apply() -> dict[int, str]:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, v numeric(3), w text NOT NULL)")
        role = make_role("GRANT ALL ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}")
        batch = [record("INSERT", {"id": n, "v": 1, "w": "w"}) for n in range(200)]
        batch[50] = record("INSERT", {"id": 50, "v": 1000, "w": "w"})
        batch[51] = record("INSERT", {"id": 51})
        batch[150] = record("INSERT", b'{"id": 150, "w": "\\u0000"}')
        result = open_engine("t", role=role).apply(batch)
        assert result.isolated
        assert result.refused == 3
        assert value(connection, "SELECT count(*) FROM t") == 197
        assert value(connection, "SELECT string_agg(field_id, ' ' ORDER BY id) FROM t_errors") == (
            "v w w"
        )
        return refused(result)

    return apply


def test_a_lone_value_that_its_type_calls_a_syntax_error_is_refused(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """Nothing else has to pass to know that the value is at fault, not the table."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v tsvector)")
    result = open_engine("t").apply([record("INSERT", {"id": 1, "v": "'a"})])
    assert refused(result) == {0: "syntax_error"}
    assert value(connection, "SELECT field_id FROM t_errors") == "v"


BAD = {
    50: "numeric_value_out_of_range",
    51: "not_null_violation",
    150: "untranslatable_character",
}


def test_bad_records_are_singled_out_on_the_server(
    mixed_batch: Callable[[], dict[int, str]],
) -> None:
    assert mixed_batch() == BAD


def test_bad_records_are_singled_out_by_halving_without_plpgsql(
    mixed_batch: Callable[[], dict[int, str]], connection: Connection
) -> None:
    connection.execute(NO_PLPGSQL)
    assert mixed_batch() == BAD


@pytest.mark.parametrize("plpgsql", [True, False], ids=["on the server", "by halving"])
def test_a_row_that_the_role_may_insert_and_not_see_is_inserted(
    connection: Connection,
    make_role: MakeRole,
    open_engine: OpenEngine,
    record: MakeRecord,
    plpgsql: bool,
) -> None:
    """A policy for SELECT hides it: that is no reason to refuse the record."""
    if not plpgsql:
        connection.execute(NO_PLPGSQL)
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY seen ON t FOR SELECT USING (id < 5); "
        "CREATE POLICY added ON t FOR INSERT WITH CHECK (id <> 3)"
    )
    role = make_role("GRANT ALL ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}")
    batch = [record("INSERT", {"id": n}) for n in (1, 1, 3, 6, 6)]
    assert refused(open_engine("t", role=role).apply(batch)) == {
        1: "unique_violation",
        2: "insufficient_privilege",
        4: "unique_violation",
    }
    assert value(connection, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM t") == "1 6"


def test_a_refused_record_s_column_is_found_in_one_round_trip(
    connection: Connection, database: str, make_role: MakeRole, record: MakeRecord, style: str
) -> None:
    """However many columns PostgreSQL has to be asked about, where halving is all that is left."""
    connection.execute(NO_PLPGSQL)
    trips = []
    for columns in (2, 12):
        names = [f"v{n}" for n in range(columns)]
        table = f"t{columns}"
        definitions = ", ".join(f"{name} int" for name in names)
        connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, {definitions})".encode())
        role = make_role(
            f"GRANT ALL ON {table} TO {{role}}", "GRANT CREATE ON SCHEMA public TO {role}"
        )
        bad = record("INSERT", {"id": 1, names[-1]: "a dozen"})
        with (
            PostgresProxy(database, delay=0.003) as proxy,
            BatchEngine(
                partial(psycopg.connect, proxy.url, options=f"-c role={role}"),
                table,
                settings=EngineSettings(statement_style=style),
            ) as engine,
        ):
            engine.open()
            opened = proxy.trips
            assert refused(engine.apply([bad])) == {0: "invalid_text_representation"}
            trips.append(proxy.trips - opened)
    # One trip more or less is the proxy's.
    assert trips[1] < trips[0] + 5


@pytest.mark.parametrize("plpgsql", [True, False], ids=["on the server", "by halving"])
def test_of_several_bad_values_the_first_column_s_is_told(
    connection: Connection,
    make_role: MakeRole,
    open_engine: OpenEngine,
    record: MakeRecord,
    plpgsql: bool,
) -> None:
    """Column and error belong together, whichever of them the statement meets first."""
    if not plpgsql:
        connection.execute(NO_PLPGSQL)
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(2), w int)")
    role = make_role("GRANT ALL ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}")
    bad = record("INSERT", {"id": 1, "v": "abc", "w": "a dozen"})
    result = open_engine("t", role=role).apply([bad])
    assert refused(result) == {0: "string_data_right_truncation"}
    assert value(connection, "SELECT field_id FROM t_errors") == "v"


def test_a_batch_that_takes_too_long_is_halved_until_it_does_not(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(NAPPING)
    engine = open_engine("t", lock_timeout=0.1, statement_timeout=0.5)
    result = engine.apply([record("INSERT", {"id": n, "nap": 0.1}) for n in range(8)])
    assert result.applied == 8
    assert result.isolated


def test_a_lone_record_that_takes_too_long_is_refused(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(NAPPING)
    engine = open_engine("t", lock_timeout=0.1, statement_timeout=0.3)
    result = engine.apply(
        [record("INSERT", {"id": n, "nap": 5 if n == 2 else 0}) for n in range(4)]
    )
    assert refused(result) == {2: "query_canceled"}
    assert value(connection, "SELECT count(*) FROM t") == 3


def test_a_wait_for_a_lock_refuses_nothing(
    connection: Connection, database: str, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(NAPPING)
    engine = open_engine("t", lock_timeout=0.1, statement_timeout=5)
    engine.apply([record("INSERT", {"id": n, "v": 0}) for n in range(4)])
    with psycopg.connect(database) as blocker:
        blocker.execute("UPDATE t SET v = 9 WHERE id = 2")
        with pytest.raises(TransientError) as raised:
            engine.apply([record("UPDATE", {"id": n, "v": 1}) for n in range(4)])
        assert raised.value.sqlstate == "55P03"
    assert value(connection, "SELECT sum(v) FROM t") == 9
    assert value(connection, "SELECT count(*) FROM t_errors") == 0
    assert engine.apply([record("UPDATE", {"id": n, "v": 1}) for n in range(4)]).applied == 4


def test_a_lone_record_that_is_slow_because_of_a_lock_is_not_refused(
    connection: Connection, database: str, open_engine: OpenEngine, record: MakeRecord
) -> None:
    """It runs into the statement's time-out while it waits for less than the lock's."""
    connection.execute(
        "CREATE DOMAIN napping AS float8 CHECK (pg_sleep(VALUE)::text = '');"
        "CREATE TABLE t (id int PRIMARY KEY, nap napping)"
    )
    engine = open_engine("t", lock_timeout=0.4, statement_timeout=0.5)
    engine.apply([record("INSERT", {"id": 1, "nap": 0})])
    with psycopg.connect(database) as blocker:
        blocker.execute("UPDATE t SET nap = 0 WHERE id = 1")
        with pytest.raises(TransientError):
            engine.apply([record("UPDATE", {"id": 1, "nap": 0.3})])
    assert value(connection, "SELECT count(*) FROM t_errors") == 0


def test_a_statement_that_somebody_cancels_refuses_nothing(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(NAPPING)
    engine = open_engine("t")
    engine.open()
    threading.Thread(target=_cancel_when_running, args=(connection, engine), daemon=True).start()
    with pytest.raises(TransientError, match="cancelled"):
        engine.apply([record("INSERT", {"id": n, "nap": 5}) for n in range(2)])
    assert value(connection, "SELECT count(*) FROM t_errors") == 0


def _cancel_when_running(connection: Connection, engine: BatchEngine) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while not value(connection, running):
        time.sleep(0.01)
    engine.cancel()


def test_an_error_of_class_42_refuses_its_record_when_others_pass(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(
        RAISING.format(action="IF NEW.id = 3 THEN PERFORM no_such_function(); END IF").encode()
    )
    result = open_engine("t").apply([record("INSERT", {"id": n}) for n in range(5)])
    assert refused(result) == {3: "undefined_function"}
    assert value(connection, "SELECT count(*) FROM t") == 4


@pytest.mark.parametrize("plpgsql", [True, False])
def test_an_error_of_class_42_in_every_record_is_systemic(
    connection: Connection,
    make_role: MakeRole,
    open_engine: OpenEngine,
    record: MakeRecord,
    plpgsql: bool,
) -> None:
    """Also when other records are refused for their own values: none has passed."""
    connection.execute(RAISING.format(action="PERFORM no_such_function()").encode())
    role = make_role("GRANT ALL ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}")
    if not plpgsql:
        connection.execute(NO_PLPGSQL)
    batch = [record("INSERT", {"id": n}) for n in range(5)]
    batch.append(record("INSERT", {"id": "x"}))
    with pytest.raises(SystemicError, match="undefined_function"):
        open_engine("t", role=role).apply(batch)
    assert value(connection, "SELECT count(*) FROM t") == 0
    assert value(connection, "SELECT count(*) FROM t_errors") == 0


@pytest.mark.parametrize(
    ("sqlstate", "plpgsql"),
    [("40001", True), ("40P01", True), ("55P03", False), ("53200", False)],
)
def test_a_transient_error_consumes_nothing(
    connection: Connection,
    make_role: MakeRole,
    open_engine: OpenEngine,
    record: MakeRecord,
    sqlstate: str,
    plpgsql: bool,
) -> None:
    action = f"IF NEW.id = 3 THEN RAISE SQLSTATE '{sqlstate}'; END IF"
    connection.execute(RAISING.format(action=action).encode())
    role = make_role("GRANT ALL ON t TO {role}", "GRANT CREATE ON SCHEMA public TO {role}")
    if not plpgsql:
        connection.execute(NO_PLPGSQL)
    batch = [record("INSERT", {"id": n}) for n in range(5)]
    batch.append(record("INSERT", {"id": "x"}))
    with pytest.raises(TransientError) as raised:
        open_engine("t", role=role).apply(batch)
    assert raised.value.sqlstate == sqlstate
    assert value(connection, "SELECT count(*) FROM t") == 0
    assert value(connection, "SELECT count(*) FROM t_errors") == 0


def test_a_code_that_is_a_trigger_s_own_refuses(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    action = "IF NEW.id = 3 THEN RAISE SQLSTATE 'SHOP1' USING COLUMN = 'v'; END IF"
    connection.execute(RAISING.format(action=action).encode())
    result = open_engine("t").apply([record("INSERT", {"id": n}) for n in range(5)])
    assert refused(result) == {3: "SHOP1"}
    refusal = result.results[3].refusal
    assert refusal is not None
    assert refusal.field == "v"


def test_any_other_code_is_systemic(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(RAISING.format(action="RAISE SQLSTATE '2F003'").encode())
    with pytest.raises(SystemicError, match="2F003"):
        open_engine("t").apply([record("INSERT", {"id": 1})])


def test_deferred_constraints_are_checked_with_their_record(
    connection: Connection, open_engine: OpenEngine, record: MakeRecord
) -> None:
    connection.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p DEFERRABLE INITIALLY DEFERRED,"
        " code int CONSTRAINT one_code UNIQUE DEFERRABLE INITIALLY DEFERRED)"
    )
    batch = [record("INSERT", {"id": n, "code": 1 if n > 2 else n}) for n in range(4)]
    batch.append(record("INSERT", {"id": 5, "p": 7}))
    assert refused(open_engine("t").apply(batch)) == {
        3: "unique_violation",
        4: "foreign_key_violation",
    }
