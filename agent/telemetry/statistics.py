"""Statistics of the datapath: totals, rates and bandwidth from samples of its counters.

Facts oper-db.md 6.1. Totals only grow for as long as the agent runs and the object lives,
though counters wrap and the datapath may begin anew. "In" is from an interface into the
vrouter, "out" the other way.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from agent.sandesh.vrouter import VrDropStatsReq, VrInterfaceReq, VrVrfStatsReq
from agent.telemetry.bandwidth import NOTHING, WINDOWS, Bandwidth, History, Rounds
from agent.telemetry.counting import Totals
from agent.telemetry.flow_ports import FlowPorts
from agent.telemetry.flow_rates import FlowStatistics
from agent.telemetry.sample import Machine, Process, Sample
from agent.telemetry.watermarks import HIGH, Watermark

PHYSICAL = 2
HOST = 0
"""vifr_type of fabric interfaces and of vhost0."""

INTERVAL, FULL_INTERVAL = 10.0, 30.0
"""Seconds, unless they are configured."""
_STEP = 64
"""Interfaces that are taken over at once: about a millisecond."""

_TRAFFIC = attrgetter(
    "vifr_ibytes", "vifr_ipackets", "vifr_ierrors",
    "vifr_obytes", "vifr_opackets", "vifr_oerrors", "vifr_dpackets",
)  # fmt: skip
_NOT_COUNTS = frozenset(("vds_rid", "vds_core", "vds_pcpu_stats_failure_status"))
_DROP_FIELDS = tuple(
    name for name in VrDropStatsReq.FIELDS if name.startswith("vds_") and name not in _NOT_COUNTS
)
DROP_REASONS: tuple[str, ...] = tuple(name.removeprefix("vds_") for name in _DROP_FIELDS)
"""The datapath's reasons to drop a packet, in the order of its message."""
_DROPS = attrgetter(*_DROP_FIELDS)
_NO_VRF_COUNT = frozenset(("vsr_rid", "vsr_family", "vsr_type", "vsr_vrf", "vsr_marker"))
_VRF_FIELDS = tuple(
    name for name in VrVrfStatsReq.FIELDS if name.startswith("vsr_") and name not in _NO_VRF_COUNT
)
VRF_COUNTERS: tuple[str, ...] = tuple(name.removeprefix("vsr_") for name in _VRF_FIELDS)
"""What the datapath counts a VRF, in the order of its message."""
_VRF = attrgetter(*_VRF_FIELDS)


class Traffic(NamedTuple):
    """Totals of one interface."""

    in_bytes: int
    in_packets: int
    in_errors: int
    out_bytes: int
    out_packets: int
    out_errors: int
    drops: int


class VifStatistics:
    """One interface of the datapath. `rate`: of the last interval. `flows`: now, two a pair.

    `speed`: Mbit/s as the datapath tells, 0 or less when it is not known. `drops`: by reason
    (DROP_REASONS), None until they were asked for. `since`: when it was first seen, `taken`:
    when last, monotonic.
    """

    __slots__ = (
        "_drops", "_history", "_rounds", "_totals", "flows", "rate", "row", "since", "taken",
    )  # fmt: skip

    def __init__(self, row: VrInterfaceReq, rounds: Rounds, now: float) -> None:
        self.row = row
        self.since = self.taken = now
        self.flows = 0
        self.rate = NOTHING
        self._rounds = rounds
        self._totals = Totals(_TRAFFIC(row))
        self._history = History(rounds, self._totals.values[0], self._totals.values[3])
        self._drops: Totals | None = None

    @property
    def index(self) -> int:
        return self.row.vifr_idx

    @property
    def name(self) -> str:
        return self.row.vifr_name

    @property
    def type(self) -> int:
        return self.row.vifr_type

    @property
    def speed(self) -> int:
        return self.row.vifr_speed

    @property
    def traffic(self) -> Traffic:
        """The totals."""
        return Traffic(*self._totals.values)

    @property
    def counters(self) -> list[int]:
        """The totals as `traffic` has them, to be read at once."""
        return self._totals.values

    @property
    def drops(self) -> dict[str, int] | None:
        """Totals by reason, without zeros."""
        return None if self._drops is None else _named(DROP_REASONS, self._drops)

    def bandwidth(self, seconds: float = WINDOWS[0]) -> Bandwidth:
        """The mean over the last `seconds`, or since it was first seen."""
        values = self._totals.values
        return self._history.over(self._rounds, seconds, self.taken, values[0], values[3])

    def series(self) -> list[tuple[float, Bandwidth]]:
        """(monotonic seconds, mean since the time before) of the last minutes."""
        return self._history.series(self._rounds)

    def utilization(self, seconds: float = WINDOWS[0]) -> tuple[float, float] | None:
        """Percent of its speed, in and out; None when its speed is not known."""
        if self.speed <= 0:
            return None
        used = self.bandwidth(seconds)
        return used.in_bps / (self.speed * 1e4), used.out_bps / (self.speed * 1e4)

    def take(self, row: VrInterfaceReq, now: float, *, keep: bool) -> None:
        """The next sample; `keep` it for bandwidth."""
        values = self._totals.values
        before_in, before_out = values[0], values[3]
        elapsed, self.taken = now - self.taken, now
        self.row = row
        self._totals.take(_TRAFFIC(row))
        if keep:
            self._history.keep(self._rounds.number, values[0], values[3])
        if elapsed > 0.0:
            self.rate = Bandwidth(
                int((values[0] - before_in) * 8 / elapsed),
                int((values[3] - before_out) * 8 / elapsed),
            )

    def take_drops(self, drops: VrDropStatsReq) -> None:
        """The next sample of its drops."""
        self._drops = _taken(self._drops, _DROPS(drops))


