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

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration; a negative one is none at all."""
        if seconds < 0.0:
            seconds = 0.0
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def merge(self, counts: Sequence[int], total: float) -> None:
        """Add durations that were counted elsewhere by the same buckets; `total` is their sum."""
        for place, number in enumerate(counts):
            self.counts[place] += number
        self.total += total

    @property
    def count(self) -> int:
        """How many durations were observed."""
        return sum(self.counts)
