"""Gateways of the file and of the port API: one row an interface, the posted one first."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

from agent.daemon.gateways import Gateways
from agent.inputs import HostSettings, SimpleGateway
from agent.oper import Compiler

FILED = SimpleGateway("vgw", "a:b:b", (IPv4Network("1.2.3.0/24"),), ())
POSTED = replace(FILED, routing_instance="a:c:c")


def test_both_lead_to_one_row() -> None:
    compiler = Compiler(HostSettings("here", "eth1"))
    gateways = Gateways(compiler)

    def networks() -> list[str]:
        compiler.commit()
        return [row.vrf.name for row in compiler.gateways() if row.vrf]

    gateways.configure([FILED])
    assert networks() == ["a:b:b"]
    gateways.post(POSTED)
    assert networks() == ["a:c:c"], "what was said last stands"
    gateways.configure([])
    assert networks() == ["a:c:c"], "it was not the file's"
    gateways.configure([FILED])
    gateways.delete("vgw")
    assert networks() == ["a:b:b"], "the file still has it"
    gateways.delete("vgw")
    gateways.configure([])
    assert networks() == []
