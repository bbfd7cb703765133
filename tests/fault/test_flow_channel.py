"""The flows' connection: to the real forwarder, to one that dies, is slow or talks nonsense."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent._fast.flow_pairs import FlowPairs
from agent._fast.packet import FrameBatch
from agent.cli.datapath_client import DatapathClient
from agent.errors import BugError
from agent.io.datapath import StreamAddress
from agent.io.flow_channel import FlowChannel
from agent.sandesh.vrouter import VrFlowReq, VrFlowResponse
from agent.shm import FlowAction, FlowTable
from agent.shm.flow import FlowKey
from tests.fault.control_scene import Runner
from tests.reference.flow_model import FlowModel
from tests.unit.flow.pairs_rig import ONE, TWO, VRF, Talk, world

ROOT = Path(__file__).parents[2]
MAIN, TOTAL = 1024, 2048


class Flows:
    """Pairs and nothing else, for the channel."""

    def __init__(self) -> None:
        self.pairs: FlowPairs | None = FlowPairs(world(), table_entries=TOTAL, timeout=1.0)
        self.turned = asyncio.Event()

    def turn(self, now: float) -> bool:
        self.turned.set()
        if self.pairs is None:
            return False
        self.pairs.tick(now)
        return self.pairs.turn(now)

    def deadline(self) -> float | None:
        return self.pairs.next_deadline() if self.pairs is not None else None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait from turn to turn until `condition` holds."""
        async with asyncio.timeout(30):
            while not condition():
                self.turned.clear()
                await self.turned.wait()

    def installed(self, count: int) -> bool:
        """Whether so many pairs are there, all of them installed."""
        assert self.pairs is not None
        numbers = self.pairs.pairs(0, TOTAL)
        states = {self.pairs.describe(number)["state"] for number in numbers}
        return len(numbers) == count and states <= {"installed"}


def talks(count: int) -> list[Talk]:
    return [Talk(ONE.address, TWO.address, sport=1000 + i) for i in range(count)]


def trap(flows: Flows, channel: FlowChannel, frames: list[bytes]) -> None:
    """Frames come in at pkt0."""
    assert flows.pairs is not None
    for start in range(0, len(frames), 64):
        batch = FrameBatch(64)
        batch.fill(frames[start : start + 64])
        assert flows.pairs.traps(batch, channel._clock()) == []
    channel.kick()


@asynccontextmanager
async def connected(path: Path, flows: Flows) -> AsyncIterator[FlowChannel]:
    channel = FlowChannel(StreamAddress(path), flows, jitter=lambda: 0.0)
    channel.start()
    try:
        await flows.until(lambda: channel.connected)
        yield channel
    finally:
        await channel.close()


def start_forwarder(run_dir: Path) -> subprocess.Popen[str]:
    options = ["--flow-entries", str(MAIN), "--flow-overflow", str(TOTAL - MAIN)]
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.forwarder", "--run-dir", str(run_dir), *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "serves" not in (line := process.stderr.readline()):
        assert line, "the forwarder ended"
    return process


def stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=20)


def hold_for_real(run_dir: Path, count: int) -> list[bytes]:
    """Held entries in the forwarder's table, and the traps that they would have led to."""
    with DatapathClient.connect(run_dir) as client:
        return hold_by(client, count)


def hold_by(client: DatapathClient, count: int) -> list[bytes]:
    frames = []
    for talk in talks(count):
        key = struct.unpack("<BBHHHIII", talk.key)
        family, proto, _, sport, dport, nexthop, source, destination = key
        request = VrFlowReq(
            fr_index=-1, fr_action=1, fr_flags=1, fr_rindex=-1, fr_family=family,
            fr_flow_sip_l=source, fr_flow_dip_l=destination, fr_flow_sport=sport,
            fr_flow_dport=dport, fr_flow_proto=proto, fr_flow_nh_id=nexthop, fr_flow_vrf=VRF,
        )  # fmt: skip
        made = client.get(request.encode(), VrFlowResponse)
        frames.append(talk.trap(made.fresp_index, made.fresp_gen_id))
    return frames


@pytest.fixture
def forwarder(tmp_path: Path) -> Iterator[Path]:
    process = start_forwarder(tmp_path / "run")
    yield tmp_path / "run"
    stop(process)


def test_flows_are_set_up_in_the_real_forwarder(forwarder: Path, run: Runner) -> None:
    async def scene() -> None:
        flows = Flows()
        async with connected(forwarder / "dpdk_netlink", flows) as channel:
            trap(flows, channel, await asyncio.to_thread(hold_for_real, forwarder, 200))
            await flows.until(lambda: flows.installed(200))
            with FlowTable.open(forwarder / "flow.shmem", MAIN) as table:
                for talk in talks(200):
                    there = table.lookup(FlowKey.unpack(talk.key + b"\x14"))
                    back = table.lookup(FlowKey.unpack(talk.reply.key + b"\x14"))
                    assert there is not None
                    assert back is not None
                    assert (there.action, back.action) == (FlowAction.FORWARD, FlowAction.FORWARD)
                    assert (there.rflow, back.rflow) == (back.index, there.index)

    run(scene())


