"""Link events of a real kernel, in a network namespace of the test's own."""

from __future__ import annotations

import asyncio
import socket
import struct
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


def leaves_a_bridge(monitor: LinkMonitor, name: str) -> None:
    """The kernel deletes the port, not the link."""
    body = struct.pack("=BxHiII", 7, 1, socket.if_nametoindex(name), 3, 0)
    for number, value in ((3, name.encode() + b"\0"), (1, bytes.fromhex("020000000077"))):
        body += struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
    monitor._apply(
        monitor._marshal.parse(struct.pack("=IHHII", 16 + len(body), 17, 0, 0, 0) + body)
    )
    assert name in monitor.links


async def follow() -> None:
    ip("link", "add", "before", "type", "veth", "peer", "name", "peer0")
    watcher = Watcher()
    watcher.monitor.start()
    await watcher.until(lambda links: "before" in links and "peer0" in links)
    assert watcher.monitor.links["before"].index == socket.if_nametoindex("before")

    ip("link", "set", "before", "address", "02:00:00:00:00:77", "up")
    await watcher.until(lambda links: links["before"].up)
    assert str(watcher.monitor.links["before"].mac) == "02:00:00:00:00:77"
    leaves_a_bridge(watcher.monitor, "before")

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


async def lose_events() -> None:
    """What happens while nobody reads must be found out, removals included."""
    watcher = Watcher()
    watcher.monitor.start()
    await asyncio.wait_for(watcher.monitor.listed.wait(), 10)
    ip("link", "add", "gone", "type", "veth", "peer", "name", "gone0")
    await watcher.until(lambda links: "gone" in links)
    ip("link", "set", "gone", "up")
    ip("link", "del", "gone")
    ip("link", "add", "kept", "type", "veth", "peer", "name", "kept0")
    watcher.monitor._dump()
    watcher.monitor._dump()
    await watcher.until(lambda links: "kept" in links and "gone" not in links)
    ip("link", "del", "kept")
    watcher.monitor._dump()
    await watcher.until(lambda links: "kept" not in links)
    watcher.monitor.close()


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_dumps_beside_events_and_each_other(own_network: None, runner: Callable[..., None]) -> None:
    runner(lose_events())
