"""The introspect port: HTTP on the address of the configuration file, in slices of the loop.

What answers is loaded with the first request that wants it, beside the loop: its pages would
take a good part of the agent's start. Probes are answered before there is anything to be shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from agent.io.awaited import PATIENCE, Awaited
from agent.io.bell import Bell
from agent.io.doors import Door
from agent.io.guard import AsgiApp, Guard, Receive, Refusal, Scope, Send, answer
from agent.io.http import HttpServer, Limits
from agent.telemetry.meters import INTROSPECT, Meters
from agent.telemetry.probes import STARTING

if TYPE_CHECKING:
    from agent.telemetry import Node

log = structlog.get_logger(__name__)

_LIMITS = Limits(connections=64, max_request=64 << 10)
_NOT_YET = Refusal(503, "The agent is still starting")


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
    """Serves a node on the port 8085, or whichever the configuration file names.

    The node may be shown to it later than clients come: what they ask for waits for it, for
    `patience` seconds at most.
    """

    def __init__(self, door: Door, meters: Meters, patience: float = PATIENCE) -> None:
        self._node: Awaited[Node] = Awaited(patience)
        self._loaded = _Loaded(self._app)
        self._before = Guard(self._starting, door, self._refused)
        self._server = HttpServer(self._answer, door, _LIMITS)
        self._door = door
        self._meters = meters

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

    def show(self, node: Node) -> None:
        """There is a node, whose state is served from now on."""
        self._node.put(node)

    def renew(self, door: Door) -> None:
        """The files of certificates and of the token were read again."""
        self._door.renew(door)

    async def stop(self) -> None:
        """End within two seconds, whoever is still being answered."""
        await self._server.stop()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._before if self._node.value is None else self._loaded
        await app(scope, receive, send)

    async def _starting(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and scope["path"] in STARTING:
            status, text = STARTING[scope["path"]]
            self._meters.answered(INTROSPECT, status, 0.0)
            return await _say(send, status, text)
        try:
            await self._node.get()
        except TimeoutError:
            self._meters.answered(INTROSPECT, _NOT_YET.status, 0.0)
            return await answer(send, _NOT_YET)
        await self._loaded(scope, receive, send)

    def _app(self) -> AsgiApp:
        node = self._node.value
        assert node is not None
        from agent.introspect.app import Surroundings, build_app
        from agent.introspect.catalogue import changes

        around = Surroundings(time.monotonic, Turns(), self._failed, Bell)
        return Guard(build_app(node, around), self._door, self._refused, changes)

    def _refused(self, peer: str, refusal: Refusal) -> None:
        self._meters.answered(INTROSPECT, refusal.status, 0.0)
        log.warning("introspect request refused", peer=peer, reason=refusal.reason)

    def _failed(self, error: BaseException) -> None:
        log.error("introspect request failed", exc_info=error)


async def _say(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