def test_a_forwarder_that_dies_is_found_again(tmp_path: Path, run: Runner) -> None:
    async def scene() -> None:
        flows, run_dir = Flows(), tmp_path / "run"
        assert flows.pairs is not None
        process = await asyncio.to_thread(start_forwarder, run_dir)
        try:
            async with connected(run_dir / "dpdk_netlink", flows) as channel:
                trap(flows, channel, await asyncio.to_thread(hold_for_real, run_dir, 64))
                await flows.until(lambda: flows.pairs.in_flight > 0)
                await asyncio.to_thread(stop, process)
                await flows.until(lambda: not channel.connected)
                assert flows.pairs.in_flight == 0
                process = await asyncio.to_thread(start_forwarder, run_dir)
                flows.pairs.reset(channel._clock())
                await flows.until(lambda: channel.connected)
                trap(flows, channel, await asyncio.to_thread(hold_for_real, run_dir, 64))
                await flows.until(lambda: flows.installed(64))
                assert channel.tries.made >= 2
        finally:
            await asyncio.to_thread(stop, process)

    run(scene())


class Server:
    """A datapath on a socket: the model, reading `piece` bytes at a time."""

    def __init__(self, piece: int = 1 << 16, nonsense: int = 0) -> None:
        self.model = FlowModel(TOTAL)
        self.piece = piece
        self.nonsense = nonsense
        """How many clients are answered with what is no frame."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting = b""
        while data := await reader.read(self.piece):
            waiting += data
            whole = len(waiting) - len(waiting) % 300
            frames, waiting = waiting[:whole], waiting[whole:]
            for reply in self.model.serve(frames):
                writer.write(b"\xff" * 40 if self.nonsense else reply)
            if self.nonsense and frames:
                self.nonsense -= 1
                break
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(path: Path, server: Server) -> AsyncIterator[None]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    listener.bind(str(path))
    started = await asyncio.start_unix_server(server.serve, sock=listener)
    try:
        yield
    finally:
        started.close()


def hold(model: FlowModel, count: int) -> list[bytes]:
    """Traps of held entries of the model."""
    frames = []
    for talk in talks(count):
        place = model.packet(talk.key, talk.src_info, VRF)
        assert place is not None
        frames.append(talk.trap(*place))
    return frames


def test_a_slow_datapath_gets_everything_in_pieces(tmp_path: Path, run: Runner) -> None:
    async def scene() -> None:
        server, flows = Server(piece=117), Flows()
        async with (
            serving(tmp_path / "s", server),
            connected(tmp_path / "s", flows) as channel,
        ):
            trap(flows, channel, hold(server.model, 300)[:256])
            await flows.until(lambda: flows.installed(256))
            assert server.model.delivered == 256

    run(scene())


def test_nonsense_ends_the_connection_and_another_begins(tmp_path: Path, run: Runner) -> None:
    async def scene() -> None:
        server, flows = Server(nonsense=2), Flows()
        with capture_logs() as logs:
            async with (
                serving(tmp_path / "s", server),
                connected(tmp_path / "s", flows) as channel,
            ):
                trap(flows, channel, hold(server.model, 8))
                await flows.until(lambda: flows.installed(8))
                assert channel.tries.made == 3
        reasons = [entry["reason"] for entry in logs if "lost" in entry["event"]]
        assert reasons == ["the datapath's answers are no frames any more"] * 2

    run(scene())


def test_another_table_needs_another_connection(tmp_path: Path, run: Runner) -> None:
    """What was asked about the old one must not be answered to the new one."""

    async def scene() -> None:
        server, flows = Server(), Flows()
        async with (
            serving(tmp_path / "s", server),
            connected(tmp_path / "s", flows) as channel,
        ):
            trap(flows, channel, hold(server.model, 4))
            await flows.until(lambda: flows.installed(4))
            flows.pairs = FlowPairs(world(), table_entries=TOTAL)
            channel.kick()
            await flows.until(lambda: channel.tries.made == 2)
            server.model.reset()
            trap(flows, channel, hold(server.model, 4))
            await flows.until(lambda: flows.installed(4))

    run(scene())


def test_a_datapath_that_comes_late_is_waited_for(tmp_path: Path, run: Runner) -> None:
    async def scene() -> None:
        server, flows = Server(), Flows()
        channel = FlowChannel(StreamAddress(tmp_path / "s"), flows, jitter=lambda: 0.0)
        with capture_logs() as logs:
            channel.start()
            with pytest.raises(BugError, match="started already"):
                channel.start()
            async with asyncio.timeout(20):
                while channel.tries.failed < 2:
                    await asyncio.sleep(0.01)
            async with serving(tmp_path / "s", server):
                await flows.until(lambda: channel.connected)
                await channel.close()
        assert not channel.connected
        assert [entry["reason"] for entry in logs] == ["No such file or directory"]

    run(scene())
