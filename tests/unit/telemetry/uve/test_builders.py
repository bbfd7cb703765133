"""What each UVE tells, against files that were read by people; then what makes a difference."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agent.sandesh import xml
from agent.sandesh.vrouter import VrInterfaceReq
from agent.settings import Server
from agent.telemetry.health import Finding, State
from agent.telemetry.sample import Sample
from agent.telemetry.uve import Uve, collector
from agent.telemetry.uve.builders import BUILDERS
from tests.fake.collector import answer
from tests.unit.telemetry.node_world import HOST, NodeWorld
from tests.unit.telemetry.uve.uve_world import uve_world

GOLDEN = Path(__file__).parent / "golden"
PORT, STATS, TAGS = "UveVMInterfaceAgentTrace", "UVEVMIStats", "UVEVMITags"
COLLECTORS = "[DEFAULT]\ncollectors = 10.0.0.8\n"


@pytest.fixture(scope="module")
def world() -> NodeWorld:
    made = uve_world(COLLECTORS)
    made.node.uves.configure(made.node.settings, made.now)
    health = made.node.health
    health.add("controller", lambda: [Finding(State.DOWN, "refused", "10.0.0.5:5269")])
    health.add("datapath", lambda: [Finding(State.OK, "in sync")])
    health.add("collector", lambda: collector(made.node.uves.generator))
    health.add("configuration", lambda: [Finding(State.OK, ready=False)])
    return made


def made(world: NodeWorld, message: str, key: str = "") -> list[Uve]:
    return list(world.node.uves.refreshed(world.node, message, key))


def data(world: NodeWorld, message: str, key: str = "") -> Any:
    """The fields of the first UVE of a message."""
    return made(world, message, key)[0].values


def document(uve: Uve) -> str:
    """A UVE as indented XML."""
    root = ElementTree.fromstring(xml.message(uve.message, uve.whole()))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


@pytest.mark.parametrize("message", [builder.message for builder in BUILDERS])
def test_the_whole_text(world: NodeWorld, message: str) -> None:
    assert document(made(world, message)[0]) == (GOLDEN / f"{message}.xml").read_text()


def test_every_port_network_and_vm_has_its_own(world: NodeWorld) -> None:
    ports = {row.config_name for row in world.node.compiler.vmis()}
    assert len(ports) == 2
    for message in (PORT, STATS, TAGS):
        assert {uve.key for uve in made(world, message)} == ports
    machines = made(world, "UveVirtualMachineAgentTrace")
    assert {uve.values["vm_name"] for uve in machines} == {"web1", "web2"}
    networks = made(world, "UveVirtualNetworkAgentTrace")
    assert [uve.key for uve in networks] == ["default-domain:default-project:red"]


def test_what_is_not_there_is_not_told(world: NodeWorld) -> None:
    for builder in BUILDERS:
        assert made(world, builder.message, "nothing") == []


def test_a_port_that_does_not_forward() -> None:
    world = uve_world()
    row = world.node.compiler.vmis()[0]
    world.core.links([], [row.name])
    world.turn()
    values = data(world, PORT, row.config_name)
    assert (values["active"], values["ip4_active"], values["label"]) == (False, False, 0)
    host = data(world, "UveVrouterAgent")
    assert host["error_intf_list"] == [row.config_name]
    assert (host["vmi_count"], host["down_interface_count"]) == ({"active": 1}, 1)


def test_a_port_that_nobody_configured() -> None:
    world = NodeWorld()
    world.core.compiler.graph.begin(world.core.compiler.graph.sequence + 1)
    world.core.compiler.graph.sweep()
    world.plug("red1")
    [row] = world.node.compiler.vmis()
    assert made(world, PORT) == []
    assert data(world, "UveVrouterAgent")["no_config_intf_list"] == [str(row.uuid)]


def test_counters_of_another_interface_are_not_a_ports() -> None:
    world = uve_world()
    row = world.node.compiler.vmis()[0]
    other = VrInterfaceReq(vifr_idx=row.vif_index, vifr_name="old", vifr_type=3)
    world.node.statistics.sample(Sample([other]), 90.0)
    world.node.uves.cache.delete(STATS, row.config_name)
    assert set(data(world, STATS, row.config_name)) == {
        "name", "vm_name", "vm_uuid", "virtual_network",
    }  # fmt: skip


def test_counters_that_were_never_read_are_no_zeros() -> None:
    world = NodeWorld()
    assert set(data(world, "VrouterStats")) == {
        "name", "uptime", "exception_packets", "exception_packets_dropped",
        "exception_packets_allowed",
    }  # fmt: skip
    assert set(data(world, "ComputeCpuStateTrace")) == {"name"}
    world.node.statistics.sample(Sample([]), 1.0)
    stats = data(world, "VrouterStats")
    assert stats["in_tpkts"] == 0
    assert "phy_if_info" not in stats
    assert "raw_vhost_stats" not in stats


def test_controllers_are_told_of() -> None:
    world = NodeWorld()
    servers = [Server(IPv4Address(f"10.0.0.{n}"), 5269) for n in (5, 6)]
    world.core.controllers.configure(servers, 0.0)
    peers = data(world, "UveVrouterAgent")["xmpp_peer_list"]
    assert {peer["ip"]: peer["status"] for peer in peers} == {"10.0.0.5": False, "10.0.0.6": False}
    control = data(world, "VrouterControlStatsTrace")
    assert control["raw_xmpp_stats"]["10.0.0.5"] == {"reconnects": 0, "in_msgs": 0, "out_msgs": 0}


def test_the_connection_to_the_collector() -> None:
    world = NodeWorld(HOST + COLLECTORS)
    uves = world.node.uves
    world.node.health.add("collector", lambda: collector(uves.generator))

    def told() -> list[tuple[str, str, str]]:
        process = data(world, "NodeStatusUVE")["process_status"][0]
        connections = process["connection_infos"]
        return [(one["type"], one["status"], one["description"]) for one in connections]

    assert told() == []
    uves.configure(world.node.settings, 0.0)
    assert told() == [("Collector", "Up", "Connect")]
    uves.generator.disconnected("refused", 0.0)
    assert told() == [("Collector", "Down", "Disconnect: refused")]
    uves.generator.tick(100.0)
    uves.generator.connected(100.0)
    uves.generator.receive(answer({}), 100.0)
    assert told() == [("Collector", "Up", "Established")]
    client = data(world, "SandeshModuleClientTrace")
    assert client["client_info"]["successful_connections"] == 1
    assert client["sm_stats"]["last_event"] == "handshake answered"


def test_all_that_is_made_can_be_written(world: NodeWorld) -> None:
    """Every field is one of the struct's: writing anything else is refused."""
    for builder in BUILDERS:
        for uve in made(world, builder.message):
            assert xml.message(uve.message, uve.whole())
