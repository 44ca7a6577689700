"""How the engine behaves: the options of `BatchEngine`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from batchdrain.errors import ConfigurationError

DEFAULT_SCOPE: Mapping[str, str] = MappingProxyType({"_client_id": "client_id", "_ver": "ver"})
"""Scope column → envelope member (CONTRACT, Scope); those that a table has count."""

STATEMENT_STYLES = ("recordset", "values")
"""How records become set statements (see `statements`); the first is the default."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Options of the engine; time-outs are in seconds.

    `lock_timeout` bounds a wait for a lock and has to be shorter than `statement_timeout`, so that
    a wait is never taken for a slow statement. `statement_style` is one of STATEMENT_STYLES.
    """

    scope: Mapping[str, str] = field(default_factory=lambda: DEFAULT_SCOPE)
    lock_timeout: float = 5.0
    statement_timeout: float = 30.0
    idle_timeout: float = 60.0
    connection_check: float = 2.0
    statement_style: str = "recordset"

    def __post_init__(self) -> None:
        """Check the options.

        Raises ConfigurationError that names the option.
        """
        if not 0 < self.lock_timeout < self.statement_timeout:
            raise ConfigurationError(
                f"lock_timeout must be above 0 and below statement_timeout "
                f"({self.statement_timeout} s), not {self.lock_timeout} s"
            )
        if self.statement_style not in STATEMENT_STYLES:
            raise ConfigurationError(
                f"statement_style must be one of {', '.join(STATEMENT_STYLES)}, "
                f"not {self.statement_style!r}"
            )
