"""The introspect port: HTTP on the address of the configuration file, in slices of the loop."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address

import structlog

from agent.introspect.app import Surroundings, build_app
from agent.io.bell import Bell
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


class IntrospectApi:
    """Serves `node` on the port 8085, or whichever the configuration file names."""

    def __init__(self, node: Node, *, host: str, port: int) -> None:
        around = Surroundings(time.monotonic, Turns(), self._failed, Bell)
        app = build_app(node, around)
        self._server = HttpServer(app, host=host, port=port, limits=_LIMITS)
        self._host = host

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return self._server.port

    async def start(self) -> None:
        """Answer from now on. ConfigError when the address cannot be used."""
        self._server.listen()
        if not ip_address(self._host).is_loopback:
            log.warning("introspect is open to the network without authentication", host=self._host)
        await self._server.start()
        log.info("introspect", host=self._host, port=self.port)

    async def close(self) -> None:
        """End within two seconds, whoever is still being answered."""
        await self._server.stop()

    def _failed(self, error: BaseException) -> None:
        log.error("introspect request failed", exc_info=error)
