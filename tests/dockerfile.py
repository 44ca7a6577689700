"""The Dockerfile: its instructions, and which files of this repository they copy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from compose_file import REPOSITORY

FILE = REPOSITORY / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its stage (counted from 0, -1 before the first), its name, the rest."""

    stage: int
    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class Copy:
    """What a COPY takes, from another stage or from this repository, and where it lays it."""

    stage: int
    from_stage: str | None
    sources: tuple[str, ...]
    target: str


def instructions() -> list[Instruction]:
    """Return the instructions in their order."""
    text = re.sub(r"(?m)^\s*#.*\n", "", FILE.read_text(encoding="utf-8"))
    stage, found = -1, []
    for line in text.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        stage += name == "FROM"
        if name:
            found.append(Instruction(stage, name, rest.strip()))
    return found


def copies() -> list[Copy]:
    """Return what is copied."""
    found = []
    for instruction in instructions():
        if instruction.name != "COPY":
            continue
        options = dict(re.findall(r"--(\w+)=(\S+)", instruction.rest))
        *sources, target = re.sub(r"--\w+=\S+\s*", "", instruction.rest).split()
        found.append(Copy(instruction.stage, options.get("from"), tuple(sources), target))
    return found


def commands(stage: int) -> list[str]:
    """Return the shell commands that a stage runs."""
    return [i.rest for i in instructions() if i.stage == stage and i.name == "RUN"]


def base_image() -> str:
    """Return the image that the Dockerfile starts from, unless it is told otherwise."""
    (argument,) = (i.rest for i in instructions() if i.stage == -1 and i.name == "ARG")
    return argument.partition("=")[2]
