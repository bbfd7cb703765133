"""The last ten minutes of a host as series of rates: what plots show.

A moment is kept at each round of sampling, so memory is bounded and nothing more is asked of the
datapath. "From VMs" is what ports send into the vrouter, "from the fabric" what tunnels bring.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from agent.histogram import BOUNDS
from agent.oper.datapath import VifType
from agent.telemetry.meters import Meters
from agent.telemetry.statistics import PHYSICAL, Statistics

SPAN = 600.0
"""Seconds that are told of."""
_KEPT = 601
_SPACING = 1.0


class Moment(NamedTuple):
    """Totals at one time (monotonic seconds); `lags`: how often each bucket of lag was hit."""

    at: float
    vm_packets: int
    vm_bytes: int
    fabric_packets: int
    fabric_bytes: int
    flows_created: int
    flows_ended: int
    lags: tuple[int, ...]


class Series(NamedTuple):
    """Values at `times` (monotonic seconds); each is the mean since the time before.

    `lag` is the worst in seconds, as the bound of its bucket.
    """

    times: list[float]
    vm_packets: list[float]
    vm_bits: list[float]
    fabric_packets: list[float]
    fabric_bits: list[float]
    flows_created: list[float]
    flows_ended: list[float]
    lag: list[float]


class Recent:
    """Moments, at most one a second; the oldest go."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque(maxlen=_KEPT)

    def take(self, statistics: Statistics, meters: Meters, now: float) -> None:
        """Keep the totals as they are at `now`."""
        if self._moments and now - self._moments[-1].at < _SPACING:
            return
        vm, fabric = [0, 0], [0, 0]
        for vif in statistics.vifs():
            into = {VifType.VIRTUAL: vm, PHYSICAL: fabric}.get(vif.type)
            if into is not None:
                counters = vif.counters
                into[0] += counters[1]
                into[1] += counters[0]
        flows = statistics.flows
        lags = tuple(meters.loop_lag.counts)
        ended = flows.created, flows.ended, lags
        self._moments.append(Moment(now, vm[0], vm[1], fabric[0], fabric[1], *ended))

    def series(self, now: float) -> Series:
        """The rates of the last SPAN seconds, oldest first."""
        moments = [one for one in self._moments if one.at >= now - SPAN]
        pairs = list(pairwise(moments))

        def rates(total: Callable[[Moment], int], factor: int = 1) -> list[float]:
            return [
                max(0, total(after) - total(before)) * factor / (after.at - before.at)
                for before, after in pairs
            ]

        return Series(
            [after.at for _, after in pairs],
            rates(lambda one: one.vm_packets),
            rates(lambda one: one.vm_bytes, 8),
            rates(lambda one: one.fabric_packets),
            rates(lambda one: one.fabric_bytes, 8),
            rates(lambda one: one.flows_created),
            rates(lambda one: one.flows_ended),
            [_worst(before.lags, after.lags) for before, after in pairs],
        )


def _worst(before: Sequence[int], after: Sequence[int]) -> float:
    """The bound of the highest bucket that was hit in between; of the last one, the one below."""
    hit = [at for at, count in enumerate(after) if count > before[at]]
    return BOUNDS[min(hit[-1], len(BOUNDS) - 1)] if hit else 0.0
