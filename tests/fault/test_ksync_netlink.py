"""The agent's connections to a real forwarder process over netlink, as to a kernel module."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from agent.cli import genetlink
from agent.cli.datapath_client import DatapathClient
from agent.errors import WireError
from agent.io.datapath import Address, Made, NetlinkAddress, P
from agent.io.datapath_reader import DatapathReader
from agent.io.flow_channel import FlowChannel
from agent.io.netlink import NetlinkTransport
from agent.ksync import Dumped, InSync, Lost
from agent.sandesh.vrouter import (
    SandeshOp,
    VrHugepageConfig,
    VrInterfaceReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
)
from agent.shm import FlowTable
from agent.shm.flow import FlowKey
from tests.fault.ksync_owner import Owner
from tests.fault.test_flow_channel import Flows, hold_by, talks, trap
from tests.unit.io.forwarders import forwarder, reading
from tests.unit.io.netlink_peer import FAMILY, needs_netlink_between_processes
from tests.unit.ksync import world as w


@pytest.fixture(autouse=True)
def allowed() -> None:
    needs_netlink_between_processes()


def at(run_dir: Path, **options: Any) -> NetlinkAddress:
    return NetlinkAddress(run_dir / "netlink_port", **options)


@asynccontextmanager
async def owning(address: Address, objects: list[Any], **options: Any) -> AsyncIterator[Owner]:
    owner = Owner(address, objects, **options)
    owner.connection.start()
    try:
        yield owner
    finally:
        await owner.connection.close()


def labels(last: VrMplsReq | None) -> VrMplsReq:
    return VrMplsReq(h_op=SandeshOp.DUMP, mr_marker=-1 if last is None else last.mr_label)


def nexthops(last: VrNexthopReq | None) -> VrNexthopReq:
    return VrNexthopReq(h_op=SandeshOp.DUMP, nhr_marker=-1 if last is None else last.nhr_id)


async def programmed(run_dir: Path) -> tuple[set[int], set[int]]:
    """Labels and nexthops that are there, by a connection of its own."""
    async with reading(at(run_dir)) as reader:
        return (
            {row.mr_label async for row in reader.dump(labels, VrMplsReq)},
            {row.nhr_id async for row in reader.dump(nexthops, VrNexthopReq)},
        )


WANTED = {23, 24, 27, 22}, {0, 1, 14, 15, 17, 18, 19, 20}


def test_in_sync_and_again_after_the_datapath_began_anew(tmp_path: Path) -> None:
    """A module just loaded: tables first, then everything; a dead one is noticed while idle."""

    async def scene() -> None:
        async with owning(at(tmp_path, probe_seconds=0.1), w.port()) as owner:
            async with forwarder(tmp_path, "--netlink") as process:
                await owner.until(lambda: owner.count(InSync) == 1)
                assert await programmed(tmp_path) == WANTED
                assert owner.session.counters.nacks.total() == 0
                process.kill()
                await owner.until(lambda: owner.count(Lost) == 1)
            async with forwarder(tmp_path, "--netlink", "40"):
                await owner.until(lambda: owner.count(InSync) == 2)
                assert await programmed(tmp_path) == WANTED
                assert owner.session.counters.nacks.total() == 0

    uvloop.run(scene())


async def test_an_agent_that_begins_anew_writes_nothing(tmp_path: Path) -> None:
    async with forwarder(tmp_path, "--netlink"):
        async with owning(at(tmp_path), w.port()) as first:
            await first.until(lambda: first.count(InSync) == 1)
        async with owning(at(tmp_path), w.port()) as second:
            await second.until(lambda: second.count(InSync) == 1)
            assert second.session.counters.writes.total() == 0
            assert second.session.counters.adopted == len(w.port())


class Watched:
    """An address that remembers the transport of its last connection."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.transport: asyncio.Transport | None = None

    async def connect(self, made: Made[P]) -> tuple[asyncio.Transport, P]:
        self.transport, protocol = await self.address.connect(made)
        return self.transport, protocol


