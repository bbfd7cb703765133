"""The page of a node with content, served to browsers from a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from agent.io.doors import Door
from agent.io.http import HttpServer
from tests.unit.introspect.pages.page_world import PageWorld

T = TypeVar("T")
TIMEOUT = 20


class Site:
    """A started server; `url` is its address. `call` runs in the thread of the server."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="page-site")
        self._thread.start()
        self.world = self.call(_world)
        self._server = HttpServer(self.world.app, Door())
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(TIMEOUT)
        self.url = f"http://127.0.0.1:{self._server.port}"

    def call(self, function: Callable[[], T]) -> T:
        """What a function gives."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(TIMEOUT)

    def port(self, vm: str) -> str:
        """The address of a port's page."""
        rows = self.call(self.world.node.compiler.vmis)
        return next(f"/ports/{row.uuid}" for row in rows if row.vm_name == vm)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()


def _world() -> PageWorld:
    made = PageWorld()
    made.remote(["20.0.0.1/32", "20.0.0.0/24", *(f"30.0.{at}.0/24" for at in range(70))])
    made.traffic()
    for at in range(3):
        made.flow("red1", "10.1.1.4", 40000 + at, 80)
    made.flow("red1", "10.2.2.3", 40010, 8081)
    made.lose_link("blue2")
    made.refuse_route("40.0.0.0/24")
    return made
