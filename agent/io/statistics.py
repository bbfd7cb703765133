"""Asks the datapath for its counters again and again, and hands them to `Statistics`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog

from agent.errors import BugError, DatapathError, WireError
from agent.io import process
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrDropStatsReq,
    VrInterfaceReq,
    VrouterOps,
    VrVrfStatsReq,
)
from agent.settings import Settings
from agent.telemetry import Node
from agent.telemetry.gather import flow_sample, tables
from agent.telemetry.sample import Sample
from agent.telemetry.statistics import FULL_INTERVAL

INET = 2
FIRST_WAIT = 1.0
"""Seconds until the first round: the datapath is being connected to."""
LEAST_WAIT = 0.1
"""Seconds between two rounds, however long they take."""
_WITH_DROPS = 1
_MOST_VIFS = 65536
"""A datapath that tells of more interfaces than can be is not listened to."""

log = structlog.get_logger(__name__)


class StatisticsShell:
    """Takes a sample of `node.datapath` every `node.statistics.interval` seconds."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._full_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._told = ""
        self.configure(node.settings)

    def configure(self, settings: Settings) -> None:
        """Intervals and the high mark are those of the file."""
        statistics = self._node.statistics
        statistics.full_interval = float(
            settings.get("DEFAULT", "vmi_vm_vn_uve_interval", int) or FULL_INTERVAL
        )
        interval = settings.get("DEFAULT", "statistics_interval", int)
        statistics.interval = min(float(interval), statistics.full_interval)
        statistics.high_watermark = settings.get("DEFAULT", "vr_object_high_watermark", int)

    def start(self) -> None:
        """Begin; needs a running loop. BugError when started twice."""
        if self._task is not None:
            raise BugError("the statistics are started already")
        self._task = asyncio.get_running_loop().create_task(self._run(), name="statistics")

    async def close(self) -> None:
        """Take no more samples."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        await asyncio.sleep(FIRST_WAIT)
        while True:
            began = self._node.clock()
            await self.round()
            await asyncio.sleep(LEAST_WAIT)
            while (left := began + self._node.statistics.interval - self._node.clock()) > 0.0:
                await asyncio.sleep(min(left, 1.0))  # the interval may change meanwhile

    async def round(self) -> None:
        """Take one sample; a datapath that does not answer is counted and logged once."""
        began = self._node.clock()
        try:
            sample = await self._ask(began)
        except (WireError, DatapathError) as problem:
            self._missed(str(problem))
            return
        self._told = ""
        for _ in self._node.statistics.steps(sample, self._node.clock()):
            await asyncio.sleep(0)
        for _ in self._node.statistics.ports.steps(self._node.flows.pairs):
            await asyncio.sleep(0)
        self._node.recent.take(self._node.statistics, self._node.meters, self._node.clock())
        self._node.meters.statistics.observe(self._node.clock() - began)

    def _missed(self, reason: str) -> None:
        self._node.statistics.missed(reason)
        if reason != self._told:
            self._told = reason
            log.warning("no statistics of the datapath", reason=reason)

    async def _ask(self, now: float) -> Sample:
        full = now >= self._full_at
        limits = await self._node.datapath.get(VrouterOps(h_op=SandeshOp.GET), VrouterOps)
        drops = await self._drops()
        vifs, vif_drops = await self._vifs(full)
        vrfs = await self._vrfs() if full else None
        if full:
            # Rounds begin a little early or late: one of them shall not be missed for that.
            self._full_at = (
                now + self._node.statistics.full_interval - self._node.statistics.interval / 2
            )
        return Sample(
            vifs=vifs,
            vif_drops=vif_drops if full else None,
            vrfs=vrfs,
            drops=drops,
            flows=flow_sample(self._node.flows, self._node.compiler),
            used=tables(self._node.compiler, limits),
            process=process.process(),
            machine=process.machine(),
        )

    async def _drops(self) -> VrDropStatsReq | None:
        """None when the datapath does not count them."""
        try:
            return await self._node.datapath.get(VrDropStatsReq(h_op=SandeshOp.GET), VrDropStatsReq)
        except DatapathError:
            return None

    async def _vifs(self, full: bool) -> tuple[list[VrInterfaceReq], dict[int, VrDropStatsReq]]:
        """All interfaces, each with its drops if `full`."""
        vifs: list[VrInterfaceReq] = []
        drops: dict[int, VrDropStatsReq] = {}

        def request(_: Message | None) -> Message:
            marker = vifs[-1].vifr_idx if vifs else -1
            flags = _WITH_DROPS if full else 0
            return VrInterfaceReq(h_op=SandeshOp.DUMP, vifr_marker=marker, vifr_flags=flags)

        async for found in self._node.datapath.dump(request, Message):
            if isinstance(found, VrInterfaceReq):
                if (vifs and found.vifr_idx <= vifs[-1].vifr_idx) or len(vifs) >= _MOST_VIFS:
                    raise WireError("a dump of interfaces does not advance")
                vifs.append(found)
            elif isinstance(found, VrDropStatsReq) and vifs:
                drops[vifs[-1].vifr_idx] = found
        return vifs, drops

    async def _vrfs(self) -> list[VrVrfStatsReq] | None:
        """Counters of VRFs; None when the datapath has none."""

        def request(last: VrVrfStatsReq | None) -> VrVrfStatsReq:
            marker = -1 if last is None else last.vsr_vrf
            return VrVrfStatsReq(h_op=SandeshOp.DUMP, vsr_family=INET, vsr_marker=marker)

        rows: AsyncIterator[VrVrfStatsReq] = self._node.datapath.dump(request, VrVrfStatsReq)
        try:
            return [row async for row in rows]
        except DatapathError:
            return None
