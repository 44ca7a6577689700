"""When a failed task is tried again."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import Context, RetryDecision, RetryPolicy

from batchdrain.errors import SystemicError


@dataclass(frozen=True)
class JitteredBackoff(RetryPolicy):
    """Tries again after `first` seconds, then twice that and so on, up to `longest` seconds.

    Each delay is cut by a random part of up to half of it: Airflow's own jitter ignores the map
    index, so all mapped drains of a run would come back at the same moment. A SystemicError isn't
    tried again.
    """

    first: float = 2.0
    longest: float = 60.0

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Decide on the failure; Airflow calls this in the worker."""
        if isinstance(exception, SystemicError):
            return RetryDecision.fail("Trying again would not help.")
        delay = self.longest_delay(try_number) * random.uniform(0.5, 1.0)
        return RetryDecision.retry(
            timedelta(seconds=delay), f"If tries are left, the next one is in {delay:.1f} s."
        )

    def longest_delay(self, try_number: int) -> float:
        """Return the seconds after a failed try (the first is 1) before the random cut."""
        return min(self.longest, self.first * 2.0 ** min(try_number - 1, 30))

    def serialize(self) -> dict[str, Any]:
        """Return the policy as JSON."""
        return asdict(self)

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> JitteredBackoff:
        """Return the policy that `serialize` wrote."""
        return cls(**data)


JITTERED = JitteredBackoff()
FIRST_DELAY = timedelta(seconds=JITTERED.first)
LONGEST_DELAY = timedelta(seconds=JITTERED.longest)
DOUBLED = 2.0
"""Airflow's own settings, which stand in when a worker dies before it could ask the policy."""


def retry_arguments(retries: int) -> dict[str, Any]:
    """Return the arguments that make an operator retry this way."""
    return {
        "retries": retries,
        "retry_policy": JITTERED,
        "retry_delay": FIRST_DELAY,
        "retry_exponential_backoff": DOUBLED,
        "max_retry_delay": LONGEST_DELAY,
    }


def policy_with(
    policy: RetryPolicy | None, first: timedelta | float, longest: timedelta | float | None
) -> RetryPolicy | None:
    """Return our policy with the delays that an operator was given, another policy as it is.

    Airflow asks a policy alone, so that its own `retry_delay` would have no effect beside one.
    """
    if policy != JITTERED:
        return policy
    seconds = _seconds(first)
    return JitteredBackoff(seconds, max(seconds, _seconds(longest or LONGEST_DELAY)))


def _seconds(delay: timedelta | float) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
