from __future__ import annotations

import errno
from ipaddress import IPv4Address

import pytest

from agent.settings import Server
from agent.telemetry import Health, Part, Report, State, Statistics
from agent.telemetry.checks import GRACE, fresh, tables, watch, watch_files
from agent.telemetry.meters import FileMeter, Meters
from agent.telemetry.sample import Sample, Use
from tests.unit.telemetry.node_world import HOST, STARTED, NodeWorld

CONTROLLERS = HOST + "[CONTROL-NODE]\nservers = 10.0.0.5:5269 10.0.0.6:5269\n"
FIRST, SECOND = (Server(IPv4Address(f"10.0.0.{at}"), 5269) for at in (5, 6))


def judged(world: NodeWorld) -> Health:
    health = Health(host="h", version="0", pid=1, started=STARTED, wall=world.node.wall)
    watch(health, world.node, lambda: world.core.configured)
    return health


def the(report: Report, title: str) -> Part:
    return next(part for part in report.parts if part.title == title)


@pytest.fixture
def world() -> NodeWorld:
    return NodeWorld()


def test_a_standalone_agent_in_sync_is_well_and_ready(world: NodeWorld) -> None:
    world.plug()
    health = judged(world)
    health.remove("flows")  # this world has no flow table
    report = health.report()
    assert (report.state, report.reason, report.ready) == (State.OK, "", True)
    assert the(report, "configuration").reason == "from the topology file"
    assert the(report, "datapath").reason == "in sync"
    assert the(report, "interfaces").numbers == {"ports": len(world.topology.vms), "inactive": 0}


def test_a_lost_datapath_takes_the_agent_down(world: NodeWorld) -> None:
    health = judged(world)
    world.core.session.disconnected(world.now)
    report = health.report()
    assert report.state is State.DOWN
    assert not report.ready
    assert report.reason == "datapath: the datapath closed the connection"


def test_a_datapath_that_is_read_is_not_ready(world: NodeWorld) -> None:
    health = judged(world)
    world.core.session.disconnected(world.now)
    world.core.session.connected(world.now)
    part = the(health.report(), "datapath")
    assert (part.state, part.ready) == (State.DEGRADED, False)
    assert part.reason == "connected, being read"


def test_objects_on_their_way_are_well_for_a_while_only(world: NodeWorld) -> None:
    health = judged(world)
    for name in world.topology.vms:
        world.plug(name)
    world.core.compiler.remove_link("fabric0")
    world.core.turn(world.now)
    part = the(health.report(), "datapath")
    assert (part.state, part.ready) == (State.OK, False)
    assert part.reason.endswith("objects are on their way")
    world.now += GRACE
    part = the(health.report(), "datapath")
    assert part.state is State.DEGRADED
    assert part.reason.startswith("out of sync for more than 30 s: ")


def test_refused_objects_are_named(world: NodeWorld) -> None:
    health = judged(world)
    world.datapath.fail("vr_nexthop_req", errno.ENOSPC, 1000)
    world.plug()
    part = the(health.report(), "objects")
    assert part.state is State.DEGRADED
    assert part.numbers["refused"] == world.core.session.refused(0)[1] > 0
    assert "the datapath refused " in part.reason
    assert "(ENOSPC)" in part.reason


def test_a_port_without_its_device_is_told_after_a_while(world: NodeWorld) -> None:
    world.plug()
    name = next(iter(world.topology.vms))
    tap = world.topology.vms[name].tap
    health = judged(world)
    world.core.compiler.remove_link(tap)
    world.turn()
    assert the(health.report(), "interfaces").state is State.OK
    world.now += GRACE
    part = the(health.report(), "interfaces")
    assert part.state is State.DEGRADED
    assert part.reason.startswith(f"1 of {len(world.topology.vms)} do not forward: {tap} (")


