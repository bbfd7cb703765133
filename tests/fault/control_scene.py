"""Controllers on real connections, and control nodes for them: what the scenes share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from ssl import SSLContext
from typing import Any

from agent.io.xmpp import ControlConnections
from agent.settings import Server
from agent.xmpp import Controllers, Event
from agent.xmpp.publish import StanzaEncoder
from agent.xmpp.routes import RouteDecoder
from tests.unit.xmpp.control_node import ControlNode
from tests.unit.xmpp.conversation import IDENTITY

Runner = Callable[[Coroutine[Any, Any, None]], None]


class Agent:
    """Controllers on connections, and what they told."""

    def __init__(self, servers: Sequence[Server], context: SSLContext | None = None) -> None:
        self.log: list[Event] = []
        self.full: Callable[[], bool] = lambda: False
        """Whether what was told is as much as can be worked on."""
        self.decoder = RouteDecoder()
        self._changed = asyncio.Event()
        self.controllers = Controllers(
            IDENTITY,
            decode=self.decoder.decode,
            encoder=StanzaEncoder(IDENTITY),
            shuffle=list,
            jitter=lambda: -4.0,  # a tenth of the delays: the tests wait for reconnects
            tls=context is not None,
        )
        self.controllers.configure(servers, asyncio.get_running_loop().time())
        self.connections = ControlConnections(
            self.controllers,
            self._told,
            busy=lambda: self.full(),
            source=IPv4Address("127.0.0.9"),
            context=context,
        )

    def _told(self, events: Sequence[Event]) -> None:
        self.log += events
        self._changed.set()

    async def told(self, kind: type[Event], count: int = 1, seconds: float = 10) -> list[Event]:
        """Wait for so many events of a kind."""
        async with asyncio.timeout(seconds):
            while len(found := [event for event in self.log if isinstance(event, kind)]) < count:
                self._changed.clear()
                await self._changed.wait()
        return found


@asynccontextmanager
async def agent(*servers: Server, context: SSLContext | None = None) -> AsyncIterator[Agent]:
    made = Agent(servers, context)
    made.connections.start()
    try:
        yield made
    finally:
        await made.connections.close()


@asynccontextmanager
async def node(
    context: SSLContext | None = None, *, silent: bool = False
) -> AsyncIterator[ControlNode]:
    made = ControlNode(context, silent=silent)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
