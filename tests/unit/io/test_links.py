"""Link events of a real kernel, in a network namespace of the test's own."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable

import pytest
import uvloop

from agent.inputs import Link
from agent.io.links import _RECEIVE_BUFFER, LinkMonitor
from agent.io.netlink_sockets import widen
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


async def overrun() -> None:
    """With room for a few events alone the kernel drops some, says so, and is asked for all."""
    watcher = Watcher()
    monitor = watcher.monitor
    monitor.start()
    await asyncio.wait_for(monitor.listed.wait(), 10)
    room = monitor._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert room >= 2 * _RECEIVE_BUFFER  # beyond the host's limit; the kernel doubles it
    widen(monitor._socket, 2048)
    dumps = monitor._sequence
    for number in range(6):
        ip("link", "add", f"lost{number}", "type", "veth", "peer", "name", f"peer{number}")
        ip("link", "set", f"lost{number}", "up")
    ip("link", "del", "lost0")
    await watcher.until(
        lambda links: (
            {f"lost{number}" for number in range(1, 6)} <= set(links) and "lost0" not in links
        )
    )
    assert monitor._sequence > dumps
    monitor.close()


def test_events_that_found_no_room_are_made_up_for(own_network: None) -> None:
    uvloop.run(overrun())


async def refused() -> None:
    """A kernel that has no room for a dump refuses it: that says nothing of links."""
    ip("link", "add", "there", "type", "veth", "peer", "name", "there0")
    watcher = Watcher()
    monitor = watcher.monitor
    monitor.start()
    await watcher.until(lambda links: "there" in links)
    await asyncio.wait_for(monitor.listed.wait(), 10)
    monitor._seen = set()  # a dump begins
    asked = monitor._sequence
    head = struct.pack("=IHHII", 36, 2, 0, asked, monitor._socket.getsockname()[0])
    told = head + struct.pack("=i", -errno.ENOBUFS) + struct.pack("=IHHII", 32, 18, 1, asked, 0)
    monitor._apply(monitor._marshal.parse(told))
    assert "there" in monitor.links
    ip("link", "add", "later", "type", "veth", "peer", "name", "later0")
    await watcher.until(lambda links: "later" in links)
    async with asyncio.timeout(10):
        while monitor._sequence == asked or monitor._seen is not None:
            await asyncio.sleep(0.01)
    assert {"there", "later"} <= set(monitor.links)
    assert watcher.gone == []
    monitor.close()


def test_a_dump_that_was_refused_is_asked_for_again(own_network: None) -> None:
    uvloop.run(refused())
