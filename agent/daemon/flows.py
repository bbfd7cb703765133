"""The flows of a host with their table, their connection and what they tell to the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from agent._fast.flow_pairs import FlowPairs
from agent._fast.packet import FrameBatch
from agent.daemon.tables import Said, opened
from agent.flow import FlowEngine
from agent.io.bound_ports import BoundPorts
from agent.io.datapath import Address
from agent.io.flow_channel import FlowChannel
from agent.io.table_device import FLOW_DEVICE
from agent.ksync import Dumped, Lost
from agent.ksync.events import Event as DatapathEvent
from agent.shm import FlowTable

TABLE_FILE = "flow.shmem"
"""Where the table is when the datapath does not say so."""
_TROUBLE = "flow table not readable: no flows are set up"


class FlowShell:
    """Drives an engine: give it batches of packets and what the datapath's session tells.

    `limited` is told of vifs whose new flows the datapath shall drop (True), or not any more.
    """

    def __init__(
        self,
        run_dir: Path,
        address: Address,
        engine: FlowEngine,
        limited: Callable[[Sequence[int], bool], None],
    ) -> None:
        self._run_dir = run_dir
        self._engine = engine
        self._limited = limited
        self._channel = FlowChannel(address, self)
        self.tries = self._channel.tries
        """How often it has connected to the datapath, or tried to."""
        self._ports = BoundPorts(engine.world, engine.link_local_flows)

    def start(self) -> None:
        """Begin on the running loop."""
        self._ports.fill()
        self._channel.start()

    async def close(self) -> None:
        """Stop; the datapath keeps its flows."""
        await self._channel.close()
        self._engine.close()
        self._ports.close()

    def kick(self) -> None:
        """Something may wait for a turn."""
        self._channel.kick()

    def traps(self, batch: FrameBatch, now: float) -> list[int]:
        """Take flow packets out of a batch; the places of all others."""
        left = self._engine.traps(batch, now)
        if len(left) < len(batch):
            self._channel.kick()
        return left

    def datapath_said(self, events: Sequence[DatapathEvent]) -> None:
        """The datapath was read, so that its table can be mapped; or it is lost."""
        for event in events:
            if isinstance(event, Dumped):
                self._open(event)
            elif isinstance(event, Lost):
                self._engine.close()

    def _open(self, dumped: Dumped) -> None:
        said = Said.of_flows(dumped.flow_table)
        otherwise = self._run_dir / TABLE_FILE
        entries = dumped.limits.vo_flow_entries
        table = opened(FlowTable, said, FLOW_DEVICE, otherwise, entries, _TROUBLE)
        if table is not None:
            self._engine.open(table, time.monotonic(), anew=not dumped.messages)

    # What the channel serves

    @property
    def pairs(self) -> FlowPairs | None:
        return self._engine.pairs

    def turn(self, now: float) -> bool:
        more = self._engine.turn(now)
        self._ports.fill()
        for vifs, drop in self._engine.take_limited():
            self._limited(vifs, drop)
        return more

    def deadline(self) -> float | None:
        return self._engine.deadline()
