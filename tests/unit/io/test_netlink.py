"""The netlink transport: against this kernel, and against a process in its place."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import WireError
from agent.io import netlink_sockets
from agent.io.datapath import (
    FirstAddress,
    NetlinkAddress,
    StreamAddress,
    datapath_address,
)
from agent.io.netlink import RECEIVE_BUFFER, NetlinkTransport
from agent.io.platforms import in_kernel, is_served
from agent.ksync.bulk import WINDOW
from agent.sandesh.framing import kernel_reply_frames, request_frame
from agent.sandesh.genetlink import family_request
from agent.telemetry.wires import NetlinkCounters
from tests.unit.io.netlink_peer import FAMILY, Peer, needs_netlink_between_processes


class Taker(asyncio.Protocol):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.data = b""
        self.paused = 0
        self.resumed = 0
        self.problem: Exception | None = None
        self._changed = asyncio.Event()
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._changed.set()

    def pause_writing(self) -> None:
        self.paused += 1

    def resume_writing(self) -> None:
        self.resumed += 1
        self._changed.set()

    def connection_lost(self, problem: Exception | None) -> None:
        self.problem = problem
        self.lost.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def peer() -> Iterator[Peer]:
    needs_netlink_between_processes()
    made = Peer()
    yield made
    made.close()


@pytest.fixture
def address(peer: Peer, tmp_path: Path) -> NetlinkAddress:
    file = tmp_path / "netlink_port"
    file.write_text(f"{peer.port}\n")
    return NetlinkAddress(file)


@pytest.fixture
async def opened(
    peer: Peer, address: NetlinkAddress
) -> AsyncIterator[tuple[asyncio.Transport, Taker]]:
    transport, taker = await connect(peer, address)
    yield transport, taker
    transport.abort()


async def readable(peer: Peer) -> None:
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(peer.socket, there.set)
    try:
        async with asyncio.timeout(10):
            await there.wait()
    finally:
        loop.remove_reader(peer.socket)


async def connect(peer: Peer, address: NetlinkAddress) -> tuple[asyncio.Transport, Taker]:
    connecting = asyncio.ensure_future(address.connect(Taker))
    await readable(peer)
    assert peer.describe() == family_request("vrouter")
    return await connecting


def request(seq: int, size: int = 30) -> bytes:
    return request_frame(bytes(size), family=24, seq=seq, pid=7)


# --- this kernel


async def test_the_number_of_a_family_that_every_kernel_has() -> None:
    transport, _ = await NetlinkAddress(family="nlctrl").connect(Taker)
    assert isinstance(transport, NetlinkTransport)
    assert transport._family.result() == 16
    transport.close()


def test_no_such_module_on_uvloop() -> None:
    async def scene() -> None:
        with pytest.raises(OSError, match="modprobe vrouter-absent") as refused:
            await NetlinkAddress(family="vrouter-absent").connect(Taker)
        assert refused.value.errno == errno.ENOENT

    uvloop.run(scene())


async def test_an_answer_that_the_kernel_had_to_drop_ends_the_connection() -> None:
    counters = NetlinkCounters()
    transport = NetlinkTransport(counters, "nlctrl", receive_buffer=2048)
    await transport.open()
    taker = Taker()
    transport.serve(taker)
    for _ in range(100):
        transport._socket.send(family_request("nlctrl"))
    async with asyncio.timeout(10):
        await taker.lost.wait()
    assert isinstance(taker.problem, OSError)
    assert taker.problem.errno == errno.ENOBUFS
    assert counters.overruns == 1
    assert transport.is_closing()


# --- a process in the kernel's place


async def test_requests_go_one_a_datagram_with_the_number_of_the_family(
    peer: Peer, opened: tuple[asyncio.Transport, Taker]
) -> None:
    transport, _ = opened
    transport.write(request(1) + request(2, 33))
    for seq, size in ((1, 30), (2, 33)):
        data, _ = peer.take()
        assert data == request_frame(bytes(size), family=FAMILY, seq=seq, pid=7)


async def test_what_is_no_whole_frame_is_not_sent(opened: tuple[asyncio.Transport, Taker]) -> None:
    with pytest.raises(WireError, match="no whole request"):
        opened[0].write(request(1)[:-1])


async def test_answers_become_a_stream_without_netlinks_own(
    peer: Peer, opened: tuple[asyncio.Transport, Taker]
) -> None:
    transport, taker = opened
    transport.write(request(5))
    _, sender = peer.take()
    parts = kernel_reply_frames([b"12345", b"1234"], family=FAMILY, seq=5, pid=sender[0])
    noop = bytes((16, 0, 0, 0, 1)) + bytes(11)
    for datagram in (noop, parts[0], parts[1] + parts[2], noop + parts[2]):
        peer.socket.sendto(datagram, sender)
    await taker.until(lambda: len(taker.data) >= sum(map(len, parts)) + 16)
    assert taker.data == b"".join((*parts, parts[2]))


async def test_a_message_that_says_it_is_longer_ends_the_connection(
    peer: Peer, opened: tuple[asyncio.Transport, Taker]
) -> None:
    transport, taker = opened
    transport.write(request(5))
    _, sender = peer.take()
    peer.socket.sendto((99).to_bytes(4, "little") + bytes(20), sender)
    async with asyncio.timeout(10):
        await taker.lost.wait()
    assert isinstance(taker.problem, WireError)


async def test_a_full_buffer_of_the_peer_is_waited_for(address: NetlinkAddress) -> None:
    small = Peer(receive_buffer=4096)
    assert address.port_file is not None
    address.port_file.write_text(str(small.port))
    transport, taker = await connect(small, address)
    many = 400
    transport.set_write_buffer_limits(high=1000)
    transport.write(b"".join(request(seq, 1000) for seq in range(many)))
    assert taker.paused == 1
    got: list[bytes] = []
    async with asyncio.timeout(10):
        while len(got) < many:
            await readable(small)
            while len(got) < many:
                try:
                    got.append(small.take()[0])
                except BlockingIOError:
                    break
    await taker.until(lambda: taker.resumed == 1)
    assert [int.from_bytes(each[8:12], "little") for each in got] == list(range(many))
    assert address.counters.waits > 0
    assert transport.get_write_buffer_size() == 0
    transport.abort()
    small.close()


async def test_a_peer_that_ended_is_noticed_without_traffic(peer: Peer) -> None:
    transport = NetlinkTransport(NetlinkCounters(), "vrouter", peer.port, probe_seconds=0.02)
    opening = asyncio.ensure_future(transport.open())
    await readable(peer)
    peer.describe()
    await opening
    taker = Taker()
    transport.serve(taker)
    peer.close()
    async with asyncio.timeout(10):
        await taker.lost.wait()
    assert isinstance(taker.problem, ConnectionRefusedError)


@pytest.mark.parametrize("how", ["another number", "refused"])
async def test_a_module_that_was_loaded_again_is_noticed(peer: Peer, how: str) -> None:
    transport = NetlinkTransport(NetlinkCounters(), "vrouter", peer.port, probe_seconds=0.02)
    opening = asyncio.ensure_future(transport.open())
    await readable(peer)
    peer.describe()
    await opening
    taker = Taker()
    transport.serve(taker)
    await readable(peer)
    if how == "refused":
        peer.refuse(errno.ENOENT)
    else:
        peer.describe(FAMILY + 1)
    async with asyncio.timeout(10):
        await taker.lost.wait()
    assert isinstance(taker.problem, OSError)
    assert taker.problem.errno == (errno.ENOENT if how == "refused" else errno.ENETRESET)


# --- where the datapath is


async def test_nobody_has_the_port(address: NetlinkAddress, peer: Peer) -> None:
    peer.close()
    with pytest.raises(ConnectionRefusedError):
        await address.connect(Taker)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "4294967296", "\udcff"])
async def test_a_file_without_a_port(tmp_path: Path, text: str) -> None:
    file = tmp_path / "netlink_port"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(OSError, match="expected a netlink port id"):
        await NetlinkAddress(file).connect(Taker)


async def test_the_first_place_that_answers_is_kept(
    peer: Peer, address: NetlinkAddress, tmp_path: Path
) -> None:
    socket = tmp_path / "socket"
    both = FirstAddress((StreamAddress(socket), address))
    connecting = asyncio.ensure_future(both.connect(Taker))
    await readable(peer)
    peer.describe()
    transport, _ = await connecting
    transport.abort()
    server = await asyncio.start_unix_server(lambda *_: None, str(socket))
    peer.close()
    with pytest.raises(ConnectionRefusedError):
        await both.connect(Taker)
    server.close()
    assert str(both) == str(address)


async def test_no_place_answers(tmp_path: Path) -> None:
    both = FirstAddress((StreamAddress(tmp_path / "a"), NetlinkAddress(tmp_path / "b")))
    with pytest.raises(OSError, match=r"/a: No such file or directory; .*/b: No such file"):
        await both.connect(Taker)


def test_places_by_platform(tmp_path: Path) -> None:
    socket = StreamAddress(tmp_path / "dpdk_netlink")
    assert datapath_address("dpdk", tmp_path) == socket
    assert datapath_address("nic", tmp_path) == socket
    process = f"netlink port of {tmp_path}/netlink_port"
    for platform in ("kernel", "host"):
        assert str(datapath_address(platform, tmp_path)) == f"{process} or kernel vrouter"
    assert str(datapath_address("", tmp_path)) == f"{socket} or {process}"
    assert [in_kernel(name) for name in ("kernel", "host", "dpdk", "")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_who_serves_a_run_directory(tmp_path: Path) -> None:
    assert not is_served(tmp_path)
    (tmp_path / "netlink_port").touch()
    assert is_served(tmp_path)


# --- however datagrams are cut


async def test_a_stranger_cannot_answer(
    peer: Peer, opened: tuple[asyncio.Transport, Taker]
) -> None:
    transport, taker = opened
    transport.write(request(5))
    _, sender = peer.take()
    (answer,) = kernel_reply_frames([b"12345678"], family=FAMILY, seq=5, pid=sender[0])
    stranger = Peer()
    with pytest.raises(ConnectionRefusedError):
        stranger.socket.sendto(answer, sender)
    stranger.close()
    peer.socket.sendto(answer, sender)
    await taker.until(lambda: len(taker.data) >= len(answer))
    assert taker.data == answer


@given(
    payloads=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8),
    cuts=st.lists(st.booleans(), min_size=20, max_size=20),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_parts_of_an_answer_may_share_datagrams(payloads: list[bytes], cuts: list[bool]) -> None:
    """Several messages in one datagram, as the kernel may send them, or one in each."""
    needs_netlink_between_processes()

    async def scene() -> None:
        peer, loop = Peer(), asyncio.get_running_loop()
        transport = NetlinkTransport(NetlinkCounters(), "vrouter", peer.port)
        opening = loop.create_task(transport.open())
        await readable(peer)
        peer.describe()
        await opening
        taker = Taker()
        transport.serve(taker)
        transport.write(request(5))
        _, sender = peer.take()
        parts = kernel_reply_frames(payloads, family=FAMILY, seq=5, pid=sender[0])
        waiting = b""
        for part, cut in zip(parts, cuts, strict=False):
            waiting += part + bytes(-len(part) % 4)
            if cut:
                peer.socket.sendto(waiting, sender)
                waiting = b""
        if waiting:
            peer.socket.sendto(waiting, sender)
        await taker.until(lambda: len(taker.data) >= sum(map(len, parts)))
        assert taker.data == b"".join(parts)
        transport.abort()
        peer.close()

    asyncio.run(scene())


# --- room for answers


def room(size: int) -> int:
    with netlink_sockets.connect(netlink_sockets.GENERIC, receive_buffer=size) as made:
        return made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # the kernel doubles it


@pytest.mark.skipif(os.geteuid() != 0, reason="more than the host's limit needs CAP_NET_ADMIN")
def test_the_receive_buffer_may_be_larger_than_the_hosts_limit() -> None:
    limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
    assert room(4 * limit) == 4 * limit


async def test_a_connection_has_room_for_a_window_of_answers(
    opened: tuple[asyncio.Transport, Taker],
) -> None:
    made = opened[0].get_extra_info("socket")
    got = made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
    assert got == (RECEIVE_BUFFER if os.geteuid() == 0 else min(RECEIVE_BUFFER, limit))
    assert got >= 768 * WINDOW


def test_without_the_right_to_force_it_the_buffer_is_as_large_as_the_limit_lets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The option that forces a size is one that nobody may set, in its place."""
    real = socket.socket.setsockopt

    def refuse(made: socket.socket, level: int, option: int, value: int) -> None:
        if option == netlink_sockets._SO_RCVBUFFORCE:
            raise PermissionError(errno.EPERM, "not permitted")
        real(made, level, option, value)

    monkeypatch.setattr(socket.socket, "setsockopt", refuse)
    limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
    assert room(4 * limit) == limit
