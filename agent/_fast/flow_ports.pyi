"""Kernel of statistics: which ports flows use, by interface, and how long they took to set up."""

from collections.abc import Sequence

from agent._fast.flow_pairs import FlowPairs

WORDS: int
"""32-bit words of one bitmap; bit n of all its bits stands for ports 256 n to 256 n + 255."""

class PortWalk:
    """Goes over pairs again and again.

    `vifs`: interfaces, from index 0, that bitmaps are kept for, 128 bytes each. `bounds`: ascending
    upper bounds in ms of the buckets of set-up times, at most 31. A walk is one of pairs: begin
    another for other pairs. ValueError for numbers that cannot be.
    """

    def __init__(self, *, vifs: int, bounds: Sequence[int]) -> None: ...
    def slice(self, pairs: FlowPairs, count: int = 8192) -> bool:
        """Look at that many pairs; whether the walk goes on."""

    def bitmaps(self, vif: int | None = None) -> tuple[tuple[int, ...], ...]:
        """Of one interface, or of all flows (None): TCP's source and destination ports, UDP's.

        They are those of the last finished walk, all 0 before. IndexError for an
        interface that there are none of.
        """

    def take_setups(self) -> tuple[list[int], float]:
        """Pairs that were set up and not told of yet, by bucket, and the sum in seconds.

        One is told of at the first walk that finds it; short ones and those that end before are
        not. A bucket has those below its bound, the last one all others.
        """
