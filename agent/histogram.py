"""How long things took: counts in buckets of fixed bounds, cheap enough for hot paths."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

BOUNDS: tuple[float, ...] = tuple(
    float(f"{digit}e{exponent}") for exponent in range(-5, 2) for digit in (1, 2, 5)
)[:-1]
"""Upper bounds of the buckets in seconds, 10 µs to 20 s; one bucket more holds what is above."""


class Histogram:
    """Durations in seconds. `counts` has one number a bucket, the last for those above all."""

    __slots__ = ("counts", "most", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.most = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration; a negative one is none at all."""
        if seconds < 0.0:
            seconds = 0.0
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds
        if seconds > self.most:
            self.most = seconds

    def merge(self, counts: Sequence[int], total: float) -> None:
        """Add durations that were counted elsewhere by the same buckets; `total` is their sum."""
        for place, number in enumerate(counts):
            if number:
                self.counts[place] += number
                bound = BOUNDS[min(place, len(BOUNDS) - 1)]
                self.most = max(self.most, bound)
        self.total += total

    @property
    def count(self) -> int:
        """How many durations were observed."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """Their mean; 0 of none."""
        count = self.count
        return self.total / count if count else 0.0

    def quantile(self, share: float) -> float:
        """About the duration that `share` (0 to 1) of all did not exceed; 0 of none.

        It is the bound of the bucket in which that one lies, at most the longest of all.
        """
        wanted = share * self.count
        seen = 0
        for bound, number in zip(BOUNDS, self.counts, strict=False):
            seen += number
            if number and seen >= wanted:
                return min(bound, self.most)
        return self.most
