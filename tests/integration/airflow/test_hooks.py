"""The hooks against real servers."""

from __future__ import annotations

import json
import traceback
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from redis.connection import SSLConnection

from batchdrain.engine.records import Refusal
from batchdrain.engine.settings import EngineSettings
from batchdrain.errors import ConfigurationError, SystemicError, TransientError
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.queues.queue import START
from tls_proxy import certificate, tls_before

pytestmark = pytest.mark.usefixtures("airflow_connections")


@pytest.fixture
def canota(connection) -> str:
    """A table as in the seed documents."""
    connection.execute(
        "CREATE TABLE canota (_id uuid PRIMARY KEY, _client_id varchar, _ver varchar, campo_a int, "
        "campo_b numeric, campo_c timestamptz)"
    )
    return "canota"


def ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def test_the_five_methods_give_one_result_per_record_that_agrees_with_the_database(
    canota, connection
):
    hook, keys = BatchPostgresHook(), ids(4)
    inserted = hook.batch_insert(
        [
            {"_id": keys[0], "campo_a": 1, "campo_b": Decimal("1.50")},
            json.dumps({"_id": keys[1], "campo_c": "2025-01-01T00:00:00Z"}).encode(),
            {"_id": keys[2], "campo_a": "no number"},
            b"{not json",
            {"_id": keys[0], "campo_c": datetime(2025, 1, 1, tzinfo=UTC)},
        ],
        canota,
        client_id="c-17",
        ver=3,
    )
    assert [result.applied for result in inserted] == [True, True, False, False, False]
    assert [result.refusal and result.refusal.error_type for result in inserted] == [
        None,
        None,
        "invalid_text_representation",
        "malformed_message",
        "unique_violation",
    ]
    rows = connection.execute("SELECT _id::text, _client_id, _ver FROM canota ORDER BY 1")
    assert rows.fetchall() == [(key, "c-17", "3") for key in sorted(keys[:2])]

    updated = hook.batch_update(
        [{"_id": keys[0], "campo_a": 9}, {"_id": keys[3]}], canota, client_id="c-17", ver="3"
    )
    assert [result.applied for result in updated] == [True, False]
    strange = hook.batch_update([{"_id": keys[0]}], canota, client_id="c-18", ver="3")
    assert strange[0].refusal.error_type == "scope_mismatch"

    single = hook.process_single_records(
        "upsert", [{"_id": keys[3], "campo_a": 4}, {"_id": "x"}], canota, "c-17", "3"
    )
    assert [result.applied for result in single] == [True, False]

    deleted = hook.batch_delete([{"_id": keys[0]}, {"_id": keys[2]}], canota, "c-17", "3")
    assert [result.applied for result in deleted] == [True, False]
    assert connection.execute("SELECT count(*) FROM canota").fetchone() == (2,)

    refused = connection.execute("SELECT count(*) FROM canota_errors").fetchone()
    saved = hook.save_to_error_table(
        [{"_id": keys[0], "campo_a": 7}, b"\\x00"],
        canota,
        Refusal("rejected_by_hand", "said so", field="campo_a"),
        operation="INSERT",
        client_id="c-17",
    )
    assert [result.record_id for result in saved] == [keys[0], None]
    rows = connection.execute(
        "SELECT record_id, client_id, operation, error_message FROM canota_errors "
        "WHERE error_type = 'rejected_by_hand' ORDER BY record_id"
    )
    assert rows.fetchall() == [
        (keys[0], "c-17", "INSERT", "said so"),
        (None, "c-17", "INSERT", "said so"),
    ]
    assert refused == (7,)


def test_an_unknown_operation_is_named(canota):
    with pytest.raises(ConfigurationError, match="'MERGE' is unknown: use one of INSERT"):
        BatchPostgresHook().process_single_records("MERGE", [], canota)


def test_the_connection_notices_a_server_that_is_gone(database):
    with BatchPostgresHook().connect() as connection:
        assert connection.autocommit
        parameters = connection.info.get_parameters()
        assert parameters["application_name"] == "batchdrain"
        assert parameters["tcp_user_timeout"] == "45000"
        assert parameters["keepalives_idle"] == "30"


