"""Drains in a process of their own, whose memory is then nobody else's.

It is told the servers first, then what to drain, as often as its parent likes.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import redis

from benchmarks.competitors.drains import finish, open_engine
from benchmarks.process import answer, orders

_STATUS = Path("/proc/self/status")
_MIB = 1024 * 1024


def resident_mib() -> float:
    """Return this process's resident memory in MiB; where it can't be told, the peak so far."""
    return _from_status("VmRSS:") or _peak_of_old()


def peak_mib() -> float:
    """Return the highest resident memory of this process so far, in MiB."""
    return _from_status("VmHWM:") or _peak_of_old()


def _from_status(name: str) -> float:
    # Linux's ru_maxrss would begin with the parent's.
    if not _STATUS.exists():
        return 0.0
    lines = _STATUS.read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def _peak_of_old() -> float:
    # In bytes on macOS, in KiB elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB


def main() -> None:
    """Drain as told on standard input."""
    told = orders()
    servers = next(told)
    answer({})
    with redis.Redis.from_url(servers["redis"]) as client:
        for order in told:
            with open_engine(servers["postgres"], order["table"], order["key"]) as engine:
                before = resident_mib()
                started = time.perf_counter()
                finish(client, order["key"], engine, order["batch"], order["records"])
                seconds = time.perf_counter() - started
            answer({"seconds": seconds, "before": before, "peak": peak_mib()})


if __name__ == "__main__":
    main()
