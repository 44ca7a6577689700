"""One option of the section `[batchdrain]`: where its value is looked for, and how it is checked.

This module imports Airflow only when a value is asked for: provider discovery loads the options
while Airflow itself is still starting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from batchdrain.errors import ConfigurationError

SECTION = "batchdrain"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """One option of the section.

    `kind` is Airflow's name for its type, `default` and `example` are texts as they stand in
    airflow.cfg (`default` None: there is none). `parse` turns such a text, or the value of a Param
    or an argument, into what the code works with; it raises ValueError with what is wrong.
    """

    name: str
    description: str
    kind: str
    default: str | None
    example: str
    parse: Callable[[Any], T]

    def read(
        self,
        argument: object = None,
        *,
        params: Mapping[str, object] | None = None,
        argument_name: str | None = None,
    ) -> T:
        """Return the option's value; None or "" as Param or argument means "not given".

        An empty list is given: taken for the section's, it would reach what nobody has named.

        Raises ConfigurationError naming the place where a bad or missing value stands.
        """
        for value, place in (
            ((params or {}).get(self.name), f"Param {self.name}"),
            (argument, f"argument {argument_name or self.name}"),
            (self._section_value(), f"option {self.name} of section [{SECTION}]"),
            (self.default, f"default of option {self.name}"),
        ):
            if _is_empty(value):
                continue
            try:
                return self.parse(value)
            except (ValueError, TypeError) as error:
                raise ConfigurationError(f"The {place} is {value!r}, but {error}.") from None
        raise ConfigurationError(
            f"The option {self.name} has no value: set it in section [{SECTION}] of airflow.cfg "
            f"(environment: {self.environment}={self.example}) or pass it as the argument "
            f"{argument_name or self.name}."
        )

    def is_set(self, argument: object = None) -> bool:
        """Tell whether `read` would find a value."""
        return not all(map(_is_empty, (argument, self._section_value(), self.default)))

    @property
    def environment(self) -> str:
        """The environment variable that sets the option."""
        return f"AIRFLOW__{SECTION.upper()}__{self.name.upper()}"

    def _section_value(self) -> str | None:
        from airflow.sdk import conf

        value: str | None = conf.get(SECTION, self.name, fallback=None)
        return value.strip() if value is not None else None


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value)
