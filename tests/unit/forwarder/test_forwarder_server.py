"""The control socket with real clients: fair, bounded, deaf to nonsense."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.forwarder import server as server_module
from agent.forwarder.replies import Replies
from agent.forwarder.server import MAX_CLIENTS, ControlServer
from agent.sandesh.framing import Frame, FrameReader, request_frame


def echo(payload: bytes) -> Replies:
    """Requests of the form `count:size` get that many replies of that size."""
    count, size = map(int, payload.split(b":"))
    return [b"r" * size for _ in range(count)]


class Client:
    """A client on the running loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._frames = FrameReader()
        self._got: list[Frame] = []

    def ask(self, text: str, seq: int = 0, family: int = 24) -> None:
        self.writer.write(request_frame(text.encode(), family=family, seq=seq, pid=7))

    async def reply(self) -> list[Frame]:
        """Frames up to the one without MULTI."""
        taken: list[Frame] = []
        while True:
            while self._got:
                taken.append(self._got.pop(0))
                if not taken[-1].more:
                    return taken
            data = await self.reader.read(1 << 16)
            if not data:
                raise EOFError
            self._frames.feed(data)
            self._got += list(self._frames)

    async def ended(self) -> bool:
        """Has the server closed the connection?"""
        try:
            return not await self.reader.read()
        except ConnectionResetError:
            return True


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(tmp_path / "dpdk_netlink", echo)
    await server.start()
    yield server
    await server.stop()


async def connect(tmp_path: Path) -> Client:
    return Client(*await asyncio.open_unix_connection(str(tmp_path / "dpdk_netlink")))


async def test_replies_echo_type_and_sequence_and_mark_all_but_the_last(
    serving: ControlServer, tmp_path: Path
) -> None:
    client = await connect(tmp_path)
    client.ask("3:5", seq=77, family=32)
    frames = await client.reply()
    assert [(frame.type, frame.flags, frame.seq, frame.pid) for frame in frames] == [
        (32, 2, 77, 0),
        (32, 2, 77, 0),
        (32, 0, 77, 0),
    ]
    assert {frame.payload for frame in frames} == {b"rrrrr"}


async def test_a_request_without_an_answer_is_passed_over(
    serving: ControlServer, tmp_path: Path
) -> None:
    client = await connect(tmp_path)
    client.ask("0:0", seq=1)
    client.ask("1:1", seq=2)
    assert [frame.seq for frame in await client.reply()] == [2]


async def test_requests_may_come_byte_by_byte_or_many_at_once(
    serving: ControlServer, tmp_path: Path
) -> None:
    client = await connect(tmp_path)
    for byte in request_frame(b"2:9", family=24, seq=5, pid=0):
        client.writer.write(bytes((byte,)))
        await client.writer.drain()
    assert [frame.seq for frame in await client.reply()] == [5, 5]
    for seq in range(50):
        client.ask("1:3", seq=seq)
    assert [(await client.reply())[0].seq for _ in range(50)] == list(range(50))


async def test_low_types_carry_the_same_headers(serving: ControlServer, tmp_path: Path) -> None:
    """The agent uses number 10 for a moment at its start."""
    client = await connect(tmp_path)
    client.ask("1:4", family=10)
    client.ask("1:4", family=24)
    reply = await client.reader.readexactly(28)
    assert struct.unpack_from("=IHH", reply) == (28, 10, 0)
    assert [frame.type for frame in await client.reply()] == [24]


@pytest.mark.parametrize(
    "garbage",
    [
        bytes(64),
        b"\xff" * 64,
        struct.pack("=IHHII", 0x7FFFFFFF, 24, 1, 0, 0),
        struct.pack("=IHHII", 3, 24, 1, 0, 0),
        struct.pack("=IHHII", (1 << 17) + 1, 24, 1, 0, 0),
    ],
    ids=["zeros", "ones", "2 GiB", "too short", "too long"],
)
async def test_a_client_that_lost_its_step_is_closed_and_nobody_else(
    serving: ControlServer, tmp_path: Path, garbage: bytes
) -> None:
    good, bad = await connect(tmp_path), await connect(tmp_path)
    bad.writer.write(garbage)
    assert await bad.ended()
    good.ask("1:1", seq=9)
    assert [frame.seq for frame in await good.reply()] == [9]


