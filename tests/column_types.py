"""The types of columns that the engine is tried with, and the styles that it is tried in."""

from __future__ import annotations

from batchdrain.engine.settings import STATEMENT_STYLES
from made_types import ARRAYS, MADE, RANGES
from scalar_types import DOCUMENTS, NUMBERS, TEXTS
from special_types import EXTENSIONS, GEOMETRY, NETWORKS, SYSTEM, TIMES

STYLES = STATEMENT_STYLES
"""The statement styles; all of them promise the same."""

TYPES = [
    *NUMBERS,
    *TEXTS,
    *DOCUMENTS,
    *TIMES,
    *MADE,
    *ARRAYS,
    *RANGES,
    *NETWORKS,
    *GEOMETRY,
    *SYSTEM,
    *EXTENSIONS,
]
