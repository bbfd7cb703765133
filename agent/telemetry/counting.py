"""Totals from counters of the datapath, which wrap and begin anew."""

from __future__ import annotations

from collections.abc import Iterable

_WORD = (1 << 64) - 1
_PLAUSIBLE = 1 << 48
"""More than this in one interval is no traffic: the counter began anew."""


def grown(before: int, now: int) -> int:
    """How much a counter of 64 bits grew, given as signed or unsigned numbers.

    One that is smaller than before has wrapped if that makes a plausible step; else the
    datapath, or the interface, is another one, and counts from 0.
    """
    step = (now - before) & _WORD
    return step if step < _PLAUSIBLE else now & _WORD


class Totals:
    """Named counters of one object: totals that only grow while the object lives."""

    __slots__ = ("_raw", "values")

    def __init__(self, raw: Iterable[int]) -> None:
        """The first sample is taken as it is: the datapath may have counted before us."""
        self._raw = tuple(raw)
        self.values = [number & _WORD for number in self._raw]

    def take(self, raw: tuple[int, ...]) -> None:
        """The next sample of the same counters."""
        if raw == self._raw:
            return
        values = self.values
        for place, (before, now) in enumerate(zip(self._raw, raw, strict=True)):
            if now != before:
                values[place] += grown(before, now)
        self._raw = raw
