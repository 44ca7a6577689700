"""Reads the Param `action` of the tasks that are triggered by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchdrain.errors import ConfigurationError


def chosen_action(params: Mapping[str, Any], actions: Sequence[str]) -> str:
    """Return the Param's value, by default the first of the actions.

    Raises ConfigurationError naming the actions if it is none of them.
    """
    action = params.get("action", actions[0])
    if action not in actions:
        raise ConfigurationError(
            f"The Param action is {action!r}, but it must be one of {', '.join(actions)}."
        )
    return str(action)
