"""ksync and pkt0 over pipes in message mode, each end of which is a SOCK_SEQPACKET socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent._fast.packet import MAX_FRAME, FrameBatch
from agent.errors import WireError
from agent.io.datapath import datapath_address
from agent.io.ksync import KsyncConnection
from agent.io.pipes import PipeAddress, Pkt0Pipe, open_pipe
from agent.ksync import Dumped, InSync, Lost, Session
from agent.sandesh.framing import FrameReader, request_frame, whole_frames
from agent.sandesh.vrouter import SandeshOp, VrouterOps
from tests.fake.datapath import FakeDatapath
from tests.fake.message_pipe import PipeServer
from tests.unit.ksync import world as w
from tests.unit.pkt.pkt0_vectors import FRAMES

ASK = VrouterOps(h_op=SandeshOp.GET).encode()
PACKETS = list(FRAMES.values())[:3]


def frame(number: int, payload: bytes = ASK) -> bytes:
    return request_frame(payload, family=24, seq=number, pid=7)


@pytest.fixture
def server() -> Iterator[PipeServer]:
    made = PipeServer()
    yield made
    made.close()


class Taker(asyncio.Protocol):
    """Keeps what a connection gives."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.data: asyncio.Queue[bytes] = asyncio.Queue()
        self.calls: list[str] = []
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data.put_nowait(data)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, problem: Exception | None) -> None:
        self.lost.set()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


# ksync


async def test_each_frame_crosses_by_itself(server: PipeServer) -> None:
    transport, taker = await PipeAddress(opens=server.open).connect(Taker)
    transport.write(frame(1) + frame(2))
    transport.write(frame(3))
    assert [await server.read() for _ in range(3)] == [frame(1), frame(2), frame(3)]
    assert taker.transport is transport
    server.served[0].send(b"one")
    server.served[0].send(b"two")
    assert [await taker.data.get(), await taker.data.get()] == [b"one", b"two"]
    transport.abort()
    assert await server.read() == b""
    async with asyncio.timeout(20):
        await taker.lost.wait()


async def test_frames_that_wait_are_not_joined() -> None:
    server = PipeServer(room=1 << 14)
    transport, taker = await PipeAddress(opens=server.open).connect(Taker)
    transport.set_write_buffer_limits(high=1 << 16)
    sent = [frame(number, bytes(2000 + number)) for number in range(200)]
    transport.write(b"".join(sent[:100]))
    for one in sent[100:]:
        transport.write(one)
    assert transport.get_write_buffer_size() > 1 << 16
    assert taker.calls == ["pause"]
    assert [await server.read() for _ in sent] == sent
    await until(lambda: taker.calls == ["pause", "resume"])
    assert transport.get_write_buffer_size() == 0
    server.close()
    async with asyncio.timeout(20):
        await taker.lost.wait()
    assert transport.is_closing()
    transport.write(frame(1))
    assert transport.get_write_buffer_size() == 0


async def test_a_connection_may_end_before_it_begins(server: PipeServer) -> None:
    transport, taker = await PipeAddress(opens=server.open).connect(Taker)
    transport.abort()
    assert await server.read() == b""
    async with asyncio.timeout(20):
        await taker.lost.wait()
    assert taker.transport is None


@pytest.mark.parametrize("data", [b"abc", frame(1)[:-1], frame(1) + b"\0", bytes(64)])
async def test_only_whole_frames_are_taken(server: PipeServer, data: bytes) -> None:
    transport, _ = await PipeAddress(opens=server.open).connect(Taker)
    with pytest.raises(WireError, match="no whole request"):
        transport.write(data)
    transport.abort()


async def test_a_loop_that_knows_no_named_pipes_says_so() -> None:
    with pytest.raises(OSError, match="proactor loop alone"):
        await PipeAddress().connect(Taker)
    with pytest.raises(OSError, match="proactor loop alone"):
        await open_pipe("x", lambda: pytest.fail("nothing is connected"))


def test_the_platform_with_pipes(tmp_path: Path) -> None:
    assert str(datapath_address("windows", tmp_path)) == r"\\.\vrouterKsync"


class Agent:
    """A ksync session over a pipe, served by a datapath that answers a message by messages."""

    def __init__(self, server: PipeServer, objects: list[Any]) -> None:
        self.objects = objects
        self.session = Session(pid=1)
        address = PipeAddress(opens=server.open)
        self.connection = KsyncConnection(address, self.session, self._said, jitter=lambda: 0.0)
        self.events: list[Any] = []

    def _said(self, events: Any) -> None:
        self.events += events
        if any(isinstance(event, Dumped) for event in events):
            now = asyncio.get_running_loop().time()
            self.session.apply(self.objects, [], now)
            self.session.complete(now)

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


