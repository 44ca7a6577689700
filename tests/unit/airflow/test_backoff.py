"""When a failed task is tried again."""

from __future__ import annotations

from airflow.sdk import RetryAction

from batchdrain.errors import BrakeError, ConfigurationError, TransientError
from batchdrain.operators.backoff import JitteredBackoff, retry_arguments


def test_delays_double_up_to_a_limit_and_are_cut_at_random():
    policy = JitteredBackoff(first=2, longest=60)
    assert [policy.longest_delay(n) for n in (1, 2, 3, 6, 99)] == [2, 4, 8, 60, 60]
    delays = {
        policy.evaluate(TransientError("x"), 3, 5).retry_delay.total_seconds() for _ in "12345"
    }
    assert len(delays) == 5
    assert all(4 <= delay <= 8 for delay in delays)


def test_what_would_fail_again_is_not_tried_again():
    policy = JitteredBackoff()
    for error in (ConfigurationError("x"), BrakeError("x")):
        assert policy.evaluate(error, 1, 5).action is RetryAction.FAIL
    assert policy.evaluate(OSError(), 1, 5).action is RetryAction.RETRY


def test_the_policy_survives_serialization():
    policy = JitteredBackoff(1, 9)
    assert JitteredBackoff.deserialize(policy.serialize()) == policy


def test_airflows_own_settings_stand_in():
    arguments = retry_arguments(4)
    assert arguments["retries"] == 4
    assert arguments["retry_delay"].total_seconds() == 2