async def test_answers_that_find_no_room_are_made_up_for(tmp_path: Path) -> None:
    """The datapath has executed what it could not answer to; the next dump shows it."""
    wanted = set(range(600))
    address = Watched(at(tmp_path, receive_buffer=8192))
    loop = asyncio.get_running_loop()
    async with (
        forwarder(tmp_path, "--netlink"),
        owning(address, [w.discard(i) for i in range(1, 600)], reply_timeout=2.0) as owner,
    ):
        await owner.until(lambda: owner.count(Dumped) == 1)
        transport = address.transport
        assert isinstance(transport, NetlinkTransport)
        loop.remove_reader(transport._socket)  # nothing was written before this
        async with asyncio.timeout(30):
            while (await programmed(tmp_path))[1] != wanted:
                pass
        if not transport.is_closing():
            loop.add_reader(transport._socket, transport._readable)
        await owner.until(lambda: owner.count(InSync) == 1)
        assert owner.count(Lost) >= 1
        assert owner.session.counters.resyncs >= 1
        assert (await programmed(tmp_path))[1] == wanted


async def test_an_overrun_that_the_kernel_tells_of_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between processes the kernel does not say so; that it does is in test_netlink.py."""
    collect = NetlinkTransport._collect
    address = at(tmp_path)

    def overrun(transport: NetlinkTransport) -> None:
        monkeypatch.setattr(NetlinkTransport, "_collect", collect)
        transport._counters.overruns += 1
        transport._end(OSError(errno.ENOBUFS, "no buffer space available"))

    async with forwarder(tmp_path, "--netlink"), owning(address, w.port()) as owner:
        await owner.until(lambda: owner.count(Dumped) == 1)
        monkeypatch.setattr(NetlinkTransport, "_collect", overrun)
        await owner.until(lambda: owner.count(InSync) == 1)
        assert owner.count(Lost) == 1
        assert owner.session.counters.overruns == 1
        assert await programmed(tmp_path) == WANTED


async def test_a_request_without_an_answer_does_not_stop_the_rest(tmp_path: Path) -> None:
    async with forwarder(tmp_path, "--netlink"):
        reader = DatapathReader(at(tmp_path), timeout=0.3, jitter=lambda: 0.0)
        reader.start()
        async with asyncio.timeout(20):
            while not reader.connected:
                await asyncio.sleep(0.005)
            with pytest.raises(WireError, match=r"did not answer within 0\.3 s"):
                await reader.get(VrMplsReq(h_op=99), VrMplsReq)
            while reader.tries.made < 2:
                await asyncio.sleep(0.005)
            limits = await reader.get(VrouterOps(h_op=SandeshOp.GET), VrouterOps)
        assert limits.vo_flow_entries == 1024
        assert reader.counters.late == 1
        await reader.close()


async def test_dumps_over_pages(tmp_path: Path) -> None:
    async with forwarder(tmp_path, "--netlink"), owning(at(tmp_path), w.port()) as owner:
        await owner.until(lambda: owner.count(InSync) == 1)
        async with reading(at(tmp_path)) as reader:
            row = await reader.get(VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=3), VrInterfaceReq)
            assert row.vifr_nh_id == 14


async def test_flows_are_set_up(tmp_path: Path) -> None:
    def hold() -> list[bytes]:
        port = int((tmp_path / "netlink_port").read_text())
        with DatapathClient(genetlink.connect(port), family=FAMILY) as client:
            client.request(VrHugepageConfig(vhp_op=SandeshOp.ADD).encode())
            return hold_by(client, 200)

    options = ("--flow-overflow", "1024")
    async with forwarder(tmp_path, "--netlink", *options):
        flows = Flows()
        channel = FlowChannel(at(tmp_path), flows, jitter=lambda: 0.0)
        channel.start()
        await flows.until(lambda: channel.connected)
        trap(flows, channel, await asyncio.to_thread(hold))
        await flows.until(lambda: flows.installed(200))
        with FlowTable.open(tmp_path / "flow.shmem", 1024) as table:
            for talk in talks(200):
                there = table.lookup(FlowKey.unpack(talk.key + b"\x14"))
                back = table.lookup(FlowKey.unpack(talk.reply.key + b"\x14"))
                assert there is not None
                assert back is not None
                assert (there.rflow, back.rflow) == (back.index, there.index)
        await channel.close()
