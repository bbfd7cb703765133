"""The cache of UVEs and the connection to collectors, as clients ask for them."""

from __future__ import annotations

import pytest

from agent.sandesh.vrouter import VrInterfaceReq
from agent.settings import parse
from agent.telemetry.sample import Machine, Process, Sample
from agent.telemetry.uve import Level, Type
from tests.fake.collector import answer
from tests.unit.introspect.asking import Asker, texts
from tests.unit.telemetry.node_world import HOST, NodeWorld

COLLECTORS = f"{HOST}\n[DEFAULT]\ncollectors = 10.0.0.8:8086 10.0.0.9\n"


@pytest.fixture
def world() -> NodeWorld:
    made = NodeWorld()
    made.plug()
    return made


def test_the_types(world: NodeWorld) -> None:
    rows = Asker(world.node).rows("SandeshUVETypesReq", "SandeshUVETypeInfo")
    names = [row.findtext("type_name") for row in rows]
    assert "NodeStatus" in names
    assert "UveVMInterfaceAgent" in names
    link = rows[0].find("type_name")
    assert link is not None
    assert link.attrib["link"] == "SandeshUVECacheReq"


@pytest.mark.parametrize("name", ["UveVMInterfaceAgent", "UveVMInterfaceAgentTrace"])
def test_a_type(world: NodeWorld, name: str) -> None:
    root = Asker(world.node).xml(f"SandeshUVECacheReq?x={name}")
    assert root.attrib == {"type": "slist"}
    assert [each.tag for each in root] == ["UveVMInterfaceAgentTrace"] * 4 + ["SandeshUVECacheResp"]
    rows = root.findall(".//*[@type='sandesh']/data/*")
    assert {row.tag for row in rows} == {"UveVMInterfaceAgent"}
    assert {row.findtext("vm_name") for row in rows} == {"red1", "red2", "blue1", "blue2"}
    assert root.findtext(".//returned") == "4"


def test_a_key(world: NodeWorld) -> None:
    root = Asker(world.node).xml("SandeshUVECacheReq?tname=VrouterAgent&key=host1")
    assert root.findtext(".//returned") == "1"
    assert root.findtext(".//VrouterAgent/control_ip") == "10.0.0.1"
    root = Asker(world.node).xml("SandeshUVECacheReq?tname=VrouterAgent&key=host2")
    assert root.tag == "SandeshUVECacheResp"
    assert root.findtext("returned") == "0"


def test_it_is_as_things_are_now(world: NodeWorld) -> None:
    asker = Asker(world.node)
    assert (
        asker.xml("SandeshUVECacheReq?tname=UveVirtualMachineAgent").findtext(".//returned") == "4"
    )
    world.core.store.unplug(world.node.compiler.vmis()[0].uuid)
    world.turn()
    assert (
        asker.xml("SandeshUVECacheReq?tname=UveVirtualMachineAgent").findtext(".//returned") == "3"
    )


def test_the_state_of_the_node(world: NodeWorld) -> None:
    root = Asker(world.node).xml("SandeshUVECacheReq?tname=NodeStatus")
    [process] = root.iter("ProcessStatus")
    found = texts(process)
    assert (found["module_id"], found["state"]) == ("contrail-vrouter-agent", "Functional")


def test_an_unknown_type_is_refused_with_those_there_are(world: NodeWorld) -> None:
    answer = Asker(world.node).get("/Snh_SandeshUVECacheReq?tname=Nonsense")
    assert answer.status_code == 400
    assert "NodeStatus" in answer.text


def test_the_collector(world: NodeWorld) -> None:
    asker = Asker(world.node)
    found = texts(asker.xml("CollectorInfoRequest"))
    assert (found["ip"], found["port"], found["status"]) == ("", "0", "Idle")
    world.node.uves.configure(parse(COLLECTORS), 0.0)
    found = texts(asker.xml("CollectorInfoRequest"))
    assert (found["ip"], found["port"], found["status"]) == ("10.0.0.8", "8086", "Connect")
    world.node.uves.generator.connected(0.0)
    world.node.uves.generator.receive(answer({}), 0.0)
    assert texts(asker.xml("CollectorInfoRequest"))["status"] == "Established"


def test_messages(world: NodeWorld) -> None:
    uves = world.node.uves
    uves.outbox.send("SessionEndpointObject", {}, Level.NOTICE, Type.SESSION, 0.0)
    uves.configure(parse(COLLECTORS), 0.0)
    uves.generator.connected(0.0)
    size = len(uves.generator.data_to_send())
    uves.outbox.send("SessionEndpointObject", {}, Level.NOTICE, Type.SESSION, 0.0)
    root = Asker(world.node).xml("SandeshMessageStatsReq")
    by_type = {
        row.findtext("message_type"): texts(row.findall("stats/*")[0])
        for row in root.iter("SandeshMessageTypeStats")
    }
    assert by_type == {
        "SessionEndpointObject": {
            "messages_sent_dropped": "1",
            "bytes_sent_dropped": "0",
            "messages_sent_dropped_no_client": "1",
            "bytes_sent_dropped_no_client": "0",
        },
        "SandeshCtrlClientToServer": {"messages_sent": "1", "bytes_sent": str(size)},
    }
    assert root.findtext(".//SandeshQueueStats/count") == "1"
    assert root.findtext("sending_level") == "SYS_DEBUG"


def test_the_load(world: NodeWorld) -> None:
    vifs: list[VrInterfaceReq] = []
    process = Process(cpu_seconds=1.0, virtual=8 << 20, peak=9 << 20, resident=2 << 20)
    machine = Machine(cpus=2, load=(0.5, 0.25, 0.125), total=100 << 20, free=40 << 20)
    world.node.statistics.sample(Sample(vifs, process=process, machine=machine), 1.0)
    later = process._replace(cpu_seconds=2.0)
    world.node.statistics.sample(Sample(vifs, process=later, machine=machine), 11.0)
    root = Asker(world.node).xml("CpuLoadInfoReq")
    [info] = root.iter("CpuLoadInfo")
    assert texts(info) == {"num_cpu": "2", "cpu_share": "5.0"}
    assert {tag: root.findtext(f".//{tag}") for tag in ("virt", "peakvirt", "res", "used")} == {
        "virt": "8192", "peakvirt": "9216", "res": "2048", "used": "61440",
    }  # fmt: skip
    assert root.findtext(".//one_min_avg") == "0.5"


def test_policies_of_ports(world: NodeWorld) -> None:
    rows = Asker(world.node).rows("InterfaceUveInfoReq", "InterfaceUveInfo")
    assert len(rows) == 4
    assert {row.findtext("name") for row in rows} == {
        row.config_name for row in world.node.compiler.vmis()
    }
