"""pkt0 over Unix datagrams, against a datapath's end made of a plain socket."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.inputs import TrafficSeen
from agent.io.pkt0 import Pkt0Socket, TrapLoop
from agent.pkt import FrameBatch
from agent.services import ArpEvent, TrappedPackets
from tests.unit.pkt.pkt0_vectors import FRAMES
from tests.unit.services.world import VM_MAC, World


class Datapath:
    """The other end: bound to dpdk_pkt0, connected to the agent's socket as a real one is."""

    def __init__(self, run_dir: Path) -> None:
        self.path, self.agent = run_dir / "dpdk_pkt0", run_dir / "agent_pkt0"
        self.path.unlink(missing_ok=True)
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.end.bind(os.fspath(self.path))

    def connect(self) -> None:
        self.end.connect(os.fspath(self.agent))

    def read(self) -> Awaitable[bytes]:
        read = asyncio.get_running_loop().sock_recv(self.end, 9060)
        return asyncio.wait_for(read, 10)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def datapath(run_dir: Path) -> Iterator[Datapath]:
    run_dir.mkdir()
    datapath = Datapath(run_dir)
    yield datapath
    datapath.end.close()


class Inbox:
    """Collects what arrives and wakes whoever waits for it."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()

    def received(self, batch: FrameBatch) -> bool:
        for slot in range(len(batch)):
            self.frames.put_nowait(batch.frame(slot))
        return False

    def next(self) -> Awaitable[bytes]:
        return asyncio.wait_for(self.frames.get(), 10)


@pytest.fixture
async def link(datapath: Datapath) -> Iterator[tuple[Pkt0Socket, Inbox]]:
    inbox = Inbox()
    link = Pkt0Socket(datapath.path.parent, inbox.received)
    link.start()
    yield link, inbox
    link.close()


async def test_both_ways(datapath: Datapath, link: tuple[Pkt0Socket, Inbox]) -> None:
    agent, inbox = link
    datapath.connect()
    datapath.end.send(b"up 1")
    datapath.end.send(b"up 2")
    assert [await inbox.next(), await inbox.next()] == [b"up 1", b"up 2"]
    agent.send([b"down 1", b"down 2"])
    assert [await datapath.read(), await datapath.read()] == [b"down 1", b"down 2"]
    assert (agent.counters.received, agent.counters.sent) == (2, 2)


async def test_more_than_one_batch_of_frames(
    datapath: Datapath, link: tuple[Pkt0Socket, Inbox]
) -> None:
    """Also more than the receiver's queue takes at once: the rest follows."""
    agent, _ = link
    frames = [str(number).encode() for number in range(500)]
    agent.send(frames)
    assert [await datapath.read() for _ in frames] == frames
    assert agent.counters.sent == 500


@pytest.mark.parametrize(("cheap", "first"), [(True, 600), (False, 256)])
async def test_what_costs_little_is_read_at_once_and_the_rest_in_turns(
    datapath: Datapath, cheap: bool, first: int
) -> None:
    """Several batches of one wake-up, or one and then the others' turn."""
    loop, sizes, turns = asyncio.get_running_loop(), [], []

    def received(batch: FrameBatch) -> bool:
        if not sizes:
            loop.call_soon(lambda: turns.append(sum(sizes)))
        sizes.append(len(batch))
        return cheap

    agent = Pkt0Socket(datapath.path.parent, received)
    datapath.connect()
    datapath.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
    agent.pair()
    for number in range(600):
        datapath.end.send(str(number).encode())
    agent.start()
    async with asyncio.timeout(10):
        while sum(sizes) < 600 or not turns:
            await asyncio.sleep(0)
    agent.close()
    assert (turns, agent.counters.received) == ([first], 600)


