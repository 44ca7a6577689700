"""Names and literals as SQL; every identifier that reaches a statement passes through here."""

from __future__ import annotations

from collections.abc import Iterable

from batchdrain.engine.catalog import Column, Table


def quoted(name: str) -> str:
    """Return `name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return text as a string literal, whatever standard_conforming_strings says."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def dollar_quoted(text: str) -> str:
    """Return text as a dollar-quoted literal whose tag the text does not hold."""
    tag = "$batchdrain$"
    while tag in text:
        tag = f"{tag[:-1]}_$"
    return f"{tag}{text}{tag}"


def listed(names: Iterable[str]) -> str:
    """Return names as a comma-separated list of quoted identifiers."""
    return ", ".join(quoted(name) for name in names)


def qualified(table: Table) -> str:
    """Return the table's name with its schema."""
    return f"{quoted(table.schema)}.{quoted(table.name)}"


def unused_name(table: Table, wanted: str) -> str:
    """Return `wanted`, lengthened until no column of the table has that name."""
    taken = {column.name for column in table.columns}
    while wanted in taken:
        wanted += "_"
    return wanted


def definition(column: Column, name: str | None = None) -> str:
    """Return a column definition: name (the column's own or another), type, and collation."""
    collation = f" COLLATE {column.collation}" if column.collation else ""
    return f"{quoted(name or column.name)} {column.type}{collation}"
