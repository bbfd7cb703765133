"""The flows' own connection to a datapath.

Carries bytes between its transport and the pairs of flows, gives these their turns and their
time, and connects again with back-off whenever the connection is lost. It decides nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from agent._fast.flow_pairs import FlowPairs
from agent.errors import WireError
from agent.io.datapath import Address
from agent.io.reconnect import Reconnector, reason_of
from agent.io.wire import Wire
from agent.telemetry.wires import ConnectCounters

_OUTPUT = 1 << 18

log = structlog.get_logger(__name__)


class Flows(Protocol):
    """What the channel serves. `pairs` None: there is nothing to carry yet."""

    @property
    def pairs(self) -> FlowPairs | None: ...

    def turn(self, now: float) -> bool:
        """Do a bounded amount of what waits; whether more does."""
        ...

    def deadline(self) -> float | None:
        """When the next turn is wanted though nothing comes in."""
        ...


class FlowChannel:
    """Keeps `flows` connected to the datapath at `address`, and turning.

    Call `kick` when something may wait for a turn: trapped packets, a changed world.
    """

    def __init__(
        self,
        address: Address,
        flows: Flows,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._flows = flows
        self._clock = clock
        self._connection = Reconnector(
            "flows", self._connect, self._carry, self._tell_absent, jitter
        )
        self._wake: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._wire: tuple[asyncio.Transport, Wire] | None = None
        self._served: FlowPairs | None = None

    @property
    def tries(self) -> ConnectCounters:
        """How often it has connected, or tried to."""
        return self._connection.tries

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._wire is not None

    def start(self) -> None:
        """Begin to connect and to turn; needs a running loop. BugError when started twice."""
        self._connection.start()
        self.kick()

    async def close(self) -> None:
        """Disconnect for good. The datapath keeps every flow that it was told."""
        await self._connection.close()
        for handle in (self._timer, self._wake):
            if handle is not None:
                handle.cancel()
        self._timer = self._wake = None

    def kick(self) -> None:
        """Soon give the flows a turn and carry what they have to send."""
        if self._wake is None and self._connection.running:
            self._wake = asyncio.get_running_loop().call_soon(self._turn)

    # The connection

    async def _connect(self) -> tuple[asyncio.Transport, Wire]:
        return await self._address.connect(lambda: Wire(self._received, self.kick))

    def _tell_absent(self, reason: str) -> None:
        """Attempts go on until the datapath is there."""
        log.warning("no datapath for flows", socket=str(self._address), reason=reason)

    async def _carry(self, connection: tuple[asyncio.Transport, Wire]) -> None:
        """Serve one connection until it is gone."""
        transport, wire = connection
        transport.set_write_buffer_limits(high=_OUTPUT)
        self._wire = connection
        self.kick()
        try:
            problem = await wire.lost
            self._gone("it closed the connection" if problem is None else reason_of(problem))
        finally:
            transport.abort()
            self._leave()

    def _leave(self) -> None:
        """The pairs whose requests went over this connection get no answers any more."""
        self._wire = None
        served, self._served = self._served, None
        if served is not None:
            served.disconnected(self._clock())
        self.kick()

    def _lose(self, reason: str) -> None:
        """Give the connection up."""
        connection = self._wire
        self._gone(reason)
        if connection is not None:
            connection[0].abort()

    def _gone(self, reason: str) -> None:
        if self._wire is not None:
            log.warning("the flows lost the datapath", socket=str(self._address), reason=reason)
            self._leave()

    # Bytes

    def _received(self, data: bytes) -> None:
        if self._wire is None:
            return  # what came last before we gave it up
        try:
            if self._served is not None:
                self._served.answers(data, self._clock())
        except WireError as problem:
            self._lose(str(problem))
        self._turn()

    def _send(self, transport: asyncio.Transport, wire: Wire, pairs: FlowPairs) -> None:
        """Write until nothing is left or the transport pauses us."""
        while wire.writable and not transport.is_closing():
            output = pairs.take_output(_OUTPUT, self._clock())
            if not output:
                return
            transport.write(bytes(output))  # its memory is used again
            if len(output) <= _OUTPUT // 2:
                return  # less is all that there was

    # Turns

    def _turn(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        more = self._flows.turn(self._clock())
        pairs = self._flows.pairs
        if self._wire is not None:
            self._serve(*self._wire, pairs)
        if more:
            self.kick()
        self._arm()

    def _serve(self, transport: asyncio.Transport, wire: Wire, pairs: FlowPairs | None) -> None:
        if self._served is not None and pairs is not self._served:
            self._lose("the flow table is another one")  # answers to the old pairs may come
            return
        if pairs is None:
            return
        if self._served is None:
            self._served = pairs
            pairs.connected(self._clock())
        self._send(transport, wire, pairs)

    def _arm(self) -> None:
        """A timer that is early enough is left: it costs less than another one."""
        deadline = self._flows.deadline()
        if deadline is None or not self._connection.running:
            return
        if self._timer is not None:
            if self._armed_for <= deadline:
                return
            self._timer.cancel()
        wait = max(0.0, deadline - self._clock())
        self._armed_for = deadline
        self._timer = asyncio.get_running_loop().call_later(wait, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._turn()
