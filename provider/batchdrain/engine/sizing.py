"""How many records the next batch should have: pure arithmetic, no I/O.

A batch of n records takes about a + b·n seconds: a for what is done once (round trips, COMMIT), b
for each record. Both are fitted to the last few batches, and the next size is the n that takes the
target time, but not less than a / b: below that, most of the time would go into what is done once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from batchdrain.errors import ConfigurationError

_MEMORY = 0.8
"""What a batch weighs after each later one: the fit forgets within about ten batches."""

_SPREAD = 0.1
"""How much sizes must vary, as a share of their mean, before a and b can be told apart."""

_DEAD_BAND = 1.25
"""Sizes closer than this factor are as good as equal: a size that always changes tells nobody
anything."""

_STEP = 2.0
"""The factor by which a size changes at most: one batch may be slow by chance."""

_NEWS = 0.3
"""Weight of the newest batch in the share of refused records."""

MANY_REFUSED = 0.01
"""From this share on batches are not made larger than the first: what holds a bad record is tried
twice. They are not made smaller either, for that costs more than it saves: with 10 % bad ones
batches of 100 took twice as long as batches of 1,000."""


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """The size of the first batch and of all, in records; `target` is the seconds for one batch.

    With `least` equal to `most` every batch has that size. Raises ConfigurationError when they
    contradict one another.
    """

    first: int = 1000
    least: int = 100
    most: int = 5000
    target: float = 0.25

    def __post_init__(self) -> None:
        """Check the limits."""
        if not 1 <= self.least <= self.first <= self.most:
            raise ConfigurationError(
                f"batch sizes must be in the order 1 ≤ least ({self.least}) ≤ first "
                f"({self.first}) ≤ most ({self.most}); mend the one that is out of order"
            )
        if self.target <= 0:
            raise ConfigurationError(
                f"the target for a batch must be above 0 seconds, not {self.target:g}"
            )


@dataclass(frozen=True, slots=True)
class _Fit:
    """Weighted sums over the batches seen: weight, n, s, n² and n·s."""

    weight: float = 0.0
    records: float = 0.0
    seconds: float = 0.0
    squares: float = 0.0
    products: float = 0.0

    def with_batch(self, records: int, seconds: float) -> _Fit:
        """Add a batch, and let the ones before it fade."""
        return _Fit(
            self.weight * _MEMORY + 1,
            self.records * _MEMORY + records,
            self.seconds * _MEMORY + seconds,
            self.squares * _MEMORY + records * records,
            self.products * _MEMORY + records * seconds,
        )

    def line(self) -> tuple[float, float]:
        """Return a and b; a is 0 as long as all batches had about the same size."""
        records, seconds = self.records / self.weight, self.seconds / self.weight
        variance = self.squares / self.weight - records * records
        most = seconds / records
        if variance <= (_SPREAD * records) ** 2:
            return 0.0, most
        slope = (self.products / self.weight - records * seconds) / variance
        slope = min(max(slope, 0.0), most)
        return seconds - slope * records, slope


@dataclass(frozen=True, slots=True)
class Sizing:
    """The size of the next batch, in records, and why it is another than before.

    `reason` is a clause for a log, empty when the size has not changed.
    """

    limits: SizeLimits
    size: int
    reason: str = ""
    _fit: _Fit = _Fit()
    _refused_share: float = 0.0

    @staticmethod
    def first(limits: SizeLimits) -> Sizing:
        """Return the size to begin with."""
        return Sizing(limits, limits.first)

    def after(self, records: int, refused: int, seconds: float) -> Sizing:
        """Return the size that follows from one more batch.

        `records` is how many it had, which may be fewer than asked for; `refused` how many of them
        were refused, `seconds` how long it took.
        """
        if records < 1 or self.limits.least == self.limits.most:
            return replace(self, reason="")
        fit = self._fit.with_batch(records, max(seconds, 1e-9))
        share = self._refused_share + _NEWS * (refused / records - self._refused_share)
        wanted = self._wanted(fit)
        reason = f"{records:,} records took {seconds:.2f} s, the target is {self.limits.target:g} s"
        small, quick = records * _STEP < self.size, seconds <= self.limits.target
        if small and (quick or wanted > self.size):
            # What is left of a queue tells little about full batches.
            wanted = self.size
        if share >= MANY_REFUSED and wanted > min(self.size, self.limits.first):
            wanted = min(self.size, self.limits.first)
            reason = f"{share:.0%} of the records are refused"
        size = _rounded(min(max(wanted, self.limits.least), self.limits.most))
        size = min(max(size, self.limits.least), self.limits.most)
        return Sizing(self.limits, size, reason if size != self.size else "", fit, share)

    def _wanted(self, fit: _Fit) -> float:
        once, each = fit.line()
        largest, smallest = self.size * _STEP, self.size / _STEP
        wanted = max((self.limits.target - once) / each, once / each) if each else largest
        if self.size / _DEAD_BAND <= wanted <= self.size * _DEAD_BAND:
            return self.size
        return min(max(wanted, smallest), largest)


def _rounded(size: float) -> int:
    """Return the size with two significant digits, for people."""
    digits = 10 ** max(0, len(str(int(size))) - 2)
    return int(round(size / digits) * digits)
