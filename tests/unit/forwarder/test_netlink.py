"""The family of the kernel's module, served by a process: byte for byte as it was recorded."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.rt_monitor import routes_of
from agent.forwarder.__main__ import main
from agent.forwarder.module import ModuleStart
from agent.forwarder.netlink import FAMILY, GROUP, NetlinkServer
from agent.forwarder.replies import Replies, ack, found
from agent.io import netlink_sockets
from agent.sandesh.framing import NLMSG_ERROR, read_frames, request_frame
from agent.sandesh.genetlink import family_request
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrBridgeTableData,
    VrFlowReq,
    VrFlowTableData,
    VrHugepageConfig,
    VrMplsReq,
    VrResponse,
    VrRouteReq,
    decode_messages,
    encode_many,
)
from tests.unit.io.netlink_peer import needs_netlink_between_processes

VECTORS = Path(__file__).parents[2] / "vectors"


def rows(name: str) -> list[Any]:
    return [json.loads(line) for line in (VECTORS / name).read_text().splitlines()]


def conversations() -> dict[str, tuple[bytes, list[bytes]]]:
    """Request and datagrams of the answer, of each recorded exchange with a module."""
    found: dict[int, tuple[str, list[bytes], list[bytes]]] = {}
    for row in rows("kernel-captures.jsonl"):
        if row.get("dir") in ("tx", "rx"):
            _, sent, got = found.setdefault(row["conversation"], (row["what"], [], []))
            (sent if row["dir"] == "tx" else got).append(bytes.fromhex(row["hex"]))
    # The request for the family has the number of the first exchange too.
    return {
        f"{number} {what}": (request, [data for data in got if data[8:12] == request[8:12]])
        for number, (what, sent, got) in found.items()
        for request in sent
        if request[4:6] != b"\x10\x00"
    }


CONVERSATIONS = conversations()


class Client:
    """One client of a server in this process."""

    def __init__(self, server: NetlinkServer, receive_buffer: int = 1 << 20) -> None:
        generic = netlink_sockets.GENERIC
        self.socket = netlink_sockets.connect(generic, server.port, receive_buffer)
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[0]

    async def ask(self, request: bytes, parts: int) -> list[bytes]:
        """The datagrams of the answer, and that no more come."""
        self.socket.send(request)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            found = [await loop.sock_recv(self.socket, 1 << 17) for _ in range(parts)]
        self.nothing_more()
        return found

    def nothing_more(self) -> None:
        with pytest.raises(BlockingIOError):
            self.socket.recv(1)

    async def silence(self, request: bytes) -> None:
        """It is not answered, but what is asked afterwards is."""
        self.socket.send(request)
        (described,) = await self.ask(family_request("vrouter", 77), 1)
        assert struct.unpack_from("=I", described, 8) == (77,)


class Scene:
    def __init__(self, path: Path) -> None:
        self.payloads: list[bytes] = []
        self.replies: Replies = ack()
        self.greeted = 0
        self.server = NetlinkServer(path, self._answer, self._greet, receive_buffer=1 << 18)

    def _answer(self, payload: bytes) -> Replies:
        self.payloads.append(payload)
        return self.replies

    def _greet(self) -> None:
        self.greeted += 1


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    needs_netlink_between_processes()
    made = Scene(tmp_path / "netlink_port")
    await made.server.start()
    yield made
    await made.server.stop()


def at_port(data: bytes, port: int) -> bytes:
    """A recorded answer, to the port id of ours."""
    return data[:12] + struct.pack("=I", port) + data[16:]


# --- recorded bytes


async def test_the_family_is_described_as_the_module_does(scene: Scene) -> None:
    asked, answered = (
        bytes.fromhex(row["hex"])
        for row in rows("kernel-captures.jsonl")
        if row["what"] == "getfamily"
    )
    client = Client(scene.server)
    assert await client.ask(asked, 1) == [at_port(answered, client.port)]
    assert scene.greeted == 1
    await client.ask(asked, 1)
    assert scene.greeted == 1
    await Client(scene.server).ask(asked, 1)
    assert scene.greeted == 2


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_recorded_exchanges(scene: Scene, name: str) -> None:
    """The module's payloads, framed here, are the module's datagrams."""
    request, answer = CONVERSATIONS[name]
    data = [each for each in answer if each[4:6] != b"\x03\x00"]
    scene.replies = [each[24 : 24 + struct.unpack_from("=H", each, 20)[0]] for each in data]
    client = Client(scene.server)
    if not answer:
        await client.silence(request)
    else:
        got = await client.ask(request, len(answer))
        assert got == [at_port(each, client.port) for each in answer]
    assert scene.payloads == [request[24:]]


async def test_every_golden_request_is_understood(scene: Scene) -> None:
    client = Client(scene.server)
    golden = [row for row in rows("sandesh-frames.jsonl") if row["dir"] == "request"]
    assert len(golden) >= 7
    for row in golden:
        frame = bytes.fromhex(row["frames"][0])
        alone = [message["struct"] for message in row["messages"]] == ["vr_route_req"]
        await client.ask(frame[:4] + struct.pack("=H", FAMILY) + frame[6:], 1 + alone)
        names = [message.NAME for message in decode_messages(scene.payloads[-1])]
        assert names == [message["struct"] for message in row["messages"]]


async def test_every_golden_answer_is_given(scene: Scene) -> None:
    client = Client(scene.server)
    golden = [row for row in rows("sandesh-frames.jsonl") if row.get("transport") == "kernel"]
    assert len(golden) == 6
    for row in golden:
        frames = [bytes.fromhex(frame) for frame in row["frames"]]
        parts = [each for each in frames if len(each) > 16]
        scene.replies = [each[24 : 24 + struct.unpack_from("=H", each, 20)[0]] for each in parts]
        request = request_frame(VrMplsReq().encode(), family=FAMILY, seq=row["seq"], pid=0)
        got = await client.ask(request, len(frames))
        same_family = [
            each[:4] + (each[4:6] if len(each) == 16 else struct.pack("=H", FAMILY)) + each[6:]
            for each in frames
        ]
        assert got == [at_port(each, client.port) for each in same_family]


async def test_a_refused_route_is_not_announced(scene: Scene) -> None:
    scene.replies = ack(-errno.EINVAL)
    request = request_frame(VrRouteReq().encode(), family=FAMILY, seq=1, pid=0)
    (answer,) = await Client(scene.server).ask(request, 1)
    assert not read_frames(answer)[0].more


# --- the group that is told of routes


def listener(receive_buffer: int = 1 << 20) -> socket.socket:
    made = netlink_sockets.connect(netlink_sockets.GENERIC, receive_buffer=receive_buffer)
    made.setsockopt(270, 1, GROUP)
    made.setblocking(False)
    return made


async def test_routes_that_were_made_are_announced(scene: Scene) -> None:
    scene.replies = [*ack(0), *ack(0), *ack(-errno.EINVAL), *ack(0), *ack(0)]
    routes = [VrRouteReq(h_op=SandeshOp(op), rtr_vrf_id=op) for op in (2, 0, 3)]
    messages = [VrMplsReq(), routes[0], routes[1], routes[1], routes[2]]
    request = request_frame(encode_many(messages), family=FAMILY, seq=3, pid=0)
    with listener() as listening:
        await Client(scene.server).ask(request, 6)
        told = [listening.recv(1 << 16) for _ in range(2)]
        with pytest.raises(BlockingIOError):
            listening.recv(1)
    for data, route in zip(told, (routes[0], routes[1]), strict=True):
        payload = ack(0)[0] + route.encode()
        assert (
            data
            == struct.pack(
                "=IHHIIBBHHH", 24 + len(payload), FAMILY, 0, 0, 0, 1, 0, 0, 4 + len(payload), 1
            )
            + payload
        )
        assert list(routes_of(data)) == [route]


async def test_a_listener_without_room_is_told_that_it_lost_some(scene: Scene) -> None:
    request = request_frame(VrRouteReq().encode(), family=FAMILY, seq=3, pid=0)
    with listener(receive_buffer=2048) as listening:
        client = Client(scene.server)
        for _ in range(40):
            await client.ask(request, 2)
        with pytest.raises(OSError, match="No buffer space") as lost:
            listening.recv(1 << 16)
        assert lost.value.errno == errno.ENOBUFS


# --- what the kernel refuses itself


def changed(request: bytes, offset: int, value: bytes) -> bytes:
    return request[:offset] + value + request[offset + len(value) :]


REQUEST = request_frame(VrMplsReq().encode(), family=FAMILY, seq=3, pid=0)


@pytest.mark.parametrize(
    ("request_", "number"),
    [
        (changed(REQUEST, 4, b"\x63\0"), errno.ENOENT),
        (changed(REQUEST, 16, b"\x02"), errno.EOPNOTSUPP),
        (changed(REQUEST, 22, b"\x02\0"), errno.EINVAL),
        (changed(REQUEST, 20, b"\x03\0"), errno.EINVAL),
        (changed(REQUEST, 20, b"\xff\xff"), errno.EINVAL),
        (changed(REQUEST[:20], 0, b"\x14\0"), errno.EINVAL),
        (family_request("vrouter2", 3), errno.ENOENT),
        (changed(family_request("vrouter", 3), 16, b"\x09"), errno.ENOENT),
    ],
)
async def test_refusals(scene: Scene, request_: bytes, number: int) -> None:
    client = Client(scene.server)
    (answer,) = await client.ask(request_, 1)
    (frame,) = read_frames(answer[: struct.unpack_from("=I", answer)[0]])
    assert (frame.type, frame.seq, frame.pid) == (NLMSG_ERROR, 3, client.port)
    assert struct.unpack_from("=i", frame.payload) == (-number,)
    assert frame.payload[4:] == request_
    assert scene.payloads == []


@pytest.mark.parametrize(
    "request_",
    [
        changed(REQUEST, 6, b"\0\0"),
        changed(REQUEST, 4, b"\x01\0"),
        REQUEST[:10],
        changed(REQUEST, 0, b"\xff\xff\xff\x7f"),
    ],
)
async def test_what_is_no_request_is_passed_over(scene: Scene, request_: bytes) -> None:
    await Client(scene.server).silence(request_)
    assert scene.payloads == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([b"", REQUEST[:6], REQUEST[:22]]))
def test_any_bytes_are_refused_or_passed_over(data: bytes, start: bytes) -> None:
    needs_netlink_between_processes()
    server = NetlinkServer(Path("/never/written"), lambda _: ack())
    taker, giver = (
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_sockets.GENERIC) for _ in range(2)
    )
    with taker, giver:
        taker.bind((0, 0))
        taker.setblocking(False)
        giver.bind((0, 0))
        server._socket = taker
        sized = start and struct.pack("=I", len(start + data)) + (start + data)[4:]
        giver.sendto(sized or data or b"\0", (server.port, 0))
        server._readable()
        giver.sendto(REQUEST, (server.port, 0))
        server._readable()
        got = giver.recv(1 << 16)
        while got[4:6] != REQUEST[4:6]:
            got = giver.recv(1 << 16)


async def test_several_requests_in_one_datagram(scene: Scene) -> None:
    padded = REQUEST + bytes(-len(REQUEST) % 4)
    assert len(await Client(scene.server).ask(padded + REQUEST, 2)) == 2


async def test_a_reply_without_room_is_lost(scene: Scene) -> None:
    client = Client(scene.server, receive_buffer=2048)
    for _ in range(20):
        client.socket.send(REQUEST)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        while len(scene.payloads) < 20:
            await asyncio.sleep(0)
        got = 0
        while scene.server.lost + got < 20:
            await loop.sock_recv(client.socket, 1 << 16)
            got += 1
    assert scene.server.lost > 0
    client.nothing_more()
    assert len(await client.ask(REQUEST, 1)) == 1


async def test_the_port_is_told_while_it_serves(tmp_path: Path) -> None:
    server = NetlinkServer(tmp_path / "netlink_port", lambda _: ack())
    await server.start()
    assert (tmp_path / "netlink_port").read_text() == f"{server.port}\n"
    await server.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_family_number_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--netlink", "16"])
    assert "families have numbers from 17" in capsys.readouterr().err


# --- how a module begins


def answered(module: ModuleStart, *messages: Any) -> list[Any]:
    replies = module.answer(encode_many(messages))
    return [each for reply in replies for each in decode_messages(reply)]


ASK_FLOW = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET)
ASK_BRIDGE = VrBridgeTableData(btable_op=SandeshOp.GET)
FLOWS = VrFlowTableData(ftable_op=2, ftable_size=161_218_560, ftable_file_path="/flow")
BRIDGES = VrBridgeTableData(btable_op=1, btable_size=20_185_088, btable_file_path="/bridge")
TABLES = {ASK_FLOW.encode(): found(FLOWS), ASK_BRIDGE.encode(): found(BRIDGES)}


def test_a_module_has_no_tables_before_it_is_told_of_huge_pages() -> None:
    seen: list[bytes] = []

    def then(payload: bytes) -> Replies:
        seen.append(payload)
        return TABLES.get(payload, ack())

    module = ModuleStart(then, lambda _: -2)
    for asked, told in ((ASK_FLOW, FLOWS), (ASK_BRIDGE, BRIDGES)):
        name = "ftable" if asked is ASK_FLOW else "btable"
        absent = {f"{name}_dev": 65535, f"{name}_file_path": ""}
        assert answered(module, asked)[1] == told.replace(**absent)
    refused = VrResponse(h_op=SandeshOp.RESPONSE, resp_code=-errno.EINVAL)
    assert answered(module, VrRouteReq(), VrFlowReq()) == [refused, refused]
    assert answered(module, VrRouteReq(h_op=SandeshOp.DUMP)) == [VrResponse(h_op=4)]
    code, pages = answered(module, VrHugepageConfig(vhp_op=SandeshOp.ADD))
    assert (code.resp_code, pages.vhp_resp) == (0, 0xFFFFFFFE)
    del seen[:]
    assert answered(module, VrRouteReq()) == [VrResponse(h_op=4)]
    assert seen == [VrRouteReq().encode()]


def test_a_module_answers_what_it_cannot_read() -> None:
    module = ModuleStart(lambda _: ack(), lambda _: -2)
    assert module.answer(VrMplsReq().encode()[:-1]) == ack(-1)


def test_the_module_started_in_one_request() -> None:
    module = ModuleStart(lambda _: ack(7), lambda _: 0)
    config = VrHugepageConfig(vhp_op=SandeshOp.ADD)
    codes = [each.resp_code for each in answered(module, VrRouteReq(), config, VrRouteReq())
             if isinstance(each, VrResponse)]  # fmt: skip
    assert codes == [-errno.EINVAL, 0, 7]
