"""Counters of the agent and intervals of sampling over introspect."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from agent.settings import Server
from agent.telemetry.watermarks import Watermark
from tests.unit.introspect.asking import Asker, texts
from tests.unit.introspect.test_datapath import ENTRIES, table
from tests.unit.telemetry.node_world import NodeWorld


@pytest.fixture
def world() -> NodeWorld:
    world = NodeWorld()
    world.plug("red1")
    return world


def test_counters_of_every_part_are_told_in_one_answer(world: NodeWorld) -> None:
    world.node.controllers.configure([Server(IPv4Address("10.0.0.250"), 5269)], 0.0)
    world.node.meters.answered("introspect", 200, 0.1)
    world.node.meters.answered("rest", 200, 0.1)
    world.node.trapped.dispatcher.counters.pkt_exceptions = 8
    root = Asker(world.node).xml("AgentStatsReq")
    found = {each.tag: texts(each) for each in root}
    assert list(found) == [
        "IpcStatsResp", "PktTrapStatsResp", "FlowStatsResp", "XmppStatsResp", "SandeshStatsResp",
        "SessionEndpointExportStatsResp",
    ]  # fmt: skip
    ipc = found["IpcStatsResp"]
    assert int(ipc["ipc_out_msgs"]) == world.node.session.counters.writes.total() > 10
    assert ipc["ipc_in_msgs"] == ipc["ipc_out_msgs"]
    assert found["PktTrapStatsResp"]["exceptions"] == "8"
    assert found["SessionEndpointExportStatsResp"]["session_exports"] == "0"
    (controller,) = [texts(row) for row in root.iter("XmppStatsInfo")]
    assert controller["ip"] == "10.0.0.250"
    # The answer itself counts once it has begun, which is before its last message is made.
    assert found["SandeshStatsResp"]["sandesh_http_sessions"] == "2"
    assert found["FlowStatsResp"]["flow_active"] == "0"


def test_flows_are_told_of_while_there_is_a_table(world: NodeWorld) -> None:
    ask = Asker(world.node)
    assert texts(ask.xml("SandeshFlowTableInfoRequest"))["max_flows"] == "0"
    world.node.flows.open(table(0), 0.0, anew=True)
    world.node.statistics.watermarks["flow"] = Watermark("flow", peak=60)
    (info,) = ask.rows("SandeshFlowTableInfoRequest", "SandeshFlowTableInfo")
    assert texts(info)["freelist_count"] == str(ENTRIES)
    (stats,) = ask.rows("AgentStatsReq", "FlowStatsResp")
    assert texts(stats)["flow_max_system_flows"] == "60"
    assert int(texts(ask.xml("GetFlowStatsInterval"))["flow_stats_interval"]) >= 1


def test_the_interval_of_samples_can_be_changed_at_run_time(world: NodeWorld) -> None:
    ask = Asker(world.node)
    assert texts(ask.xml("GetAgentStatsInterval"))["agent_stats_interval"] == "10"
    answer = ask.xml("SetAgentStatsInterval_InSeconds?interval=25")
    assert (answer.tag, answer.findtext("resp")) == ("AgentStatsCfgResp", "Success")
    assert world.node.statistics.interval == 25.0
    assert texts(ask.xml("GetStatsInterval"))["agent_stats_interval"] == "25"


@pytest.mark.parametrize("given", ["", "0", "3601", "soon"])
def test_intervals_that_make_no_sense_change_nothing(world: NodeWorld, given: str) -> None:
    answer = Asker(world.node).xml(f"SetAgentStatsInterval_InSeconds?interval={given}")
    assert answer.tag == "AgentStatsCfgErrResp"
    assert "3600" in (answer.findtext("resp") or "")
    assert world.node.statistics.interval == 10.0
