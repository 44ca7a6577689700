"""What a look at everything is told, in place of what section `[batchdrain]` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from batchdrain.allow_list import AllowList
from batchdrain.errors import ConfigurationError
from batchdrain.option import Option

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """Arguments by the names of the options whose place they take; None leaves it to the section.

    They are those that the drains of a deployment are given, too.
    """

    tables: str | Sequence[str] | AllowList | None = None
    prefix: str | None = None
    postgres_conn_id: str | None = None
    redis_conn_id: str | None = None
    pool: str | None = None
    left_push: bool | str | Sequence[str] | None = None
    scope: Mapping[str, str] | str | None = None

    def read(self, option: Option[T]) -> T:
        """Return the option's value, as a drain with these arguments has it.

        Raises ConfigurationError naming the place of a bad or missing value.
        """
        return option.read(getattr(self, option.name, None))

    def read_if_valid(self, option: Option[T]) -> T | None:
        """Return the option's value, None where it is bad or missing."""
        try:
            return self.read(option)
        except ConfigurationError:
            return None

    def valid(self, option: Option[T]) -> T:
        """Return the option's value, its default where it is bad; for options that have one."""
        value = self.read_if_valid(option)
        return option.parse(option.default) if value is None else value
