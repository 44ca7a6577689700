"""The messages that the demo's producers send, as CONTRACT (Messages) describes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from batchdrain.demo.dataset import TABLES, Row, sample

VERSION = "1"
CLIENTS: Mapping[str, str] = {"airlines": "IATA", "airports": "FAA"}
"""Who sends the reference data; a flight is sent by its origin."""
RECORDS_PER_MESSAGE = 100
"""Airlines and airports travel many to a message, flights one by one."""
REFERENCE_DATA_SENT_AT = datetime(2013, 1, 1, tzinfo=UTC)
ANNOUNCED = timedelta(hours=3)
"""How long before its scheduled departure a flight is inserted."""
TAXI_IN = timedelta(minutes=15)
"""From touchdown to the message that tells what happened."""
LATE_REPORT = timedelta(hours=8)
"""From departure to that message where no air time is known (diverted flights)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: the table that it is for, when it is sent, how many records it carries.

    `operation` repeats what stands in `body`, the JSON text.
    """

    table: str
    sent_at: datetime
    operation: str
    records: int
    body: bytes


def all_messages() -> dict[str, list[Message]]:
    """Return the messages of each table, parents before children, each in the order of sending."""
    return {
        table: flight_messages(rows) if table == "flights" else reference_messages(table, rows)
        for table, rows in ((table, sample(table)) for table in TABLES)
    }


def reference_messages(table: str, rows: Sequence[Row]) -> list[Message]:
    """Return the INSERTs of airlines or airports."""
    pieces = [
        rows[start : start + RECORDS_PER_MESSAGE]
        for start in range(0, len(rows), RECORDS_PER_MESSAGE)
    ]
    make = _airport if table == "airports" else dict
    return [
        Message(
            table,
            REFERENCE_DATA_SENT_AT,
            "INSERT",
            len(piece),
            _envelope("INSERT", CLIENTS[table], records=[make(row) for row in piece]),
        )
        for piece in pieces
    ]


def flight_messages(rows: Sequence[Row]) -> list[Message]:
    """Return the life of every flight, all of them interleaved by the time of sending."""
    events = [event for row in rows for event in _life(row)]
    return sorted(events, key=lambda message: message.sent_at)


def _life(flight: Row) -> Iterator[Message]:
    departure = datetime.fromisoformat(str(flight["time_hour"]))
    departure += timedelta(minutes=int(str(flight["minute"])))
    yield _flight_message("INSERT", departure - ANNOUNCED, flight, _schedule(flight))
    if flight["dep_time"] is None:
        yield _flight_message("DELETE", departure, flight, {})
        return
    left_at = departure + timedelta(minutes=int(str(flight["dep_delay"])))
    if flight["air_time"] is None:
        reported_at = left_at + LATE_REPORT
    else:
        reported_at = left_at + timedelta(minutes=int(flight["air_time"])) + TAXI_IN
    yield _flight_message("UPDATE", reported_at, flight, _outcome(flight))


def _flight_message(
    operation: str, sent_at: datetime, flight: Row, values: Mapping[str, object]
) -> Message:
    key = {
        "carrier": flight["carrier"],
        "flight": int(str(flight["flight"])),
        "time_hour": flight["time_hour"],
    }
    body = _envelope(operation, str(flight["origin"]), record={**key, **values})
    return Message("flights", sent_at, operation, 1, body)


def _schedule(flight: Row) -> dict[str, object]:
    return {
        "origin": flight["origin"],
        "dest": flight["dest"],
        "sched_dep_time": _clock(flight["sched_dep_time"]),
        "sched_arr_time": _clock(flight["sched_arr_time"]),
        "distance": _number(flight["distance"]),
    }


def _outcome(flight: Row) -> dict[str, object]:
    return {
        "status": "diverted" if flight["air_time"] is None else "flown",
        "tailnum": flight["tailnum"],
        "dep_time": _clock(flight["dep_time"]),
        "dep_delay": _number(flight["dep_delay"]),
        "arr_time": _clock(flight["arr_time"]),
        "arr_delay": _number(flight["arr_delay"]),
        "air_time": _number(flight["air_time"]),
    }


def _airport(row: Row) -> dict[str, object]:
    return {
        **row,
        "lat": float(str(row["lat"])),
        "lon": float(str(row["lon"])),
        "alt": _number(row["alt"]),
        "tz": _number(row["tz"]),
    }


def _number(value: str | None) -> int | None:
    return None if value is None else int(value)


def _clock(value: str | None) -> str | None:
    """Turn 517 into 05:17; the data writes midnight as 2400, which PostgreSQL takes as 24:00."""
    if value is None:
        return None
    hours, minutes = divmod(int(value), 100)
    return f"{hours:02}:{minutes:02}"


def _envelope(operation: str, client: str, **content: object) -> bytes:
    envelope = {"operation": operation, "client_id": client, "ver": VERSION, **content}
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
