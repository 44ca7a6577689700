"""How the options of section [batchdrain] are read."""

from __future__ import annotations

import pytest

from batchdrain import configuration as options
from batchdrain.allow_list import AllowedTable, AllowList
from batchdrain.errors import ConfigurationError
from batchdrain.queues.message import OWN_MEMBERS, decode


def test_a_param_comes_before_the_argument_the_section_and_the_default(monkeypatch):
    assert options.BATCH_SIZE.read() is None
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__BATCH_SIZE", "20")
    assert options.BATCH_SIZE.read() == 20
    assert options.BATCH_SIZE.read(30) == 30
    assert options.BATCH_SIZE.read(30, params={"batch_size": 40}) == 40
    assert options.BATCH_SIZE.read(30, params={"batch_size": None}) == 30


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        (options.PEAK_WINDOW, "07:00-08:00", (420, 480)),
        (options.PEAK_WINDOW, "23:30\u201301:15", (1410, 75)),
        (options.PEAK_WINDOW, "none", None),
        (
            options.SCOPE,
            "_client_id=client_id, _ver=ver",
            {"_client_id": "client_id", "_ver": "ver"},
        ),
        (options.SCOPE, "none", {}),
        (options.SCOPE, {"tenant": "client_id"}, {"tenant": "client_id"}),
        (options.MAX_RECORDS, "none", None),
        (options.BATCH_SIZE, "adaptive", None),
        (options.STATEMENT_STYLE, "values", "values"),
        (options.MAX_RECORDS, "5", 5),
        (options.MAX_SECONDS, 1.5, 1.5),
        (options.MAX_REFUSED_SHARE, "0.25", 0.25),
        (options.CADENCE, "300", 300),
        (options.TIMEZONE, "America/Mexico_City", "America/Mexico_City"),
        (options.LEFT_PUSH, "none", AllowList()),
        (options.LEFT_PUSH, False, AllowList()),
        (options.LEFT_PUSH, [], AllowList()),
        (options.LEFT_PUSH, True, AllowList(any_table=True)),
        (options.LEFT_PUSH, "*", AllowList(any_table=True)),
        (options.LEFT_PUSH, "a, s.b", AllowList((AllowedTable("a"), AllowedTable("s.b")))),
    ],
)
def test_a_good_value_is_taken(option, value, expected):
    assert option.read(value) == expected


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (options.BATCH_SIZE, 0),
        (options.BATCH_SIZE, "many"),
        (options.BATCH_SIZE, True),
        (options.BATCH_BYTES, 10),
        (options.PEAK_WINDOW, "7 to 8"),
        (options.PEAK_WINDOW, "07:00-07:00"),
        (options.PEAK_WINDOW, "07:61-08:00"),
        (options.PEAK_CADENCE, 7),
        (options.CADENCE, 90),
        (options.CADENCE, 0),
        (options.TIMEZONE, "Mars/Olympus"),
        (options.MAX_REFUSED_SHARE, 1.5),
        (options.MAX_SECONDS, "nan"),
        (options.MAX_SECONDS, -1),
        (options.SCOPE, "_client_id"),
        (options.SCOPE, {"tenant": ""}),
        (options.SCOPE, {"tenant": None}),
        (options.SCOPE, "tenant=record"),
        (options.SCOPE, {"tenant": "operation"}),
        (options.SCOPE, "a=client_id,a=ver"),
        (options.SCOPE, 5),
        (options.BATCH_SIZE, "\u0663"),
        (options.MAX_SECONDS, "\u0663"),
        (options.MAX_SECONDS, [5]),
        (options.MAX_REFUSED_SHARE, object()),
        (options.TABLES, 5),
        (options.TABLES, [5]),
        (options.TABLES, {"flights": 4}),
        (options.PREFIX, "a:b"),
        (options.POOL, " "),
        (options.TABLES, "flights:0"),
        (options.TABLES, "flights, flights"),
        (options.TABLES, "*, flights"),
        (options.TABLES, ","),
        (options.TABLES, []),
        (options.TABLES, ()),
        (options.LEFT_PUSH, "orders:4"),
        (options.LEFT_PUSH, 1),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_option(option, value):
    with pytest.raises(ConfigurationError, match=rf"argument {option.name} is "):
        option.read(value)


def test_an_empty_list_is_not_taken_for_that_of_the_section(monkeypatch):
    """A list that is made while a DAG runs may be empty: then nothing is meant, not all."""
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__TABLES", "flights")
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__LEFT_PUSH", "*")
    with pytest.raises(ConfigurationError, match=r"argument tables is .*, but it names no table"):
        options.TABLES.read([])
    assert not options.LEFT_PUSH.read([]).covers("flights")
    assert options.TABLES.read("").covers("flights")


def test_the_sentence_about_a_scope_says_what_is_wrong_with_it():
    with pytest.raises(ConfigurationError, match=r"argument scope .* names the column a twice"):
        options.SCOPE.read("a=client_id,a=ver")
    with pytest.raises(ConfigurationError, match="argument tables is 5, but it must be a list"):
        options.TABLES.read(5)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        (options.BATCH_SIZE, "Auto", "a whole number of at least 1, or adaptive."),
        (options.MAX_RECORDS, "None", "a whole number of at least 1, or none."),
        (options.MAX_SECONDS, "1m", "a number of seconds above 0, or none."),
        (options.ALERT_REFUSED_SHARE, "off", "a number from 0 to 1, or none."),
        (options.MAX_REFUSED_SHARE, "off", "a number from 0 to 1."),
    ],
)
def test_the_sentence_about_a_number_names_the_word_that_stands_for_none(option, value, sentence):
    with pytest.raises(ConfigurationError) as caught:
        option.read(value)
    assert str(caught.value).endswith(f"it must be {sentence}")


def test_members_that_no_message_can_carry_a_scope_in_are_reserved():
    for member in OWN_MEMBERS:
        with pytest.raises(ConfigurationError, match=f"member {member} "):
            options.SCOPE.read(f"tenant={member}")
        with pytest.raises(ConfigurationError, match=f"'{member}' can't carry"):
            decode(b"{}", members=(member,))


def test_a_bad_value_of_the_section_names_the_section(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BATCHDRAIN__BATCH_SIZE", "0")
    with pytest.raises(ConfigurationError, match=r"option batch_size of section \[batchdrain\]"):
        options.BATCH_SIZE.read()


def test_tables_has_no_default_and_the_error_says_how_to_set_it():
    assert not options.TABLES.is_set()
    with pytest.raises(ConfigurationError, match="AIRFLOW__BATCHDRAIN__TABLES=airports"):
        options.TABLES.read()


def test_every_default_and_every_example_is_a_good_value():
    for option in options.OPTIONS:
        option.read(option.example)
        if option.default is not None:
            option.read(option.default)
