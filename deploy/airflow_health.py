"""Tells whether a component of Airflow is well, for the health checks of docker-compose.yaml.

    python airflow_health.py URL [COMPONENT]

Ends with code 0 if the URL answers and, where a component is named, its state there (as in
`/api/v2/monitor/health`) is healthy; otherwise it says what is wrong and ends with 1. Unlike
`airflow jobs check` it does not load Airflow, which takes seconds of processor time at each check.
"""

from __future__ import annotations

import json
import sys
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

SECONDS = 5.0
"""How long an answer may take."""


def problem(url: str, component: str | None) -> str | None:
    """Return what is wrong, in one sentence; None if all is well."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=SECONDS) as answer:
            body = answer.read()
    except (URLError, OSError) as error:
        return f"{url} does not answer: {error}."
    if component is None:
        return None
    try:
        status = json.loads(body)[component]["status"]
    except (ValueError, LookupError, TypeError):
        return f"{url} says nothing of {component}."
    return None if status == "healthy" else f"{component} is {status}, says {url}."


def main() -> None:
    """Check what the arguments name."""
    url, *components = sys.argv[1:]
    sys.exit(problem(url, components[0] if components else None))


if __name__ == "__main__":
    main()