def test_without_a_readable_flow_table_flows_are_degraded(world: NodeWorld) -> None:
    part = the(judged(world).report(), "flows")
    assert part.state is State.DEGRADED
    assert part.reason == "the flow table is not readable: no flows are set up"


def test_without_any_source_of_configuration_it_is_down() -> None:
    world = NodeWorld()
    world.core._progress._standalone = False
    part = the(judged(world).report(), "configuration")
    assert part.state is State.DOWN
    assert "set [CONTROL-NODE] servers or [STANDALONE] topology" in part.reason


class TestControllers:
    """Configuration and sessions where a file names controllers."""

    def made(self) -> tuple[NodeWorld, Health]:
        world = NodeWorld()
        world.core._progress._standalone = False
        world.core.controllers.configure((FIRST, SECOND), world.now)
        return world, judged(world)

    def test_nobody_has_answered_yet(self) -> None:
        world, health = self.made()
        world.core.controllers.tick(world.now + 60)
        world.core.controllers.disconnected(FIRST, world.now + 60, "Connection refused")
        report = health.report()
        assert the(report, "configuration").state is State.DOWN
        assert the(report, "configuration").reason == "no controller has answered yet"
        part = the(report, f"controller {FIRST}")
        assert part.state is State.DOWN
        assert part.reason.endswith("Connection refused")
        assert report.state is State.DOWN

    def test_what_was_known_before_the_last_controller_went_stays(self) -> None:
        world, health = self.made()
        world.core._progress.configuration_complete(world.now)
        world.core._progress.turn(world.now, lambda: False)
        report = health.report()
        assert the(report, "configuration").state is State.DEGRADED
        assert the(report, "configuration").reason.endswith("what is known stays")
        assert report.state is State.DEGRADED


def test_old_counters_are_told_with_the_reason() -> None:
    statistics = Statistics()
    assert fresh(statistics, 29.0, 0.0, 1.0)[0].state is State.OK
    statistics.missed("the datapath does not answer")
    (found,) = fresh(statistics, 91.0, 0.0, 30.0)
    assert found.state is State.DEGRADED
    assert found.reason == "the last counters are 91 s old: the datapath does not answer"


def test_full_tables_are_told() -> None:
    statistics = Statistics(high_watermark=80)
    used = {"vif": Use(80, 100), "label": Use(100, 100), "vrf": Use(1, 100), "mirror": Use(1, 0)}
    statistics.sample(Sample(vifs=(), used=used), 1.0)
    found = {one.instance: (one.state, one.reason) for one in tables(statistics)}
    assert found == {
        "vif": (State.DEGRADED, "80 of 100 (80 %)"),
        "label": (State.DOWN, "100 of 100 (100 %)"),
        "vrf": (State.OK, "1 of 100 (1 %)"),
    }


def test_files_that_cannot_be_written_are_told() -> None:
    health = Health(host="h", version="1", pid=1, started=0.0, wall=lambda: 0.0)
    meters = Meters()
    watch_files(health, meters, backup=True)
    assert health.report().state is State.OK
    meters.ports = FileMeter(3, 2, "/p/ports/a: Read-only file system")
    meters.backup = FileMeter(1, 1, "/p/backup: No space left on device")
    report = health.report()
    assert (report.state, report.ready) == (State.DEGRADED, True)
    assert the(report, "port API").reason == (
        "2 files of ports could not be written, which is tried again: "
        "/p/ports/a: Read-only file system"
    )
    part = the(report, "backup")
    assert part.reason.endswith("tried again: /p/backup: No space left on device")
    assert part.numbers == {"failed files": 1, "failures": 1}
    meters.ports.waiting = meters.backup.waiting = 0
    assert health.report().state is State.OK


def test_a_backup_that_is_switched_off_is_no_part() -> None:
    health = Health(host="h", version="1", pid=1, started=0.0, wall=lambda: 0.0)
    watch_files(health, Meters(), backup=False)
    assert [part.name for part in health.report().parts] == ["port API"]
