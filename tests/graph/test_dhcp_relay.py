"""Ports in the fabric's network have the address that a server there gave them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from agent.inputs import DhcpSnooped, GraphLink, GraphNode, PluggedPort
from agent.oper import Compiler
from agent.oper.datapath import route_key
from agent.oper.fabric import FABRIC_VRF
from tests.graph.worlds import REMOTE, SETTINGS, Datapath, World, forms, full, move, worked

RELAY = replace(SETTINGS, dhcp_relay=True)
LEASED = IPv4Address("10.0.0.77")
TOPOLOGY = worked()
NET1 = "default-domain:default-project:net1:net1"


def on_fabric() -> World:
    """The worked example with its network's instance being the fabric's, and no instance IP."""
    inputs = {}
    for key, row in full(TOPOLOGY).inputs.items():
        if isinstance(row, GraphNode) and row.name == NET1:
            row = replace(row, name=FABRIC_VRF)
        if isinstance(row, GraphLink):
            left, right = (_moved(end) for end in (row.left, row.right))
            row = replace(row, left=left, right=right)
            if "instance-ip" in row.metadata:
                continue
        if isinstance(row, PluggedPort):
            row = replace(row, ip=IPv4Address(0))
        inputs[key] = row
    return World(inputs)


def _moved(end: tuple[str, str]) -> tuple[str, str]:
    return (end[0], FABRIC_VRF) if end[1] == NET1 else end


def started(*, relay: bool = True) -> tuple[Compiler, Datapath]:
    compiler = Compiler(RELAY if relay else SETTINGS)
    datapath = Datapath(compiler)
    move(compiler, World(), on_fabric())
    datapath.apply(compiler.commit())
    assert compiler.failures() == {}
    return compiler, datapath


def lease(compiler: Compiler) -> DhcpSnooped:
    [row] = compiler.vmis()
    return DhcpSnooped(row.vif_index, LEASED, row.mac)


def test_only_ports_without_an_address_of_their_own_are_relayed() -> None:
    assert [row.dhcp_relay for row in started()[0].vmis()] == [True]
    assert [row.dhcp_relay for row in started(relay=False)[0].vmis()] == [False]
    compiler = Compiler(RELAY)
    move(compiler, World(), full(TOPOLOGY))
    compiler.commit()
    assert [row.dhcp_relay for row in compiler.vmis()] == [False]


def test_the_leased_address_is_the_ports() -> None:
    compiler, datapath = started()
    [row] = compiler.vmis()
    assert (row.active, row.ip, row.vrf and row.vrf.index) == (True, None, 0)
    compiler.learned(lease(compiler))
    datapath.apply(compiler.commit())
    [row] = compiler.vmis()
    assert (row.ip, row.ip4_active, row.dhcp_relay) == (LEASED, True, True)
    host = route_key(FABRIC_VRF, IPv4Network(LEASED))
    assert forms(compiler)[host].rtr_vrf_id == 0
    compiler.learned(replace(lease(compiler), mac=REMOTE))
    datapath.apply(compiler.commit())
    assert host not in forms(compiler), "another client's lease"


def test_an_unplugged_port_has_no_lease() -> None:
    compiler, datapath = started()
    compiler.learned(lease(compiler))
    datapath.apply(compiler.commit())
    world = on_fabric()
    port = next(row for row in world.inputs.values() if isinstance(row, PluggedPort))
    compiler.remove_port(port.uuid)
    datapath.apply(compiler.commit())
    compiler.put_port(port)
    datapath.apply(compiler.commit())
    assert [row.ip for row in compiler.vmis()] == [None]


def test_a_restart_finds_the_lease_in_the_datapath() -> None:
    old, datapath = started()
    old.learned(lease(old))
    datapath.apply(old.commit())
    compiler = Compiler(RELAY)
    compiler.seed([desired.message for desired in datapath.objects.values()])
    move(compiler, World(), on_fabric())
    compiler.complete()
    assert {one.key: one for one in compiler.commit().changed} == datapath.objects
