"""Simple gateways: what each wants in the datapath, what controllers hear, every way there."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

import pytest

from agent.inputs import Link, SimpleGateway
from agent.objects import Key, Kind
from agent.oper import Compiler
from agent.oper.datapath import InetFlag, route_key, vrf_key
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF
from agent.routes import Encapsulation, InetKey, PublishedRoute, RouteFamily
from agent.values import VRRP_MAC, Mac
from tests.graph.test_orders import named_keys
from tests.graph.test_restart import dumped
from tests.graph.worlds import (
    NIC,
    SETTINGS,
    START,
    World,
    expansions,
    forms,
    full,
    move,
    put,
    run,
    worked,
)

VRF = "default-domain:default-project:net1:net1"
ELSEWHERE = "default-domain:default-project:public:public"
BLOCK, OUTSIDE = IPv4Network("15.0.0.0/24"), IPv4Network("198.51.100.0/24")
GATEWAY = SimpleGateway("vgw", VRF, (BLOCK,), (OUTSIDE,))
DEVICE_MAC = Mac.parse("02:00:00:00:00:77")
DEVICE = Link("vgw", 44, DEVICE_MAC, True)
PAIR = worked(vms=2, networks=2)
FULL = full(PAIR)
WITH = FULL | [GATEWAY, DEVICE]
VIF = Key(Kind.VIF, ("gateway", "vgw"))
NEXTHOP = Key(Kind.NEXTHOP, ("interface", "gateway", "vgw"))
EVERYTHING = ip_network("0.0.0.0/0")


def objects(*states: World) -> dict[Key, Any]:
    return forms(run(states)[0])


def told(compiler: Compiler) -> list[PublishedRoute]:
    """The routes that controllers hear of, without those of ports."""
    found = compiler.publications()
    return [one for one in found if one.family is RouteFamily.INET and one.key.length < 32]


def test_the_device_is_a_vif_of_the_network() -> None:
    made = objects(WITH)
    vif, nexthop = made[VIF], made[NEXTHOP]
    assert (vif.vifr_type, vif.vifr_name, vif.vifr_os_idx) == (5, "vgw", 44)
    assert (vif.vifr_flags, vif.vifr_transport) == (0x2000C0, 1)
    assert vif.vifr_mac == VRRP_MAC
    assert vif.vifr_vrf == made[vrf_key(VRF)].vrf_idx
    assert vif.vifr_nh_id == nexthop.nhr_id
    assert nexthop.nhr_encap_oif_id == (vif.vifr_idx,)
    assert nexthop.nhr_encap == DEVICE_MAC + VRRP_MAC + b"\x08\x00"
    assert made[Key(Kind.LABEL, NEXTHOP.name)].mr_nhid == nexthop.nhr_id


def test_routes_lead_out_and_back_in() -> None:
    made = objects(WITH)
    out, back = made[route_key(VRF, OUTSIDE)], made[route_key(FABRIC_VRF, BLOCK)]
    assert (out.rtr_nh_id, out.rtr_label_flags) == (made[NEXTHOP].nhr_id, InetFlag.ARP_PROXY)
    host = made[route_key(FABRIC_VRF, IPv4Network("10.0.0.1/32"))]
    assert (back.rtr_nh_id, back.rtr_label_flags) == (host.rtr_nh_id, 0), "the host's own stack"
    assert route_key(VRF, EVERYTHING) not in made


def test_without_routes_it_is_the_default_gateway() -> None:
    made = objects(FULL | [DEVICE, replace(GATEWAY, routes=())])
    assert made[route_key(VRF, EVERYTHING)].rtr_nh_id == made[NEXTHOP].nhr_id


def test_a_vrf_that_no_vm_uses_comes_and_goes_with_the_gateway() -> None:
    only = START | [DEVICE, replace(GATEWAY, routing_instance=ELSEWHERE)]
    compiler, _ = run([only])
    assert ELSEWHERE in compiler.subscriptions()
    made = forms(compiler)
    assert made[VIF].vifr_vrf == made[vrf_key(ELSEWHERE)].vrf_idx == 2
    assert objects(only, START) == objects(START)


def test_controllers_hear_of_its_routes() -> None:
    compiler, _ = run([WITH])
    [route] = told(compiler)
    assert (route.vrf, route.key) == (VRF, InetKey(OUTSIDE.network_address.packed, 24))
    [way] = route.attributes.nexthops
    assert way.address == IPv4Address("10.0.0.1")
    assert way.label == forms(compiler)[Key(Kind.LABEL, NEXTHOP.name)].mr_label
    assert way.encapsulations == (Encapsulation.GRE, Encapsulation.UDP)
    assert (way.virtual_network, way.mac) == ("default-domain:default-project:net1", NIC)
    assert route.attributes.local_preference == 100


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (FULL | [GATEWAY], "interface vgw not found on this host"),
        (FULL | [GATEWAY, replace(DEVICE, up=False)], "interface vgw is down"),
    ],
)
def test_a_device_that_is_not_there_is_waited_for(world: World, reason: str) -> None:
    """The vif alone is there, so that a datapath can make the device."""
    compiler, _ = run([world])
    [row] = compiler.gateways()
    assert (row.active, row.reason) == (False, reason)
    made = forms(compiler)
    assert (made[VIF].vifr_type, made[VIF].vifr_nh_id) == (5, 0)
    assert NEXTHOP not in made
    assert route_key(VRF, OUTSIDE) not in made
    assert told(compiler) == []


@pytest.mark.parametrize(
    "interface",
    ["", "a/b", "a b", "sixteen-letters-", "..", "vgw%d", "\ud800", "eth1", "vhost0", "unix"],
)
def test_a_device_that_cannot_be_has_no_vif(interface: str) -> None:
    compiler, _ = run([FULL | [replace(GATEWAY, interface=interface)]])
    [row] = compiler.gateways()
    assert not row.active
    assert repr(interface)[1:-1] in row.reason
    assert forms(compiler) == objects(FULL)


@pytest.mark.parametrize("instance", ["", FABRIC_VRF, POLICY_VRF])
def test_the_fabric_is_no_network_of_a_gateway(instance: str) -> None:
    compiler, _ = run([FULL | [DEVICE, replace(GATEWAY, routing_instance=instance)]])
    assert not compiler.gateways()[0].active
    assert forms(compiler) == objects(FULL | [DEVICE])


def test_a_host_without_an_underlay_has_its_gateway_all_the_same() -> None:
    made = objects((FULL | [GATEWAY, DEVICE]).without(Link("eth1", 3, NIC, True)))
    assert made[route_key(VRF, OUTSIDE)].rtr_nh_id == made[NEXTHOP].nhr_id
    assert route_key(FABRIC_VRF, BLOCK) not in made


OTHERS = {
    "comes": [FULL, WITH],
    "goes": [WITH, FULL],
    "moves": [WITH, FULL | [DEVICE, replace(GATEWAY, routing_instance=ELSEWHERE)]],
    "other routes": [WITH, FULL | [DEVICE, replace(GATEWAY, routes=(), subnets=())]],
    "device comes late": [FULL | [GATEWAY], WITH],
    "two in one network": [FULL, WITH | [replace(GATEWAY, interface="vgw2")]],
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_way_gives_the_same(name: str) -> None:
    states = OTHERS[name]
    expected = named_keys(objects(states[-1]))
    for how, path, shuffle in expansions(states):
        compiler, datapath = run(path, shuffle)
        assert named_keys(forms(compiler)) == expected, how
        assert datapath.objects.keys() == forms(compiler).keys(), how


@pytest.mark.parametrize("instance", [VRF, ELSEWHERE])
def test_a_restart_finds_it_again(instance: str) -> None:
    """Also in a VRF that nothing else tells: the device names it."""
    network = replace(GATEWAY, routing_instance=instance, routes=(IPv4Network("8.8.8.8/32"),))
    world = FULL | [DEVICE, network]
    _, datapath = run([FULL | [replace(network, interface="first")], world])
    compiler = Compiler(SETTINGS)
    compiler.seed(dumped(datapath.objects, random.Random(5)))
    move(compiler, World(), world, random.Random(6))
    compiler.complete()
    assert {one.key: one for one in compiler.commit().changed} == datapath.objects


def test_of_two_for_one_prefix_one_stays() -> None:
    second = replace(GATEWAY, interface="vgw2")
    compiler, _ = run([WITH | [second, replace(DEVICE, name="vgw2", index=45)]])
    kept = Key(Kind.NEXTHOP, ("interface", "gateway", "vgw2"))
    assert len(told(compiler)) == 1
    compiler.remove_gateway("vgw")
    compiler.commit()
    made = forms(compiler)
    assert made[route_key(VRF, OUTSIDE)].rtr_nh_id == made[kept].nhr_id
    put(compiler, GATEWAY)
    compiler.commit()
    assert compiler.failures() == {}
