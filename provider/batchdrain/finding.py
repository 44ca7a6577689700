"""What a look at servers and settings found, before a drain relies on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Level(StrEnum):
    """How much a finding matters: with an ERROR a drain would fail, a WARNING may cost messages."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact: `subject` is what it is about, `what` the fact, `do` what to do, if anything.

    Holds no secret and no row's values.
    """

    level: Level
    subject: str
    what: str
    do: str = ""

    @classmethod
    def of_error(cls, subject: str, error: Exception, do: str = "") -> Self:
        """Return one of our errors as a finding.

        What their messages say to do stands after a semicolon; `do` is for one that says nothing.
        """
        what, _, advice = str(error).partition("; ")
        return cls(Level.ERROR, subject, what, advice or do)
