"""Bandwidth over the last minutes from samples of counters.

All ports are sampled together, so the times are kept once (`Rounds`) and each port has only
its numbers (`History`), one slot a kept round. A round is kept at most every `SPACING` seconds,
whatever the interval: memory is bounded, and a window is at most that much longer than asked.
"""

from __future__ import annotations

from array import array
from collections import deque
from itertools import pairwise
from typing import NamedTuple

WINDOWS = (60.0, 300.0, 600.0)
"""Seconds: the windows that are told of (facts oper-db.md 6.1)."""
SPACING = 10.0
SLOTS = int(WINDOWS[-1] / SPACING) + 2


class Bandwidth(NamedTuple):
    """Bits a second, from the interface into the vrouter and out of it."""

    in_bps: int
    out_bps: int


NOTHING = Bandwidth(0, 0)


class Rounds:
    """When samples were taken, in monotonic seconds; the latest, and those that are kept."""

    def __init__(self) -> None:
        self.latest = 0.0
        self.number = -1
        """Of the last kept round."""
        self._kept: deque[float] = deque(maxlen=SLOTS)
        self._found: dict[float, tuple[int, float]] = {}

    def begin(self, now: float) -> bool:
        """A round is taken at `now`; whether histories are to keep its numbers."""
        self.latest = now
        self._found.clear()
        if self._kept and now - self._kept[-1] < SPACING * 0.95:
            return False
        self._kept.append(now)
        self.number += 1
        return True

    def back(self, seconds: float) -> tuple[int, float]:
        """The number and the time of the last kept round at least so long ago; else the oldest."""
        found = self._found.get(seconds)
        if found is None:
            found = self._found[seconds] = self._search(self.latest - seconds)
        return found

    def kept(self) -> list[tuple[int, float]]:
        """(number, time) of the kept rounds, oldest first."""
        return list(enumerate(self._kept, self.number - len(self._kept) + 1))

    def _search(self, wanted: float) -> tuple[int, float]:
        oldest = self.number - len(self._kept) + 1
        found = (oldest, self._kept[0])
        for number, at in enumerate(self._kept, oldest):
            if at > wanted:
                break
            found = (number, at)
        return found


class History:
    """The byte counters of one interface at the kept rounds since it was first seen."""

    __slots__ = ("_first", "_in", "_out", "_since")

    def __init__(self, rounds: Rounds, in_bytes: int, out_bytes: int) -> None:
        """It is first seen in the latest round."""
        self._first = rounds.number
        self._since = rounds.latest
        self._in = array("Q", bytes(8 * SLOTS))
        self._out = array("Q", bytes(8 * SLOTS))
        self.keep(self._first, in_bytes, out_bytes)

    def keep(self, number: int, in_bytes: int, out_bytes: int) -> None:
        """The counters at a kept round."""
        slot = number % SLOTS
        self._in[slot] = in_bytes
        self._out[slot] = out_bytes

    def series(self, rounds: Rounds) -> list[tuple[float, Bandwidth]]:
        """At each kept round the mean since the one before, oldest first."""
        own = [one for one in rounds.kept() if one[0] >= self._first]
        return [
            (at, self._between(last, number, at - then))
            for (last, then), (number, at) in pairwise(own)
        ]

    def _between(self, last: int, number: int, elapsed: float) -> Bandwidth:
        before, after = last % SLOTS, number % SLOTS
        return Bandwidth(
            int((self._in[after] - self._in[before]) * 8 / elapsed),
            int((self._out[after] - self._out[before]) * 8 / elapsed),
        )

    def over(
        self, rounds: Rounds, seconds: float, until: float, in_bytes: int, out_bytes: int
    ) -> Bandwidth:
        """The mean until a time when the counters were these; over less if it is not so old."""
        number, at = rounds.back(seconds)
        if number <= self._first:
            number, at = self._first, self._since
        elapsed = until - at
        if elapsed <= 0.0:
            return NOTHING
        slot = number % SLOTS
        return Bandwidth(
            int((in_bytes - self._in[slot]) * 8 / elapsed),
            int((out_bytes - self._out[slot]) * 8 / elapsed),
        )