class Statistics:
    """All of them; give it samples, read it at any time. Read-only for everybody else.

    `rounds`: samples so far; `failed`: those that could not be had, the last because of
    `problem` ("" when the last one could). `taken`: when the last good one was, monotonic.
    `interval`: seconds between samples; drops by port and VRF counters are asked for only
    every `full_interval` seconds. `ports`: which ports flows use, by interface.
    """

    def __init__(self, *, high_watermark: int = HIGH) -> None:
        self.high_watermark = high_watermark
        self.interval = INTERVAL
        self.full_interval = FULL_INTERVAL
        self.rounds = 0
        self.failed = 0
        self.problem = ""
        self.taken: float | None = None
        self.flows = FlowStatistics()
        self.ports = FlowPorts()
        self.process = Process()
        self.machine = Machine()
        self.watermarks: dict[str, Watermark] = {}
        """By table: vif, nexthop, label, vrf, mirror, flow, flow overflow, bridge…"""
        self.cpu_share = 0.0
        """Of one processor, by the agent in the last interval."""
        self._rounds = Rounds()
        self._vifs: dict[int, VifStatistics] = {}
        self._vrfs: dict[int, Totals] = {}
        self._drops: Totals | None = None

    # ---- what is known

    def vif(self, index: int) -> VifStatistics | None:
        """One interface; None for one that the last sample did not have."""
        return self._vifs.get(index)

    def vifs(self) -> Iterator[VifStatistics]:
        """All of them, in the order of the datapath."""
        return iter(list(self._vifs.values()))

    def fabric(self) -> list[VifStatistics]:
        """The physical interfaces."""
        return [vif for vif in self._vifs.values() if vif.type == PHYSICAL]

    def vhost(self) -> VifStatistics | None:
        """The host's own interface."""
        return next((vif for vif in self._vifs.values() if vif.type == HOST), None)

    def vrf(self, index: int) -> dict[str, int] | None:
        """Totals of a VRF by name (VRF_COUNTERS); None when it has seen no packet."""
        totals = self._vrfs.get(index)
        return None if totals is None else dict(zip(VRF_COUNTERS, totals.values, strict=True))

    def vrfs(self) -> list[int]:
        """The VRFs of which there are counters."""
        return list(self._vrfs)

    @property
    def drops(self) -> dict[str, int]:
        """Dropped packets of the whole datapath by reason, without zeros."""
        return {} if self._drops is None else _named(DROP_REASONS, self._drops)

    @property
    def dropped(self) -> int:
        """All of them together."""
        return 0 if self._drops is None else sum(self._drops.values)

    # ---- samples

    def sample(self, sample: Sample, now: float) -> None:
        """Take over one round; `now` is monotonic seconds."""
        for _ in self.steps(sample, now):
            pass

    def steps(self, sample: Sample, now: float) -> Iterator[None]:
        """The same in short steps, between which others may work and read."""
        yield from self._take_vifs(sample, now)
        yield from self._take_vrfs(sample)
        if sample.drops is not None:
            self._drops = _taken(self._drops, _DROPS(sample.drops))
        self.flows.take(sample.flows, now)
        for name, use in sample.used.items():
            mark = self.watermarks.setdefault(name, Watermark(name))
            mark.take(use.count, use.limit, self.high_watermark)
        self._take_process(sample, now)
        self.rounds += 1
        self.problem = ""
        self.taken = now

    def missed(self, reason: str) -> None:
        """A round could not be had: everything stays as it was."""
        self.failed += 1
        self.problem = reason

    def _take_vifs(self, sample: Sample, now: float) -> Iterator[None]:
        keep = self._rounds.begin(now)
        vifs: dict[int, VifStatistics] = {}
        drops = sample.vif_drops or {}
        for place, row in enumerate(sample.vifs, 1):
            index = row.vifr_idx
            vif = self._vifs.get(index)
            if vif is None or vif.name != row.vifr_name or vif.type != row.vifr_type:
                vif = VifStatistics(row, self._rounds, now)
            else:
                vif.take(row, now, keep=keep)
            vif.flows = sample.flows.by_vif.get(index, 0)
            if index in drops:
                vif.take_drops(drops[index])
            vifs[index] = vif
            if not place % _STEP:
                yield
        self._vifs = vifs

    def _take_vrfs(self, sample: Sample) -> Iterator[None]:
        if sample.vrfs is None:
            return
        vrfs: dict[int, Totals] = {}
        for place, row in enumerate(sample.vrfs, 1):
            vrfs[row.vsr_vrf] = _taken(self._vrfs.get(row.vsr_vrf), _VRF(row))
            if not place % _STEP:
                yield
        self._vrfs = vrfs

    def _take_process(self, sample: Sample, now: float) -> None:
        if self.taken is not None and now > self.taken and self.process.cpu_seconds:
            spent = sample.process.cpu_seconds - self.process.cpu_seconds
            self.cpu_share = max(0.0, spent / (now - self.taken))
        self.process, self.machine = sample.process, sample.machine


def _taken(totals: Totals | None, raw: tuple[int, ...]) -> Totals:
    if totals is None:
        return Totals(raw)
    totals.take(raw)
    return totals


def _named(names: tuple[str, ...], totals: Totals) -> dict[str, int]:
    return {name: count for name, count in zip(names, totals.values, strict=True) if count}
