"""The TCP connection to a collector, with TLS where that is configured.

Carries bytes between the socket and the generator of `Uves`, gives these their turns and
their time. It decides nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

from agent.errors import BugError, ConfigError
from agent.io.peers import TlsFiles, tls_client, watch_peer, why
from agent.io.wire import Wire
from agent.oper import Delta
from agent.settings import Server, Settings
from agent.telemetry import Node
from agent.telemetry.uve import Level, Type, Uves, Values

_BUFFER = 1 << 16
"""Bytes that the transport holds before the collector counts as slow."""
_WHO = "collector"
_TLS = ("sandesh_certfile", "sandesh_keyfile", "sandesh_ca_cert")

log = structlog.get_logger(__name__)


class CollectorConnection:
    """Keeps `uves` connected to one of the configured collectors, and in their time."""

    def __init__(self, node: Node, uves: Uves) -> None:
        self._node = node
        self._uves = uves
        self._generator = uves.generator
        self._task: asyncio.Task[str] | None = None
        self._wire: tuple[asyncio.Transport, Wire] | None = None
        self._wake: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._told = ""
        self._failures: dict[str, str] = {}

    def start(self) -> None:
        """Begin; needs a running loop. BugError when started twice."""
        if self._running:
            raise BugError("the connection to collectors is started already")
        self._running = True
        self.configure(self._node.settings)

    async def close(self) -> None:
        """Disconnect for good."""
        self._running = False
        for handle in (self._wake, self._timer):
            if handle is not None:
                handle.cancel()
        self._wake = self._timer = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def configure(self, settings: Settings) -> None:
        """The file as it is: other collectors are connected to, others are left."""
        self._uves.configure(settings, self._node.clock())
        self.kick()

    def send(
        self,
        name: str,
        values: Values,
        level: Level = Level.NOTICE,
        type_: Type = Type.SESSION,
    ) -> bool:
        """Send a message that is no UVE; whether it will be. Losses are counted.

        BugError for fields that the message does not have.
        """
        taken = self._uves.outbox.send(name, values, level, type_, self._node.clock())
        self.kick()
        return taken

    def follow(self, delta: Delta) -> None:
        """What a batch of the compiler made different: it is told soon."""
        self._uves.follow(delta)
        if self._uves.generator.configured:
            self.kick()

    def kick(self) -> None:
        """Soon do what is due."""
        if self._wake is None and self._running:
            self._wake = asyncio.get_running_loop().call_soon(self._pump)

    def _received(self, data: bytes) -> None:
        """Bytes of the collector."""
        self._generator.receive(data, self._node.clock())
        self.kick()

    def _pump(self) -> None:
        """One batch of UVEs and one piece of output, then others have their turn."""
        self._wake = None
        now = self._node.clock()
        self._uves.turn(self._node, now)
        self._tell_failures()
        self._generator.tick(now)
        if self._task is None:
            self._connect(now)
        elif self._generator.broken:
            self._task.cancel()
        else:
            self._send()
        self._arm(now)

    def _tell_failures(self) -> None:
        """Once for each message and reason."""
        failures = self._uves.failures
        if failures != self._failures:
            for message, reason in failures.items() - self._failures.items():
                log.error("UVE not made", message=message, reason=reason)
            self._failures = dict(failures)

    def _send(self) -> None:
        if self._wire is None or not self._generator.has_data:
            return
        transport, wire = self._wire
        if wire.writable:
            transport.write(self._generator.data_to_send())
            self.kick()

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = (self._uves.deadline(), self._generator.deadline())
        wanted = [time for time in times if time is not None]
        if wanted and self._wake is None:
            delay = max(0.0, min(wanted) - now)
            self._timer = asyncio.get_running_loop().call_later(delay, self._pump)

    # The connection

    def _connect(self, now: float) -> None:
        if self._generator.broken:  # before anything was begun
            self._generator.disconnected("", now)
        server = self._generator.server
        if server is not None:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._carry(server), name=str(server))
            self._task.add_done_callback(self._gone)

    async def _carry(self, server: Server) -> str:
        """Serve one connection until it is gone; why it is."""
        loop = asyncio.get_running_loop()
        try:
            transport, wire = await loop.create_connection(
                lambda: Wire(self._received, self.kick),
                str(server.address),
                server.port,
                ssl=self._context(),
            )
        except (OSError, ConfigError) as problem:
            return why(problem, _WHO)
        transport.set_write_buffer_limits(_BUFFER)
        try:
            watch_peer(transport.get_extra_info("socket"))
            self._wire = transport, wire
            self._generator.connected(self._node.clock())
            self._told = ""
            log.info("connected to a collector", collector=str(server))
            self.kick()
            return why(await wire.lost, _WHO)
        finally:
            self._wire = None
            transport.abort()

    def _context(self) -> ssl.SSLContext | None:
        """Read anew for each connection: certificates are replaced while we run."""
        settings = self._node.settings
        if not settings.get("SANDESH", "sandesh_ssl_enable", bool):
            return None
        files = TlsFiles(*(Path(settings.get("SANDESH", name, str)) for name in _TLS))
        named = settings.get("SANDESH", "sandesh_verify_address", bool)
        return tls_client(files, "SANDESH", _TLS, named=named)

    def _gone(self, task: asyncio.Task[str]) -> None:
        self._task = None
        reason = "given up" if task.cancelled() else task.result()
        fault = self._generator.disconnected(reason, self._node.clock())
        if self._running and fault and fault != self._told:
            self._told = fault
            log.warning("no collector", collector=task.get_name(), reason=fault)
        self.kick()
