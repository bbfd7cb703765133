"""How many sessions are told: the threshold below which chance decides (facts oper-db.md 6.3).

A session with fewer bytes than the threshold since it was last told is told with a
probability in proportion to its bytes, and its counters are scaled by the inverse, so that
sums stay right on average. The threshold follows the measured rate of what is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UPDATE = 2.0
"""Seconds between looks at the rate."""
THRESHOLD, LEAST, MOST = 500, 20, 1 << 40
"""Bytes: the threshold at first, and between what it is kept; the upper bound is ours."""
EVERYTHING, NOTHING = -1, 0
_FASTER = ((3.0, 4), (2.0, 3), (1.25, 2))


def wanted_rate(properties: Mapping[str, Any]) -> int:
    """Sessions a second that the global vrouter configuration asks for; 0 without a number."""
    rate = properties.get("flow-export-rate")
    return max(rate, EVERYTHING) if isinstance(rate, int) else NOTHING


class Sampler:
    """Adapts the threshold; `counted` what is told, `update` now and then.

    `rate` is what is wanted: `EVERYTHING`, `NOTHING`, or sessions a second.
    """

    def __init__(self, rate: int = NOTHING) -> None:
        self.rate = rate
        self.threshold = THRESHOLD
        self.measured = 0.0
        """Samples a second, when last looked at."""
        self._started = False
        self._count = 0
        self._since: float | None = None

    @property
    def active(self) -> bool:
        """Whether anything is sampled at all."""
        return self.rate != NOTHING

    @property
    def bound(self) -> int:
        """Bytes below which chance decides now; 0: nowhere."""
        return self.threshold if self.rate > 0 and self._started else 0

    def counted(self, sessions: int) -> None:
        """So many samples were told."""
        self._count += sessions

    def update(self, now: float) -> None:
        """Look at the rate, when it is time."""
        if self._since is None:
            self._since = now
        elapsed = now - self._since
        if elapsed < UPDATE:
            return
        self.measured, self._count, self._since = self._count / elapsed, 0, now
        if self.rate > 0:
            self._adapt(self.measured / self.rate)

    def _adapt(self, share: float) -> None:
        """`share`: the measured rate, as a part of the wanted one."""
        if share < 0.8:
            if not self._started:
                self.threshold = THRESHOLD
            else:
                self.threshold = max(self.threshold // (4 if share < 0.5 else 2), LEAST)
            return
        self._started = True
        factor = next((factor for above, factor in _FASTER if share > above), 1)
        self.threshold = min(self.threshold * factor, MOST)
