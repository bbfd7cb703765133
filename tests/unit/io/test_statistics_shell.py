"""The rounds of sampling: of a real forwarder, and of a datapath that is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DatapathError, WireError
from agent.io import process
from agent.io.datapath import StreamAddress
from agent.io.statistics import StatisticsShell
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrDropStatsReq,
    VrInterfaceReq,
    VrVrfStatsReq,
)
from agent.settings import parse
from agent.telemetry import Datapath
from tests.unit.io.forwarders import forwarder, reading
from tests.unit.telemetry.node_world import NodeWorld

VIFS = 23


class Scripted:
    """A datapath in memory; `refuses` are the kinds that it does not know."""

    def __init__(self) -> None:
        self.vifs = [VrInterfaceReq(vifr_idx=index, vifr_name=f"tap{index}") for index in range(3)]
        self.refuses: set[type[Message]] = set()
        self.gone = False
        self.asked: list[Message] = []

    def _take(self, request: Message) -> None:
        self.asked.append(request)
        if self.gone:
            raise WireError("there is no datapath")
        if type(request) in self.refuses:
            raise DatapathError(95, "unknown")

    async def get(self, request: Message, kind: Any) -> Any:
        self._take(request)
        return kind(vds_discard=4) if kind is VrDropStatsReq else kind(vo_interfaces=10)

    async def dump(self, request: Callable[[Any], Message], kind: Any) -> AsyncIterator[Any]:
        del kind
        question = request(None)
        self._take(question)
        if isinstance(question, VrVrfStatsReq):
            yield VrVrfStatsReq(vsr_vrf=1, vsr_encaps=6)
            return
        assert isinstance(question, VrInterfaceReq)
        for vif in self.vifs:
            yield vif
            if question.vifr_flags & 1:
                yield VrDropStatsReq(vds_invalid_arp=vif.vifr_idx)

    @property
    def vif_dumps(self) -> list[bool]:
        """Of each dump of interfaces, whether drops were asked for."""
        rows = (each for each in self.asked if isinstance(each, VrInterfaceReq))
        return [bool(each.vifr_flags & 1) for each in rows]


class Rig:
    """A shell on a scripted datapath and a clock of its own."""

    def __init__(self, datapath: Datapath) -> None:
        self.world = NodeWorld()
        self.world.plug("red1")
        node = self.world.node
        node.datapath = datapath
        self.statistics, self.meters = node.statistics, node.meters
        self.shell = StatisticsShell(node)

    async def rounds(self, *times: float) -> None:
        for now in times:
            self.world.now = now
            await self.shell.round()


async def test_a_round_takes_vifs_drops_vrfs_limits_and_the_process_itself() -> None:
    datapath = Scripted()
    rig = Rig(datapath)
    await rig.rounds(100.0)
    statistics = rig.statistics
    assert [vif.name for vif in statistics.vifs()] == ["tap0", "tap1", "tap2"]
    assert [vif.drops for vif in statistics.vifs()] == [{}, {"invalid_arp": 1}, {"invalid_arp": 2}]
    assert statistics.drops == {"discard": 4}
    assert statistics.vrfs() == [1]
    assert statistics.watermarks["vif"].limit == 10
    assert statistics.watermarks["vif"].count == 4  # fabric, vhost0, pkt0 and the port
    assert statistics.process.resident > 1 << 20
    assert rig.meters.statistics.count == 1


async def test_drops_by_port_and_vrfs_are_asked_for_only_now_and_then() -> None:
    datapath = Scripted()
    rig = Rig(datapath)
    await rig.rounds(100.0, 110.1, 119.9, 130.1, 140.0, 150.0, 159.0)
    assert datapath.vif_dumps == [True, False, False, True, False, False, True]


async def test_intervals_are_those_of_the_file() -> None:
    rig = Rig(Scripted())
    rig.shell.configure(parse("[DEFAULT]\nstatistics_interval = 60\nvmi_vm_vn_uve_interval = 20\n"))
    assert (rig.statistics.interval, rig.statistics.full_interval) == (20.0, 20.0)
    rig.shell.configure(parse("[DEFAULT]\nvr_object_high_watermark = 70\n"))
    assert (rig.statistics.interval, rig.statistics.full_interval) == (10.0, 30.0)
    assert rig.statistics.high_watermark == 70


async def test_a_datapath_without_some_counters_gives_the_others() -> None:
    datapath = Scripted()
    datapath.refuses = {VrDropStatsReq, VrVrfStatsReq}
    rig = Rig(datapath)
    await rig.rounds(100.0)
    assert (rig.statistics.rounds, rig.statistics.failed) == (1, 0)
    assert (rig.statistics.drops, rig.statistics.vrfs()) == ({}, [])


async def test_a_datapath_that_is_gone_is_counted_and_what_was_known_stays() -> None:
    datapath = Scripted()
    rig = Rig(datapath)
    await rig.rounds(100.0)
    datapath.gone = True
    await rig.rounds(110.0, 120.0)
    assert (rig.statistics.failed, rig.statistics.problem) == (2, "there is no datapath")
    assert rig.statistics.vif(2) is not None
    datapath.gone = False
    await rig.rounds(130.0)
    assert rig.statistics.problem == ""


async def test_a_dump_that_repeats_itself_is_not_taken() -> None:
    datapath = Scripted()
    datapath.vifs += datapath.vifs[:1]
    rig = Rig(datapath)
    await rig.rounds(100.0)
    assert rig.statistics.problem == "a dump of interfaces does not advance"
    assert list(rig.statistics.vifs()) == []


async def test_samples_of_a_real_forwarder(tmp_path: Path) -> None:
    async with forwarder(tmp_path), reading(StreamAddress(tmp_path / "dpdk_netlink")) as reader:
        for index in range(1, VIFS + 1):
            add = VrInterfaceReq(
                h_op=SandeshOp.ADD,
                vifr_idx=index,
                vifr_type=3,
                vifr_transport=1,
                vifr_name=f"notap{index}",
                vifr_mac=b"\0\0^\0\1\0",
                vifr_vrf=0,
                vifr_mtu=1500,
            )
            code, _ = await reader._answer(add)
            assert code == 0
        rig = Rig(reader)
        await rig.rounds(100.0, 110.0)
        statistics = rig.statistics
        assert statistics.problem == ""
        names = [vif.name for vif in statistics.vifs() if vif.type == 3]
        assert names == [f"notap{index}" for index in range(1, VIFS + 1)]
        assert all(vif.drops is not None for vif in statistics.vifs())
        assert statistics.watermarks["flow"].limit == 1024


async def test_the_shell_goes_on_by_itself_until_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.io.statistics.FIRST_WAIT", 0.0)
    rig = Rig(Scripted())
    rig.statistics.interval = 0.0
    rig.shell.start()
    async with asyncio.timeout(10):
        while rig.statistics.rounds < 2:
            await asyncio.sleep(0.01)
    await rig.shell.close()
    seen = rig.statistics.rounds
    await asyncio.sleep(0.15)
    assert rig.statistics.rounds == seen


def test_what_the_kernel_tells_of_this_process_and_the_machine() -> None:
    own, host = process.process(), process.machine()
    assert own.virtual >= own.resident > 1 << 20
    assert own.peak >= own.resident
    assert own.threads >= 1
    assert 2 < own.descriptors <= own.descriptor_limit
    assert own.cpu_seconds > 0.0
    assert host.total > host.free > 0
    assert host.cpus >= 1


def test_files_of_the_kernel_that_cannot_be_read_give_nothing(tmp_path: Path) -> None:
    assert process._table(str(tmp_path / "absent")) == {}
    (tmp_path / "odd").write_text("VmSize:\t 12 kB\n\nName: agent\nThreads: 3\n")
    assert process._table(str(tmp_path / "odd")) == {"VmSize": 12, "Threads": 3}