async def test_a_datapath_that_restarts(datapath: Datapath, link: tuple[Pkt0Socket, Inbox]) -> None:
    agent, inbox = link
    datapath.connect()
    datapath.end.close()
    agent.send([b"nobody hears this"])
    assert agent.counters.not_connected == 1
    successor = Datapath(datapath.path.parent)
    successor.connect()
    successor.end.send(b"hello")
    assert await inbox.next() == b"hello"
    agent.send([b"welcome"])
    assert await successor.read() == b"welcome"
    successor.end.close()


async def test_without_a_datapath(run_dir: Path) -> None:
    agent = Pkt0Socket(run_dir, Inbox().received)
    agent.send([b"1", b"2"])
    assert (agent.counters.not_connected, agent.counters.sent) == (2, 0)
    agent.close()


async def test_a_datapath_that_does_not_read(
    datapath: Datapath, link: tuple[Pkt0Socket, Inbox]
) -> None:
    agent, _ = link
    for _ in range(3):
        agent.send([b"x" * 1000] * 3000)
    counters = agent.counters
    assert counters.sent > 0
    assert counters.queue_full == 9000 - counters.sent - 4096
    first = counters.sent
    for _ in range(first + 1):
        await datapath.read()
    assert agent.counters.sent > first


async def test_a_frame_that_the_kernel_refuses(
    datapath: Datapath, link: tuple[Pkt0Socket, Inbox]
) -> None:
    agent, _ = link
    agent.send([b"x" * (1 << 24), b"next"])
    assert await datapath.read() == b"next"
    assert (agent.counters.send_errors, agent.counters.sent) == (1, 1)


async def test_a_stale_socket_file_is_replaced_and_the_name_freed(datapath: Datapath) -> None:
    path = datapath.agent
    path.write_text("left behind")
    agent = Pkt0Socket(path.parent, Inbox().received)
    assert path.is_socket()
    assert path.stat().st_mode & 0o777 == 0o660
    agent.close()
    assert not path.exists()


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shorter --run-dir"):
        Pkt0Socket(tmp_path / ("x" * 120), Inbox.received)


def test_a_run_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="agent_pkt0"):
        Pkt0Socket(tmp_path / "file", Inbox.received)


@pytest.fixture
async def loop(datapath: Datapath) -> Iterator[tuple[TrapLoop, World, list[ArpEvent]]]:
    world, learned = World(), []
    services = TrappedPackets(world)
    trap_loop = TrapLoop(partial(Pkt0Socket, datapath.path.parent), services, learned.extend)
    trap_loop.start()
    datapath.connect()
    yield trap_loop, world, learned
    trap_loop.close()


Loop = tuple[TrapLoop, World, list[ArpEvent]]


async def test_trapped_packets_are_answered(datapath: Datapath, loop: Loop) -> None:
    datapath.end.send(FRAMES["dhcp-discover"])
    offer = await datapath.read()
    assert offer[14:20] == bytes([0, 7, 0, 3, 0, 0])
    datapath.end.send(FRAMES["arp-request"])
    assert len(await datapath.read()) == 86
    assert loop[2] == [TrafficSeen(7, IPv4Address("10.1.1.3"), VM_MAC)]


async def test_a_storm_is_answered_in_turns(datapath: Datapath, loop: Loop) -> None:
    """More of one module than a turn serves; nothing is lost and no turn is missed."""
    loop[0]._services.dispatcher._quantum = 1

    async def storm() -> None:
        for _ in range(60):
            await asyncio.get_running_loop().sock_sendall(datapath.end, FRAMES["dhcp-discover"])

    sending = asyncio.create_task(storm())
    assert {(await datapath.read())[14:20] for _ in range(60)} == {bytes([0, 7, 0, 3, 0, 0])}
    await sending


async def test_retries_come_by_themselves(datapath: Datapath, loop: Loop) -> None:
    trap_loop, world, _ = loop
    arp = trap_loop._services.arp
    trap_loop.send(arp.wanted(world, [IPv4Address("192.168.0.9")], time.monotonic()))
    first = await datapath.read()
    assert await datapath.read() == first  # two seconds later
    assert arp.counters.requests_sent == 2