def test_a_server_that_is_away_is_transient(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", "postgresql://user:geheim@127.0.0.1:1/db")
    hook = BatchPostgresHook("away")
    with pytest.raises(TransientError, match=r"away \(127.0.0.1:1/db\)") as caught:
        hook.connect()
    assert "geheim" not in str(caught.value)
    assert hook.test_connection()[0] is False
    assert BatchPostgresHook().test_connection()[0] is True


def test_the_addresses_hold_no_secret(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_Q", "redis://user:geheim@queues.example:6380/3")
    monkeypatch.setenv("AIRFLOW_CONN_P", "postgresql://user:geheim@db.example/flights")
    assert RedisQueueHook("q").address() == "q (queues.example:6380)"
    assert BatchPostgresHook("p").address() == "p (db.example:5432/flights)"


def test_depths_of_streams_lists_and_nothing(redis_client):
    redis_client.xadd("batchdrain:a", {"data": "{}"})
    redis_client.rpush("batchdrain:b", "x", "y")
    redis_client.set("batchdrain:c", "text")
    hook = RedisQueueHook()
    keys = ["batchdrain:b", "batchdrain:a", "batchdrain:none", "batchdrain:c"]
    assert hook.depths(keys) == dict(zip(keys, (2, 1, 0, 0), strict=True))
    stream = hook.survey(["batchdrain:a"])[0]
    assert stream.kind == "stream"
    assert stream.last_id == redis_client.xinfo_stream("batchdrain:a")["last-generated-id"].decode()
    assert hook.scan("batchdrain") == ["batchdrain:a", "batchdrain:b"]
    queue = hook.open_queue("batchdrain:b")
    queue.take("drain")
    queue.claim(2, START)
    claimed, nothing = hook.survey(["batchdrain:b", "batchdrain:none"])
    assert (claimed.kind, claimed.depth, claimed.last_id) == ("list", 2, None)
    assert (nothing.kind, nothing.depth) == ("none", 0)
    assert hook.scan("batchdrain") == ["batchdrain:a", "batchdrain:b"]
    assert hook.depths([]) == {}
    assert hook.test_connection()[0] is True
    hook.close()


def test_a_queue_server_that_is_away_is_transient(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", "redis://127.0.0.1:1/0?retries=0")
    with pytest.raises(TransientError):
        RedisQueueHook("away").depths(["batchdrain:a"])
    assert RedisQueueHook("away").test_connection()[0] is False


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("socket_timeout=soon", "socket_timeout"),
        ("socket_timeout=nan", "socket_timeout"),
        ("socket_connect_timeout=inf", "socket_connect_timeout"),
        ("db=first", "must be a number"),
        ("ssl=perhaps", "extra field ssl "),
        ("cluster=perhaps", "extra field cluster "),
    ],
)
def test_a_bad_extra_field_is_named(monkeypatch, query, named):
    monkeypatch.setenv("AIRFLOW_CONN_Q", f"redis://127.0.0.1:1/?{query}")
    with pytest.raises(ConfigurationError, match=named):
        RedisQueueHook("q").client()


def test_values_that_json_lacks_arrive_as_they_are(airflow_connections, connection):
    connection.execute("CREATE TABLE odd (id int PRIMARY KEY, b bytea, f float8, n numeric)")
    given = [
        {"id": 1, "b": b"\x00\xff", "f": float("nan"), "n": Decimal("12345678901234567.25")},
        {"id": 2, "b": None, "f": float("-inf"), "n": None},
    ]
    assert all(result.applied for result in BatchPostgresHook().batch_insert(given, "odd"))
    rows = connection.execute("SELECT b, f::text, n FROM odd ORDER BY id").fetchall()
    assert rows == [
        (b"\x00\xff", "NaN", Decimal("12345678901234567.25")),
        (None, "-Infinity", None),
    ]


@pytest.mark.parametrize("bad", [{"id": 1, "b": object()}, {"id": 1, "b": "\ud800"}, "text", 5])
def test_what_json_cannot_carry_is_named_by_its_place_and_nothing_is_applied(
    airflow_connections, connection, bad
):
    connection.execute("CREATE TABLE odd (id int PRIMARY KEY, b text)")
    with pytest.raises(ConfigurationError, match="Record 1 "):
        BatchPostgresHook().batch_insert([{"id": 7}, bad], "odd")
    assert connection.execute("SELECT count(*) FROM odd").fetchone() == (0,)


def test_the_scope_is_the_deployments(airflow_connections, connection, monkeypatch):
    """Its columns from the section, its values from the call; the key in the error table, too."""
    connection.execute("CREATE TABLE s (tenant text, id int, PRIMARY KEY (tenant, id))")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__SCOPE", "tenant=owner")
    hook = BatchPostgresHook()
    (result,) = hook.batch_insert([{"id": 1}], "s", scope={"owner": "c"})
    assert result.applied
    refusal = Refusal("check_violation", "no")
    (saved,) = hook.save_to_error_table([{"id": 2}], "s", refusal, scope={"owner": "c"})
    assert saved.record_id == '["c", 2]'


@pytest.mark.parametrize(
    ("url", "encrypted"),
    [
        ("rediss://:secret@127.0.0.1:6380/2", True),
        ("redis://:secret@127.0.0.1:6380/2?ssl=true", True),
        ("redis://:secret@127.0.0.1:6380/2?ssl=false", False),
        ("redis://:secret@127.0.0.1:6380/2", False),
        ("rediss://127.0.0.1:6380/2?ssl=false", True),
        ('{"conn_type": "redis", "host": "h", "schema": "rediss"}', True),
        ('{"conn_type": "redis", "host": "h", "extra": {"ssl": true}}', True),
        ('{"conn_type": "redis", "host": "h", "extra": {"ssl": "false"}}', False),
        ("redis://127.0.0.1:6380/2?cluster=false", False),
    ],
)
def test_tls_is_used_where_it_is_asked_for(monkeypatch, url, encrypted):
    monkeypatch.setenv("AIRFLOW_CONN_TLS", url)
    client = RedisQueueHook("tls").client()
    assert issubclass(client.connection_pool.connection_class, SSLConnection) is encrypted


def test_a_server_behind_tls_is_trusted_by_its_certificate(monkeypatch, own_valkey, tmp_path):
    """With the CA's file, and not without; a certificate of another host is refused, too."""
    file = certificate(tmp_path)
    with tls_before(own_valkey.port, file) as port:
        url = f"rediss://127.0.0.1:{port}/0?retries=0"
        monkeypatch.setenv("AIRFLOW_CONN_TLS", f"{url}&ssl_ca_certs={file}")
        hook = RedisQueueHook("tls")
        assert hook.test_connection()[0] is True
        hook.close()
        monkeypatch.setenv("AIRFLOW_CONN_TLS", url)
        assert "CERTIFICATE_VERIFY_FAILED" in RedisQueueHook("tls").test_connection()[1]
    file = certificate(tmp_path, "127.0.0.2")
    with tls_before(own_valkey.port, file) as port:
        url = f"rediss://127.0.0.1:{port}/0?retries=0&ssl_ca_certs={file}"
        monkeypatch.setenv("AIRFLOW_CONN_TLS", url)
        assert "127.0.0.1" in RedisQueueHook("tls").test_connection()[1]
        monkeypatch.setenv("AIRFLOW_CONN_TLS", f"{url}&ssl_check_hostname=false")
        hook = RedisQueueHook("tls")
        assert hook.test_connection()[0] is True
        hook.close()


@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_a_file_of_tls_that_is_missing_is_named_and_an_empty_field_names_none(monkeypatch, name):
    """The server isn't away, so that trying again would not help."""
    secure = {"conn_type": "rediss", "host": "127.0.0.1", "port": 1}
    away = {**secure, "extra": {name: "", "retries": 0}}
    monkeypatch.setenv("AIRFLOW_CONN_TLS", json.dumps(away))
    assert "refused" in RedisQueueHook("tls").test_connection()[1]
    monkeypatch.setenv("AIRFLOW_CONN_TLS", json.dumps({**secure, "extra": {name: "/no/ca.pem"}}))
    with pytest.raises(ConfigurationError, match=f"field {name} .* '/no/ca.pem', but there is no"):
        RedisQueueHook("tls").client()
    plain = {**secure, "conn_type": "redis", "extra": {name: "/no/ca.pem"}}
    monkeypatch.setenv("AIRFLOW_CONN_TLS", json.dumps(plain))
    RedisQueueHook("tls").client()


def test_no_operation_and_no_list_of_records_are_sentences(canota):
    with pytest.raises(ConfigurationError, match="operation 5 is unknown"):
        BatchPostgresHook().process_single_records(5, [], canota)
    with pytest.raises(ConfigurationError, match="must be a list of records"):
        BatchPostgresHook().batch_insert({"id": 1}, canota)


def test_settings_given_come_before_the_section(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__SCOPE", "tenant=owner")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__STATEMENT_TIMEOUT", "77")
    assert BatchPostgresHook().settings.scope == {"tenant": "owner"}
    assert BatchPostgresHook().settings.statement_timeout == 77
    given = EngineSettings(scope={"region": "client_id"})
    assert BatchPostgresHook(settings=given).settings is given


def test_nothing_is_applied_one_by_one_when_a_later_record_cannot_be_sent(canota, connection):
    with pytest.raises(ConfigurationError, match="Record 1 in column 'campo_a'"):
        BatchPostgresHook().process_single_records(
            "INSERT", [{"_id": ids(1)[0]}, {"campo_a": object()}], canota, "c", "3"
        )
    assert connection.execute("SELECT count(*) FROM canota").fetchone() == (0,)


@pytest.mark.parametrize(
    "call",
    [
        lambda hook, records: hook.batch_insert(records, "r"),
        lambda hook, records: hook.process_single_records("INSERT", records, "r"),
        lambda hook, records: hook.save_to_error_table(records, "r", Refusal("by_hand", "no")),
    ],
    ids=["batch", "single", "save"],
)
def test_an_error_does_not_show_the_rows_that_postgresql_quotes(connection, call):
    """An error table with a rule of its own makes every refusal fail, with the row in DETAIL."""
    connection.execute("CREATE TABLE r (id int PRIMARY KEY, t text)")
    connection.execute(
        "CREATE TABLE r_errors (record_data jsonb NOT NULL, CHECK (record_data IS NULL))"
    )
    records = [{"id": "geheim", "t": "geheim"}]
    with pytest.raises(SystemicError) as caught:
        call(BatchPostgresHook(), records)
    assert "geheim" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
