"""Which ports of TCP and UDP flows use, and how long flows took to be set up.

Both come from one walk over the agent's own pairs of flows, in short steps. Ports are told in
256ths of the 65,536 there are, as eight words of 32 bits (facts oper-db.md 6.1): those of whoever
began the flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from typing import NamedTuple

from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_ports import WORDS, PortWalk
from agent.histogram import BOUNDS, Histogram

VIFS = 8192
"""Interfaces that bitmaps are kept for, from index 0: more than a datapath has."""
_STEP = 8192
"""Pairs that are looked at at once: about a millisecond."""
_FIRST = BOUNDS.index(0.001)
_MILLISECONDS = [round(bound * 1000) for bound in BOUNDS[_FIRST:]]
_NONE = (0,) * WORDS


class PortBitmaps(NamedTuple):
    """Eight words each; bit n stands for ports 256 n to 256 n + 255."""

    tcp_sport: tuple[int, ...] = _NONE
    tcp_dport: tuple[int, ...] = _NONE
    udp_sport: tuple[int, ...] = _NONE
    udp_dport: tuple[int, ...] = _NONE


class FlowPorts:
    """What the last finished walk has found; `setup` is of all walks.

    `setup`: from the decision on a flow to the datapath's answer, exact to a millisecond. Flows
    that are refused, or that end before a walk finds them, are not in it. `walks`: finished ones.
    """

    def __init__(self) -> None:
        self.setup = Histogram()
        self.walks = 0
        self._pairs: FlowPairs | None = None
        self._walk: PortWalk | None = None

    def steps(self, pairs: FlowPairs | None) -> Iterator[None]:
        """One walk, in steps between which others may work; None: there are no flows."""
        if pairs is not self._pairs:
            self._pairs = pairs
            if pairs is None:
                self._walk = None
            else:
                self._walk = PortWalk(vifs=VIFS, bounds=_MILLISECONDS)
        if pairs is None or self._walk is None:
            return
        while self._walk.slice(pairs, _STEP):
            yield
        self.walks += 1
        counts, total = self._walk.take_setups()
        self.setup.merge([0] * _FIRST + counts, total)

    def of(self, vif: int | None = None) -> PortBitmaps:
        """Of one interface, or of all flows."""
        if self._walk is None or (vif is not None and not 0 <= vif < VIFS):
            return PortBitmaps()
        return PortBitmaps(*self._walk.bitmaps(vif))

    def of_all(self, vifs: Iterable[int]) -> PortBitmaps:
        """Of several interfaces together, such as those of a network."""
        found = [self.of(vif) for vif in vifs]
        if not found:
            return PortBitmaps()
        return PortBitmaps(*(_joined(kind) for kind in zip(*found, strict=True)))


def _joined(bitmaps: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(reduce(or_, words) for words in zip(*bitmaps, strict=True))
