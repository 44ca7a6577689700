"""docker-compose.yaml as Compose reads it: its variables filled in, its commands as words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

REPOSITORY = Path(__file__).parents[1]
FILE = REPOSITORY / "docker-compose.yaml"
EXAMPLE = REPOSITORY / ".env.example"

Service = dict[str, Any]

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\}|(?=.))")
"""`$$` is a dollar sign; `${NAME:-default}`; a `$` before anything else means trouble."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def variables(text: str) -> dict[str, str]:
    """Return the names of a text's variables and their defaults, which are empty where none is.

    Raises ValueError for a form that this module does not know.
    """
    found = {}
    for match in _VARIABLE.finditer(text):
        if match[2] is not None:
            found[match[2]] = match[3] or ""
        elif match[1] is None:
            raise ValueError(f"unknown variable at {text[match.start() : match.start() + 30]!r}")
    return found


def filled(value: Any, environment: Mapping[str, str]) -> Any:
    """Return a part of the file with its variables replaced; empty means that the default holds."""
    if isinstance(value, dict):
        return {name: filled(part, environment) for name, part in value.items()}
    if isinstance(value, list):
        return [filled(part, environment) for part in value]
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda m: "$" if m[1] else environment.get(m[2]) or m[3] or "", value)


def document() -> dict[str, Any]:
    """Return the whole file, its variables as they stand there."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def services(environment: Mapping[str, str]) -> dict[str, Service]:
    """Return the services by name, with the values of these variables."""
    found: dict[str, Service] = filled(document()["services"], environment)
    return found


def secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets by name, with the values of these variables."""
    named = document()["secrets"].items()
    return {name: environment[secret["environment"]] for name, secret in named}


def words(command: str | list[str]) -> list[str]:
    """Return a command as a list, as Compose splits one that is a text."""
    return shlex.split(command) if isinstance(command, str) else command


def health_command(service: Service) -> list[str]:
    """Return the command of a service's health check, as Docker would run it."""
    kind, *command = service["healthcheck"]["test"]
    return ["/bin/sh", "-c", *command] if kind == "CMD-SHELL" else command


def seconds(duration: str) -> float:
    """Return a duration of the file in seconds: `60s`, `1m30s`."""
    parts = re.findall(r"(\d+)(ms|s|m|h)", duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def read_environment(file: Path) -> dict[str, str]:
    """Return the variables of a file such as .env."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Za-z_]\w*=", line))
