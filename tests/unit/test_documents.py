"""The documents lead somewhere: their links, and the commands that they name."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("provider/**/*.md"),
    ]
)

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY))
)


def prose(text: str) -> str:
    """Return a document without its code, where brackets mean something else."""
    return re.sub(r"^(```|~~~).*?^\1|`[^`\n]*`", "", text, flags=re.M | re.S)


def links(text: str) -> list[str]:
    """Return the targets of a document's links and images, references included."""
    inline = re.findall(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)", prose(text))
    return [*inline, *re.findall(r"^\s*\[[^\]]+\]:\s*<?(\S+?)>?\s*$", prose(text), flags=re.M)]


def anchors(text: str) -> set[str]:
    """Return the anchors that a document's headings get when it is shown."""
    headings = re.findall(
        r"^#+\s+(.+?)\s*#*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(document: Path) -> list[str]:
    """Return the links of a document that lead to no file, or to no heading."""
    dead = []
    for link in links(document.read_text(encoding="utf-8")):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / unquote(name)) if name else document
        in_document = anchor != "" and target.suffix == ".md"
        if not target.exists() or (
            in_document and anchor not in anchors(target.read_text(encoding="utf-8"))
        ):
            dead.append(link)
    return dead


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    """A relative link names a file of this repository, and a heading that it has."""
    assert dead_links(document) == []


@every_document
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    """`make x` in a document is a rule of the Makefile."""
    rules = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), flags=re.M))
    code = re.findall(r"^```.*?^```|`[^`\n]+`", document.read_text(), flags=re.M | re.S)
    named = {name for part in code for name in re.findall(r"\bmake ([a-z-]+)", part)}
    assert named <= rules


def test_every_how_to_page_is_in_their_index() -> None:
    """Each has a line of its own there."""
    folder = REPOSITORY / "docs" / "how-to"
    pages = {page.name for page in folder.glob("*.md")} - {"README.md"}
    listed = re.findall(r"^\| \[(\S+)\]\(\1\) \|", (folder / "README.md").read_text(), flags=re.M)
    assert sorted(listed) == sorted(pages)


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    """Files and headings, inline and by reference; code and the web are left alone."""
    document = tmp_path / "a.md"
    document.write_text(
        "# One, `two`\n[x](a.md#one-two) [x](#three) ![x](no%20such.png 'title') [y]\n"
        "[x](https://example.org/x) `[x](code.md)`\n\n```\n[x](code.md)\n```\n[y]: gone.md\n"
    )
    assert dead_links(document) == ["#three", "no%20such.png", "gone.md"]
