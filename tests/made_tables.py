"""Tables as the catalog would describe them, for tests without a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batchdrain.engine.catalog import Column, Conversion, Cutting, KeyRule, ScopeColumn, Table

_RULES = {
    "integer": KeyRule.INTEGER,
    "bigint": KeyRule.INTEGER,
    "uuid": KeyRule.UUID,
    "text": KeyRule.TEXT,
}


def column(name: str, type_: str = "text", **facts: Any) -> Column:
    """A nullable column without default, unless `facts` say otherwise."""
    plain = Column(
        name=name,
        type=type_,
        not_null=False,
        default=False,
        fresh_default=False,
        always=False,
        computed=False,
        insertable=True,
        key_rule=_RULES.get(type_, KeyRule.ASK),
        max_length=None,
        collation=None,
        conversion=Conversion.TEXT,
    )
    return replace(plain, **facts)


def table(*columns: Column, key: tuple[str, ...] = ("id",), **facts: Any) -> Table:
    """A plain table `public.t`; `_client_id` and `_ver` are scope columns where it has them."""
    members = {"_client_id": "client_id", "_ver": "ver"}
    plain = Table(
        oid=1,
        schema="public",
        name="t",
        columns=columns,
        key=key,
        scope=tuple(
            ScopeColumn(each.name, members[each.name]) for each in columns if each.name in members
        ),
        cutting=Cutting.WAVES,
        cutting_reason="primary key only",
        unique_columns=frozenset(),
        constraints={},
        references={},
        partitioned=False,
        row_security=False,
        rules=False,
        privileges=frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
    )
    return replace(plain, **facts)
