"""Requests on the process itself: traces, logging, state, limits of the datapath."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TypeVar

import pytest

from agent.ifmap.parts import attribute, node, subnet_type
from agent.inputs import GraphLink, GraphNode
from agent.sandesh.vrouter import Message, VrouterOps
from agent.xmpp import ConfigComplete
from tests.unit.introspect.asking import Asker, texts
from tests.unit.telemetry.node_world import NoDatapath, NodeWorld

Row = TypeVar("Row", bound=Message)


class Limits(NoDatapath):
    """A datapath that tells its limits."""

    async def get(self, request: Message, kind: type[Row]) -> Row:
        found = VrouterOps(vo_mpls_labels=5120, vo_build_info="{}", vo_priority_tagging=1)
        assert isinstance(found, kind)
        return found


@pytest.fixture
def world() -> NodeWorld:
    return NodeWorld()


@pytest.fixture
def ask(world: NodeWorld) -> Asker:
    return Asker(world.node)


def test_trace_buffers_and_their_lines(world: NodeWorld, ask: Asker) -> None:
    for number in range(3):
        world.node.traces.controllers([ConfigComplete(number)])
    names = [
        found.text for found in ask.xml("SandeshTraceBufferListRequest").iter("trace_buf_name")
    ]
    assert {"Config", "Xmpp", "Writes"} <= set(names)
    lines = [one.text or "" for one in ask.xml("SandeshTraceRequest?x=Config").iter("element")]
    assert [line.split(" ", 1)[1] for line in lines] == [
        f"Config: configuration {number} is complete" for number in range(3)
    ]
    last = ask.xml("SandeshTraceRequest?buf_name=Config&count=1")
    assert [one.text for one in last.iter("element")] == lines[-1:]
    assert ask.get("/Snh_SandeshTraceRequest?x=nonsense").status_code == 400


def test_trace_buffers_are_switched(world: NodeWorld, ask: Asker) -> None:
    def states() -> dict[str, str]:
        rows = ask.rows("SandeshTraceBufStatusReq", "SandeshTraceBufStatusInfo")
        return {row["trace_buf_name"]: row["enable_disable"] for row in map(texts, rows)}

    assert (states()["Config"], states()["Writes"]) == ("Enable", "Disable")
    ask.xml("SandeshTraceBufferEnableDisableReq?trace_buf_name=Writes&enable=true")
    assert states()["Writes"] == "Enable"
    ask.xml("SandeshTraceEnableDisableReq?enable=false")
    assert set(states().values()) == {"Disable"}
    found = ask.get("/Snh_SandeshTraceEnableDisableReq?enable=maybe")
    assert found.status_code == 400
    assert "enable=maybe: expected true or false" in found.text


def test_what_is_logged_is_changed(world: NodeWorld, ask: Asker) -> None:
    ask.xml("SandeshLoggingParamsSet?category=xmpp&log_level=SYS_DEBUG")
    ask.xml("SandeshLoggingParamsSet?log_level=SYS_ERR&enable=false")
    ask.xml("SandeshLoggingParamsSet?category=io")
    found = texts(ask.xml("SandeshLoggingParamsStatus"))
    assert (found["enable"], found["category"], found["log_level"]) == (
        "false", "agent.io", "SYS_ERR",
    )  # fmt: skip
    assert world.node.logs.modules == {"agent.xmpp": "SYS_DEBUG"}
    ask.xml("SandeshLoggingParamsSet?category=*")
    assert world.node.logs.category == ""
    assert ask.get("/Snh_SandeshLoggingParamsSet?log_level=LOUD").status_code == 400


def test_the_state_of_the_agent(world: NodeWorld, ask: Asker) -> None:
    assert texts(ask.xml("AgentInitStateReq"))["state"] == "InitDone"


def test_limits_of_the_datapath(world: NodeWorld, ask: Asker) -> None:
    assert ask.get("/Snh_VrouterObjectLimitsReq").status_code == 503
    world.node.datapath = Limits()
    (row,) = ask.rows("VrouterObjectLimitsReq", "VrouterObjectLimits")
    found = texts(row)
    assert (found["max_labels"], found["vrouter_build_info"]) == ("5120", "{}")
    assert found["vrouter_priority_tagging"] == "true"


def test_the_virtual_router_of_the_host(world: NodeWorld, ask: Asker) -> None:
    name = f"default-global-system-config:{world.node.host}"
    ipam = node("network-ipam", "default-domain:p:ipam")
    value = {"subnet": [subnet_type(ip_network("10.7.0.0/16"))]}
    joint = attribute(
        "virtual-router-network-ipam", ("virtual-router", name), ("network-ipam", ipam.name), value
    )
    graph = world.core.compiler.graph
    for part in (node("virtual-router", name, display_name="rack 7"), ipam, *joint):
        if isinstance(part, GraphNode):
            graph.put_node(part)
        elif isinstance(part, GraphLink):
            graph.put_link(part)
    found = ask.xml("VrouterInfoReq")
    assert (texts(found)["name"], texts(found)["display_name"]) == (name, "rack 7")
    (subnet,) = found.iter("VnIpamData")
    assert texts(subnet)["ip_prefix"] == "10.7.0.0"
    assert texts(subnet)["ipam_name"] == ipam.name
