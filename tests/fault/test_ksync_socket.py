"""The shell on a real Unix socket: connects late, survives what the datapath does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop
from structlog.testing import capture_logs

from agent.errors import BugError
from agent.io.datapath import StreamAddress
from agent.ksync import InSync, Lost
from agent.sandesh.vrouter import SandeshOp
from tests.fake.datapath import FakeDatapath
from tests.fault.ksync_owner import Owner
from tests.unit.ksync import world as w


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dpdk_netlink"


@pytest_asyncio.fixture
async def owner(path: Path) -> AsyncIterator[Owner]:
    made = Owner(StreamAddress(path), w.port())
    yield made
    await made.connection.close()


def assert_programmed(datapath: FakeDatapath) -> None:
    wanted = FakeDatapath()
    for each in w.port():
        w.store(wanted, each.message)
    assert datapath.violations == []
    assert datapath.objects == wanted.objects
    assert w.shown(datapath) == w.shown(wanted)


async def test_programs_a_datapath_over_a_socket(owner: Owner, path: Path) -> None:
    async with FakeDatapath().served(path) as datapath:
        owner.connection.start()
        await owner.until(lambda: owner.count(InSync) == 1)
        assert_programmed(datapath)
        assert owner.connection.tries.made == 1


async def test_waits_for_a_datapath_that_comes_late(owner: Owner, path: Path) -> None:
    with capture_logs() as lines:
        owner.connection.start()
        async with asyncio.timeout(20):
            while owner.connection.tries.failed < 2:
                await asyncio.sleep(0.01)
    told = [line["socket"] for line in lines if line["event"] == "no datapath"]
    assert told == [str(path)]
    async with FakeDatapath().served(path) as datapath:
        await owner.until(lambda: owner.count(InSync) == 1)
        assert_programmed(datapath)


async def test_reprograms_a_datapath_that_restarts(owner: Owner, path: Path) -> None:
    async with FakeDatapath().served(path) as datapath:
        owner.connection.start()
        await owner.until(lambda: owner.count(InSync) == 1)
        datapath.restart()
        await owner.until(lambda: owner.count(InSync) == 2)
        assert owner.count(Lost) == 1
        assert_programmed(datapath)


async def test_a_dropped_connection_costs_no_write(owner: Owner, path: Path) -> None:
    async with FakeDatapath().served(path) as datapath:
        owner.connection.start()
        await owner.until(lambda: owner.count(InSync) == 1)
        before = datapath.writes.total()
        datapath.disconnect()
        await owner.until(lambda: owner.count(InSync) == 2)
        assert datapath.writes.total() == before


@pytest.mark.parametrize("how", ["extra", "sequence", "garbage", "length"])
async def test_closes_and_reconnects_after_nonsense(owner: Owner, path: Path, how: str) -> None:
    async with FakeDatapath().served(path) as datapath:
        datapath.corrupt(how)
        owner.connection.start()
        await owner.until(lambda: owner.count(InSync) == 1)
        assert owner.count(Lost) == 1
        assert owner.connection.tries.made == 2
        assert_programmed(datapath)


async def test_a_reply_that_never_comes_is_noticed(path: Path) -> None:
    owner = Owner(StreamAddress(path), w.port(), reply_timeout=0.2)
    async with FakeDatapath().served(path) as datapath:
        datapath.lose_replies(1)
        owner.connection.start()
        await owner.until(lambda: owner.count(InSync) == 1)
        assert owner.session.counters.timeouts == 1
        assert_programmed(datapath)
        await owner.connection.close()


async def test_refused_objects_are_tried_again_by_the_timer(owner: Owner, path: Path) -> None:
    async with FakeDatapath().served(path) as datapath:
        datapath.fail("vr_nexthop_req", 12, op=SandeshOp.ADD)
        owner.connection.start()
        await owner.until(lambda: owner.count(InSync) == 1)
        assert owner.session.counters.nacks == {12: 1}
        assert_programmed(datapath)


async def test_many_objects_pass_a_slow_reader(path: Path) -> None:
    """More bytes than socket buffers hold: the transport pauses and resumes the session."""
    objects = [w.vif(i) for i in range(4000)]
    owner = Owner(StreamAddress(path), objects, window=100_000)
    async with FakeDatapath().served(path) as datapath:
        owner.connection.start()
        await owner.until(lambda: owner.count(InSync) == 1)
        assert len(datapath.objects["vif"]) == 4000
        await owner.connection.close()


async def test_closing_leaves_the_datapath_as_it_is(owner: Owner, path: Path) -> None:
    async with FakeDatapath().served(path) as datapath:
        owner.connection.start()
        await owner.until(lambda: owner.count(InSync) == 1)
        await owner.connection.close()
        await owner.connection.close()
        assert_programmed(datapath)


async def test_starting_twice_is_a_bug(owner: Owner, path: Path) -> None:
    owner.connection.start()
    with pytest.raises(BugError):
        owner.connection.start()


def test_runs_on_uvloop(path: Path) -> None:
    async def live() -> None:
        owner = Owner(StreamAddress(path), w.port())
        async with FakeDatapath().served(path) as datapath:
            owner.connection.start()
            await owner.until(lambda: owner.count(InSync) == 1)
            datapath.corrupt("garbage")
            datapath.restart()
            await owner.until(lambda: owner.count(InSync) == 2)
            assert_programmed(datapath)
            await owner.connection.close()

    uvloop.run(live())
