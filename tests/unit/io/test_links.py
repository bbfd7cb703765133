"""Link events of a real kernel, in a network namespace of the test's own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from agent.inputs import Link
from agent.io.links import LinkMonitor
from tests.netns import ip

pytestmark = pytest.mark.system


class Watcher:
    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.gone: list[str] = []
        self.monitor = LinkMonitor(self.changed)

    def changed(self, links: list[Link], gone: list[str]) -> None:
        self.gone += gone
        self.news.set()

    async def until(self, condition: Callable[[dict[str, Link]], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(self.monitor.links):
                self.news.clear()
                await self.news.wait()


async def follow() -> None:
    ip("link", "add", "before", "type", "veth", "peer", "name", "peer0")
    watcher = Watcher()
    watcher.monitor.start()
    await watcher.until(lambda links: "before" in links and "peer0" in links)
    assert watcher.monitor.links["before"].index == socket.if_nametoindex("before")

    ip("link", "set", "before", "address", "02:00:00:00:00:77", "up")
    await watcher.until(lambda links: links["before"].up)
    assert str(watcher.monitor.links["before"].mac) == "02:00:00:00:00:77"

    ip("link", "set", "before", "down")
    ip("link", "set", "before", "name", "after")
    await watcher.until(lambda links: "after" in links and "before" not in links)
    assert watcher.gone == ["before"]

    ip("link", "del", "after")
    await watcher.until(lambda links: not {"after", "peer0"} & set(links))
    watcher.monitor.close()


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_links_follow_the_kernel(own_network: None, runner: Callable[..., None]) -> None:
    runner(follow())
