"""One type of column: what a record may say about it, and what PostgreSQL makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class ColumnType:
    """A type as CREATE TABLE spells it, and JSON texts for it.

    `type` is the name where it is not given; in `type` and `setup` (run before) `{s}` stands for
    the schema. `good` maps texts to what the column's output function prints for them, `bad`
    condition names to texts that are refused for them, `invalid` are those that are refused as
    invalid_text_representation. `comparable` tells that PostgreSQL has an order for the type, so
    that it can be a key. `nullable` is False for domains that take no null. A server without the
    `extension`, or where the expression `needs` fails or is not true, lacks the type.
    """

    name: str
    type: str = ""
    good: Mapping[str, str] = field(default_factory=dict)
    invalid: tuple[str, ...] = ()
    bad: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    setup: str = ""
    needs: str = "true"
    extension: str | None = None
    comparable: bool = True
    nullable: bool = True

    @property
    def spelling(self) -> str:
        """The type in a column definition."""
        return self.type or self.name

    @cached_property
    def refused(self) -> dict[str, str]:
        """The bad texts and the condition that each is refused for."""
        refused = dict.fromkeys(self.invalid, "invalid_text_representation")
        for condition, texts in self.bad.items():
            refused.update(dict.fromkeys(texts, condition))
        return refused
