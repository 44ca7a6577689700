"""Finds all JSON that jsonb refuses, and some more, in the bytes of valid JSON."""

from __future__ import annotations

import re

_TEXT = rb"\\u(?:0000|[dD][89a-fA-F])"
_NUMBER = rb"(?:^|[:\[,\s])-?[0-9][0-9.]*[eE][+-]?[0-9]{4}|[0-9]{1000}"

DOUBTFUL_JSON = re.compile(_TEXT + b"|" + _NUMBER)
"""NUL and surrogates, and numbers that may not be numeric's: within 999 digits and three digits of
exponent it takes everything, for its limits are 131072 digits before and 16383 after the point
(PostgreSQL documentation, Numeric Types)."""

DOUBTFUL_STRING = re.compile(_TEXT)
"""The same in a JSON string, where digits are only text."""
