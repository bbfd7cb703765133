"""How near tables of the datapath are to their limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

HIGH = 80
"""Percent; `vr_object_high_watermark`."""
BELOW = 5
"""Percent below the high mark at which a table is well again (facts oper-db.md 2.2)."""


class Level(Enum):
    """How full a table is; the value is what collectors are told."""

    NORMAL = "Normal"
    HIGH = "HighWatermark"
    FULL = "TableLimit"


@dataclass(slots=True)
class Watermark:
    """One table: objects in it now and at most so far, its limit (0: not known), its level."""

    name: str
    count: int = 0
    limit: int = 0
    peak: int = 0
    level: Level = Level.NORMAL

    def take(self, count: int, limit: int, high: int) -> None:
        """What it holds now; `high` percent is the mark, 0 for none."""
        self.count, self.limit = count, limit
        self.peak = max(self.peak, count)
        self.level = self._level(high)

    def _level(self, high: int) -> Level:
        if not self.limit:
            return Level.NORMAL
        if self.count >= self.limit:
            return Level.FULL
        mark = high - BELOW if self.level is not Level.NORMAL else high
        if high and self.count * 100 >= max(mark, 0) * self.limit:
            return Level.HIGH
        return Level.NORMAL
