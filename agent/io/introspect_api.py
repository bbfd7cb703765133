"""The introspect port: HTTP on the address of the configuration file, in slices of the loop.

What answers is loaded with the first request, beside the loop: its pages would take a good part
of the agent's start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from agent.io.bell import Bell
from agent.io.doors import Door
from agent.io.guard import AsgiApp, Guard, Receive, Refusal, Scope, Send
from agent.io.http import HttpServer, Limits
from agent.telemetry import Node

log = structlog.get_logger(__name__)

_LIMITS = Limits(connections=64, max_request=64 << 10)


class Turns:
    """Answers that are made at the same time have one slice of each round of the loop together."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def __call__(self) -> None:
        """Let the loop go on, and wait until it is the caller's turn."""
        async with self._lock:
            await asyncio.sleep(0)


class _Loaded:
    """The application that `make` loads and gives, with the first request."""

    def __init__(self, make: Callable[[], AsgiApp]) -> None:
        self._make = make
        self._lock = asyncio.Lock()
        self._app: AsgiApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._lock:
            if self._app is None:
                self._app = await asyncio.to_thread(self._make)
        await self._app(scope, receive, send)


class IntrospectApi:
    """Serves `node` on the port 8085, or whichever the configuration file names."""

    def __init__(self, node: Node, door: Door) -> None:
        self._server = HttpServer(_Loaded(self._app), door, _LIMITS)
        self._node = node
        self._door = door

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return self._server.port

    async def start(self) -> None:
        """Answer from now on. ConfigError when the address cannot be used."""
        self._server.listen()
        self._door.announce("introspect")
        await self._server.start()
        log.info("introspect", host=self._door.host, port=self.port)

    def renew(self, door: Door) -> None:
        """The files of certificates and of the token were read again."""
        self._door.renew(door)

    async def close(self) -> None:
        """End within two seconds, whoever is still being answered."""
        await self._server.stop()

    def _app(self) -> AsgiApp:
        from agent.introspect.app import Surroundings, build_app
        from agent.introspect.catalogue import changes

        around = Surroundings(time.monotonic, Turns(), self._failed, Bell)
        return Guard(build_app(self._node, around), self._door, self._refused, changes)

    def _refused(self, peer: str, refusal: Refusal) -> None:
        from agent.introspect.app import SURFACE

        self._node.meters.answered(SURFACE, refusal.status, 0.0)
        log.warning("introspect request refused", peer=peer, reason=refusal.reason)

    def _failed(self, error: BaseException) -> None:
        log.error("introspect request failed", exc_info=error)
