"""What the datapath refuses, and what of policies cannot be used, is told and not repeated."""

from __future__ import annotations

from structlog.testing import capture_logs

from agent.daemon.core import Core
from agent.ifmap import NodeRef
from agent.ifmap.from_topology import network_name
from agent.inputs import GraphNode
from agent.ksync.events import Refused
from agent.objects import Identity, Kind
from agent.settings import parse
from tests.graph.policies import access_list, rule
from tests.unit.daemon.test_core import running

HOST = "[VIRTUAL-HOST-INTERFACE]\nphysical_interface = fabric0\nip = 10.0.0.1/24\n"


def test_refusals_of_one_kind_are_told_in_one_line() -> None:
    full = [Refused(Identity(Kind.LABEL, number), None, 28) for number in range(16, 100)]
    busy = Refused(Identity(Kind.NEXTHOP, 7), None, 16)
    core = Core(parse(HOST, "test"), None, pid=1, seed=2, now=0.0)
    with capture_logs() as lines:
        core.datapath_said([*full, busy], 1.0)
    assert [(line["error"], line["objects"], line["first"]) for line in lines] == [
        ("ENOSPC", 84, "label 16"),
        ("EBUSY", 1, "nexthop 7"),
    ]


def test_a_rule_that_cannot_be_used_is_told_once() -> None:
    made = running()
    network = NodeRef("virtual-network", network_name("red"))
    for part in access_list(network, "red", [rule(protocol="quic")]):
        if isinstance(part, GraphNode):
            made.compiler.graph.put_node(part)
        else:
            made.compiler.graph.put_link(part)
    with capture_logs() as lines:
        for now in (2.0, 3.0):
            made.turn(now)
    [line] = [line for line in lines if line["event"] == "policy left out"]
    assert line["list"] == f"{network.name}:red"
    assert "'quic' is not known" in line["reason"]
