"""The README in Spanish says what the README says: the same parts, code, links and figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ENGLISH, SPANISH = (
    (REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "README.es.md")
)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def without_code(text: str) -> str:
    """Return a document without its blocks of code."""
    return _FENCED.sub("", text)


def headings(text: str) -> list[int]:
    """Return the levels of the headings in their order."""
    return [len(signs) for signs in re.findall(r"^(#+) ", without_code(text), re.M)]


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the blocks of code, languages and texts; of docstrings, whether they name Airflow.

    By that word Airflow tells a file with DAGs from others.
    """
    return [
        (language, re.sub(r'"""[^"]*"""', lambda said: str("airflow" in said[0].lower()), block))
        for language, block in _FENCED.findall(text)
    ]


def commands(text: str) -> list[str]:
    """Return the commands that are set off by their indentation, without their comments."""
    return [line.partition("#")[0].strip() for line in re.findall(r"^    (\S.*)$", text, re.M)]


def spans(text: str) -> list[list[str]]:
    """Return the code within each paragraph, sorted: another language has another order."""
    paragraphs = re.split(r"\n\s*\n", without_code(text))
    found = [re.findall(r"`([^`\n]+)`", paragraph) for paragraph in paragraphs]
    return [sorted(each) for each in found if each]


def links(text: str) -> list[list[str]]:
    """Return where the links and images of each paragraph lead, sorted; not to each other."""
    paragraphs = re.split(r"\n\s*\n", without_code(text))
    pattern = r"\]\((?!README(?:\.es)?\.md)([^)\s]+)\)"
    found = [re.findall(pattern, paragraph) for paragraph in paragraphs]
    return [sorted(each) for each in found if each]


def tables(text: str) -> list[list[int]]:
    """Return for each table how many cells its rows have."""
    found = re.findall(r"^\|.*\|$(?:\n\|.*\|$)*", without_code(text), re.M)
    return [[row.count("|") - row.count(r"\|") for row in table.splitlines()] for table in found]


def figures(text: str) -> list[list[str]]:
    """Return the numbers of each paragraph, sorted, the figures of the benchmarks among them."""
    paragraphs = re.split(r"\n\s*\n", without_code(text))
    found = [re.findall(r"\d[\d.,:]*\d|\d", paragraph) for paragraph in paragraphs]
    return [sorted(each) for each in found if each]


@pytest.mark.parametrize("part", [headings, blocks, commands, spans, links, tables, figures])
def test_the_translation_has_the_same(part: Callable[[str], list[object]]) -> None:
    """Headings, code, commands, names, links, tables and figures, each in its place."""
    found, wanted = part(SPANISH), part(ENGLISH)
    assert wanted
    assert found == wanted


@pytest.mark.parametrize(
    ("part", "change"),
    [
        (headings, ("## Alerts\n", "### Alerts\n")),
        (blocks, ("pip install batchdrain", "pip install batchdrein")),
        (
            blocks,
            ('"""The Airflow DAG that drains the queues."""', '"""What drains the queues."""'),
        ),
        (commands, ("make up ", "make  down")),
        (spans, ("`summarize_errors`", "`summarize`")),
        (links, ("docs/errors.md)", "docs/error.md)")),
        (tables, ("| `tables` | none |", "| `tables` |")),
        (figures, ("24,000", "24.000")),
    ],
)
def test_a_difference_is_noticed(
    part: Callable[[str], list[object]], change: tuple[str, str]
) -> None:
    """In each of these parts."""
    old, new = change
    assert old in ENGLISH
    assert part(ENGLISH.replace(old, new, 1)) != part(ENGLISH)