async def test_a_client_that_leaves_in_the_middle_of_a_frame(
    serving: ControlServer, tmp_path: Path
) -> None:
    client = await connect(tmp_path)
    client.writer.write(request_frame(b"1:1", family=24, seq=0, pid=0)[:20])
    client.writer.close()
    await client.writer.wait_closed()
    after = await connect(tmp_path)
    after.ask("1:1")
    assert len(await after.reply()) == 1


async def test_a_client_that_never_reads_stops_nobody(
    serving: ControlServer, tmp_path: Path
) -> None:
    deaf, good = await connect(tmp_path), await connect(tmp_path)
    for seq in range(500):
        deaf.ask("1:60000", seq=seq)
    for seq in range(20):
        good.ask("1:10", seq=seq)
        assert [frame.seq for frame in await good.reply()] == [seq]
    # And once it reads, it gets everything that it asked for, in order.
    assert [(await deaf.reply())[0].seq for _ in range(500)] == list(range(500))


async def test_a_client_that_needs_too_much_output_is_closed(
    serving: ControlServer, tmp_path: Path
) -> None:
    greedy, good = await connect(tmp_path), await connect(tmp_path)
    greedy.ask("400:60000")
    good.ask("1:1", seq=3)
    assert [frame.seq for frame in await good.reply()] == [3]
    with pytest.raises((EOFError, ConnectionResetError)):
        await greedy.reply()


async def test_a_client_that_takes_nothing_in_time_is_closed(
    serving: ControlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STALL_SECONDS", 0.05)
    path = str(tmp_path / "dpdk_netlink")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(path)
        for seq in range(20):
            deaf.sendall(request_frame(b"1:60000", family=24, seq=seq, pid=0))
        async with asyncio.timeout(10):
            while serving.clients:
                await asyncio.sleep(0)
        assert serving.clients == 0


async def test_63_clients_and_no_more(serving: ControlServer, tmp_path: Path) -> None:
    clients = [await connect(tmp_path) for _ in range(MAX_CLIENTS)]
    for client in clients:
        client.ask("1:1")
        await client.reply()
    one_more = await connect(tmp_path)
    assert await one_more.ended()
    clients[0].writer.close()
    async with asyncio.timeout(10):
        while serving.clients == MAX_CLIENTS:
            await asyncio.sleep(0)
    again = await connect(tmp_path)
    again.ask("1:1")
    assert len(await again.reply()) == 1
    for client in clients[1:]:
        client.writer.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as another user")
async def test_other_users_are_refused(serving: ControlServer, tmp_path: Path) -> None:
    path = tmp_path / "dpdk_netlink"
    path.chmod(0o777)
    tmp_path.chmod(0o711)
    child = os.fork()
    if child == 0:
        os._exit(stranger(path))
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def stranger(path: Path) -> int:
    """In a child: 0 if the server closes at once on a client of another user."""
    try:
        os.chdir(path.parent)  # while we still may
        os.setresuid(65534, 65534, 65534)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path.name)
            client.settimeout(10)
            return len(client.recv(1))
    except OSError:
        return 2


async def test_the_socket_is_private_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "dpdk_netlink"
    path.touch()  # what a process that was killed left behind
    server = ControlServer(path, echo)
    await server.start()
    assert path.is_socket()
    assert path.stat().st_mode & 0o777 == 0o660
    client = await connect(tmp_path)
    client.ask("1:1")
    await client.reply()
    await server.stop()
    assert await client.ended()
    assert not path.exists()