async def serve(server: PipeServer, client: int, datapath: FakeDatapath) -> None:
    """Answer one client until it goes; a message that is not one frame is an error."""
    link, loop = datapath.connect(), asyncio.get_running_loop()
    while request := await loop.sock_recv(server.served[client], 1 << 18):
        [one] = whole_frames(request)
        link.feed(one)
        for reply in whole_frames(link.take()):
            await loop.sock_sendall(server.served[client], reply)


@pytest_asyncio.fixture
async def programmed(server: PipeServer) -> AsyncIterator[tuple[Agent, FakeDatapath]]:
    agent, datapath = Agent(server, w.port()), FakeDatapath()
    agent.connection.start()
    await until(lambda: len(server.served) == 1)
    task = asyncio.create_task(serve(server, 0, datapath))
    await until(lambda: agent.count(InSync) == 1)
    yield agent, datapath
    await agent.connection.close()
    await asyncio.wait_for(task, 20)


async def test_an_agent_programs_a_datapath(programmed: tuple[Agent, FakeDatapath]) -> None:
    wanted = FakeDatapath()
    for each in w.port():
        w.store(wanted, each.message)
    assert programmed[1].violations == []
    assert programmed[1].objects == wanted.objects


async def test_several_clients_are_served(
    server: PipeServer, programmed: tuple[Agent, FakeDatapath]
) -> None:
    agent, datapath = programmed
    transport, taker = await PipeAddress(opens=server.open).connect(Taker)
    task = asyncio.create_task(serve(server, 1, datapath))
    transport.write(frame(9))
    reader = FrameReader()
    reader.feed(await asyncio.wait_for(taker.data.get(), 20))
    assert [one.seq for one in reader] == [9]
    transport.abort()
    await asyncio.wait_for(task, 20)
    assert agent.count(Lost) == 0


# pkt0


class Inbox:
    """Collects what a channel delivers."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def __call__(self, batch: FrameBatch) -> bool:
        self.frames += [batch.frame(slot) for slot in range(len(batch))]
        return False


@pytest_asyncio.fixture
async def pkt0(server: PipeServer) -> AsyncIterator[tuple[Pkt0Pipe, Inbox]]:
    inbox = Inbox()
    channel = Pkt0Pipe(inbox, opens=server.open, jitter=lambda: 0.0)
    channel.start()
    await until(lambda: len(server.served) == 1)
    yield channel, inbox
    channel.close()


async def test_packets_cross_both_ways(server: PipeServer, pkt0: tuple[Pkt0Pipe, Inbox]) -> None:
    channel, inbox = pkt0
    channel.pair()
    channel.send(PACKETS)
    assert [await server.read() for _ in PACKETS] == PACKETS
    many = PACKETS * 200
    for one in many:
        await asyncio.get_running_loop().sock_sendall(server.served[0], one)
    await until(lambda: len(inbox.frames) == len(many))
    assert inbox.frames == many
    assert (channel.counters.sent, channel.counters.received) == (len(PACKETS), len(many))


async def test_what_is_no_packet_is_passed_over(
    server: PipeServer, pkt0: tuple[Pkt0Pipe, Inbox]
) -> None:
    channel, inbox = pkt0
    server.served[0].send(bytes(MAX_FRAME + 1))
    server.served[0].send(PACKETS[0])
    await until(lambda: bool(inbox.frames))
    assert inbox.frames == PACKETS[:1]
    assert channel.counters.foreign == 1


async def test_a_lost_channel_is_opened_again(
    server: PipeServer, pkt0: tuple[Pkt0Pipe, Inbox]
) -> None:
    channel, inbox = pkt0
    server.served[0].close()
    await until(lambda: len(server.served) == 2)
    server.served[1].send(PACKETS[0])
    await until(lambda: bool(inbox.frames))
    channel.send(PACKETS[:1])
    assert await server.read(1) == PACKETS[0]


async def test_packets_for_nobody_are_counted(server: PipeServer) -> None:
    server.absent = True
    channel = Pkt0Pipe(Inbox(), opens=server.open)
    channel.start()
    channel.send(PACKETS)
    assert channel.counters.not_connected == len(PACKETS)
    channel.close()


async def test_packets_wait_for_a_slow_datapath() -> None:
    server = PipeServer(room=1 << 14)
    channel = Pkt0Pipe(Inbox(), opens=server.open)
    channel.start()
    await until(lambda: len(server.served) == 1)
    sent = [bytes(60) + number.to_bytes(2, "big") + bytes(1000) for number in range(500)]
    channel.send(sent)
    assert channel.counters.sent < len(sent)
    assert [await server.read() for _ in sent] == sent
    assert channel.counters.sent == len(sent)
    channel.close()
    assert await server.read() == b""
