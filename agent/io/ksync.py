"""The ksync connection to a datapath, for as long as the daemon runs.

Carries bytes between its transport and a `Session`, arms its one timer, and connects again
with back-off whenever the connection is lost. It decides nothing about the protocol.
"""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable, Sequence

import structlog

from agent.io.datapath import Address
from agent.io.reconnect import Reconnector, reason_of
from agent.io.wire import Wire
from agent.ksync import Event, Session
from agent.telemetry.wires import ConnectCounters

_ABSENT_HINT = (
    "start vrouter-forwarder with the same --run-dir or load the kernel module; "
    "trying again meanwhile"
)

log = structlog.get_logger(__name__)

EventHandler = Callable[[Sequence[Event]], None]


class KsyncConnection:
    """

    `on_events` is called in the loop, with the events in order, outside of any session
    call, so that it may apply changes. After `session.apply` or `complete` call `kick`.
    """

    def __init__(
        self,
        address: Address,
        session: Session,
        on_events: EventHandler,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._session = session
        self._on_events = on_events
        self._connection = Reconnector(
            "ksync", self._connect, self._carry, self._tell_absent, jitter
        )
        self._wire: tuple[asyncio.Transport, Wire] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wake: asyncio.Handle | None = None

    @property
    def tries(self) -> ConnectCounters:
        """How often it has connected, or tried to."""
        return self._connection.tries

    def start(self) -> None:
        """Begin to connect; needs a running loop. BugError when started twice."""
        self._connection.start()

    async def close(self) -> None:
        """Disconnect for good. The datapath keeps everything that it was told."""
        await self._connection.close()
        for handle in (self._timer, self._wake):
            if handle is not None:
                handle.cancel()
        self._timer = self._wake = None

    def kick(self) -> None:
        """Soon carry what the session has to send and tell its events."""
        if self._wake is None and self._connection.running:
            self._wake = asyncio.get_running_loop().call_soon(self._pump)

    async def _connect(self) -> tuple[asyncio.Transport, Wire]:
        return await self._address.connect(lambda: Wire(self._received, self.kick))

    def _tell_absent(self, reason: str) -> None:
        """Attempts go on until the datapath is there."""
        log.warning("no datapath", socket=str(self._address), reason=reason, hint=_ABSENT_HINT)

    async def _carry(self, connection: tuple[asyncio.Transport, Wire]) -> None:
        """Serve one connection until it is gone."""
        transport, wire = connection
        loop = asyncio.get_running_loop()
        self._wire = connection
        self._session.connected(loop.time())
        self.kick()
        try:
            problem = await wire.lost
            if problem is not None:
                self._failed(problem)
        finally:
            self._wire = None
            transport.abort()
            self._session.disconnected(loop.time())
            self.kick()

    def _failed(self, problem: Exception) -> None:
        """The connection ended by itself."""
        self._session.counters.overruns += getattr(problem, "errno", 0) == errno.ENOBUFS
        log.warning("datapath connection failed", reason=reason_of(problem))

    def _received(self, data: bytes) -> None:
        self._session.receive(data, asyncio.get_running_loop().time())
        self.kick()

    def _pump(self) -> None:
        """Events first, since their handler may want more to be sent."""
        self._wake = None
        events = self._session.events()
        if events:
            self._on_events(events)
        if self._wire is not None:
            self._send(*self._wire)
        if self._session.has_events:
            self.kick()
        self._arm()

    def _send(self, transport: asyncio.Transport, wire: Wire) -> None:
        """Fill the transport until it pauses us or nothing is left; end one that is broken."""
        if self._session.broken:
            transport.abort()
            return
        while wire.writable and (data := self._session.data_to_send()):
            transport.write(data)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._session.deadline()
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._session.tick(asyncio.get_running_loop().time())
        self.kick()
