"""The demo's messages: real flights, told in the order in which things happened."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

from batchdrain.demo.messages import Message, all_messages


@cache
def messages() -> dict[str, list[Message]]:
    return all_messages()


def content(message: Message) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(message.body)
    return parsed


def test_flights_make_exactly_24_000_messages_of_one_record() -> None:
    flights = messages()["flights"]

    assert len(flights) == 24_000
    assert all(message.records == 1 and "record" in content(message) for message in flights)


def test_messages_come_in_the_order_of_what_happened() -> None:
    assert all(
        earlier.sent_at <= later.sent_at for earlier, later in pairwise(messages()["flights"])
    )


def test_a_flight_is_inserted_before_it_is_updated_or_deleted() -> None:
    """Each key has two messages: INSERT first, then how the flight ended."""
    lives: dict[tuple[str, int, str], list[str]] = {}
    for message in messages()["flights"]:
        record = content(message)["record"]
        key = (record["carrier"], record["flight"], record["time_hour"])
        lives.setdefault(key, []).append(message.operation)

    assert Counter(map(tuple, lives.values())) == {
        ("INSERT", "UPDATE"): 11_918,
        ("INSERT", "DELETE"): 82,
    }


def test_flights_are_interleaved() -> None:
    """Other flights' messages lie between the two of a flight, and operations alternate."""
    operations = [message.operation for message in messages()["flights"]]

    assert sum(one != other for one, other in pairwise(operations)) > 5_000


def test_the_envelope_carries_the_origin_as_client() -> None:
    flights = [content(message) for message in messages()["flights"]]

    assert {envelope["client_id"] for envelope in flights} == {"EWR", "JFK", "LGA"}
    assert all(
        envelope["client_id"] == envelope["record"]["origin"]
        for envelope in flights
        if envelope["operation"] == "INSERT"
    )


def test_what_is_not_available_travels_as_null() -> None:
    assert not any(b'"NA"' in message.body for message in messages()["flights"])
    assert any(
        content(message)["record"].get("air_time", 0) is None for message in messages()["flights"]
    )


def test_airlines_and_airports_travel_many_to_a_message() -> None:
    sent = messages()

    assert [message.records for message in sent["airlines"]] == [16]
    assert sum(message.records for message in sent["airports"]) == 1_458
    assert all(
        len(content(message)["records"]) == message.records <= 100
        for table in ("airlines", "airports")
        for message in sent[table]
    )
