"""Logical routers over VXLAN: what routes between networks, here and on other hosts."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from agent.inputs import GraphLink, GraphNode
from agent.objects import Key, Kind
from agent.oper.datapath import route_key
from agent.routes import EvpnKey, RouteFamily
from agent.values import Mac
from tests.graph.test_publications import ROUTER
from tests.graph.test_restart import dumped, restarted
from tests.graph.test_routes import VXLAN, Site, batch, via, way
from tests.graph.worlds import NIC, World, expansions, forms, full, keyed, run, worked

PROJECT = "default-domain:default-project"
NAME = f"{PROJECT}:lr1-internal"
VRF = f"{NAME}:lr1-internal"
TOPOLOGY = worked(networks=3)
LR = ("logical-router", f"{PROJECT}:lr1")
JOINED = "logical-router-virtual-network"
NO_MAC = Mac(bytes(6))
L3_VNI = 5001
VRF_TRANSLATE = 7


def network(name: str) -> tuple[str, str]:
    return "virtual-network", f"{PROJECT}:{name}"


def join(name: str, kind: str) -> list[Any]:
    """The router joined to a network by a link of its own."""
    middle = (JOINED, f"attr({LR[1]},{name})")
    value = {"value": {"logical-router-virtual-network-type": kind}}
    return [
        GraphNode(*middle, value),
        GraphLink(JOINED, LR, middle),
        GraphLink(JOINED, middle, network(name)),
    ]


def interface(name: str) -> list[Any]:
    """An interface of the router in a network."""
    vmi = ("virtual-machine-interface", f"{PROJECT}:lr1-{name}")
    return [
        GraphNode(*vmi, {"id-perms": perms(len(name) + ord(name[-1]))}),
        GraphLink("logical-router-interface", LR, vmi),
        GraphLink("virtual-machine-interface-virtual-network", vmi, network(name)),
    ]


def perms(low: int) -> dict[str, Any]:
    return {"uuid": {"uuid-mslong": 99, "uuid-lslong": low}, "enable": True}


INTERNAL: list[Any] = [
    GraphNode(
        *network("lr1-internal"),
        {
            "id-perms": perms(1),
            "virtual-network-network-id": 77,
            "virtual-network-properties": {
                "forwarding-mode": "l3",
                "vxlan-network-identifier": L3_VNI,
            },
        },
    ),
    GraphNode("routing-instance", VRF),
    GraphLink(
        "virtual-network-routing-instance", network("lr1-internal"), ("routing-instance", VRF)
    ),
    *join("lr1-internal", "InternalVirtualNetwork"),
]
ROUTER_NODE = GraphNode(*LR, {"logical-router-type": "vxlan-routing"})
PLAIN = full(TOPOLOGY)
ROUTED = PLAIN | [ROUTER_NODE, *INTERNAL, *interface("net1"), *join("net2", "ExternalGateway")]
VMS = {vm.network: vm for vm in TOPOLOGY.vms.values()}


def site_of(world: World) -> Site:
    site = Site()
    site.compiler, site.datapath = run([world])
    return site


@pytest.fixture
def site() -> Site:
    return site_of(ROUTED)


def host(address: Any) -> EvpnKey:
    ip = ip_address(str(address))
    return EvpnKey(0, NO_MAC, ip, ip.max_prefixlen)


def prefixes(site: Site) -> dict[Any, Any]:
    """What is told of prefixes (type 5), by VRF and key."""
    return {
        (one.vrf, one.key): one.attributes
        for one in site.compiler.publications()
        if isinstance(one.key, EvpnKey) and one.key.mac == NO_MAC
    }


def test_hosts_of_attached_networks_are_told_as_prefixes(site: Site) -> None:
    told = prefixes(site)
    assert set(told) == {(VRF, host(VMS[name].address)) for name in ("net1", "net2")}
    for attributes in told.values():
        [one] = attributes.nexthops
        assert (one.address, one.label, one.mac) == (ROUTER, L3_VNI, NIC)
        assert one.encapsulations == (VXLAN,)
        assert (attributes.local_preference, attributes.sequence) == (100, 0)
        assert attributes.security_groups == (8000001,)


def test_the_routing_vrf_is_in_use(site: Site) -> None:
    index = site.compiler.subscriptions()[VRF]
    vni = site[Key(Kind.VXLAN, L3_VNI)]
    into = site.nexthops(VRF_TRANSLATE)[vni.vxlanr_nhid]
    assert (into.nhr_vrf, into.nhr_family) == (index, 7), "what arrives is bridged to the router"
    assert site[route_key(VRF, NIC)].rtr_nh_id == 3, "by its MAC address"


def test_local_hosts_are_routed_to_their_ports(site: Site) -> None:
    for name in ("net1", "net2"):
        to = ip_network(str(VMS[name].address))
        inside = site[route_key(f"{PROJECT}:{name}:{name}", to)]
        routed = site[route_key(VRF, to)]
        assert routed.rtr_nh_id == inside.rtr_nh_id
        assert (routed.rtr_mac, routed.rtr_label_flags & 0xB) == (b"", 0x2)
    assert route_key(VRF, ip_network(str(VMS["net3"].address))) not in site


def test_attached_networks_reach_each_others_subnets(site: Site) -> None:
    index = site.compiler.subscriptions()[VRF]
    for name, other in (("net1", "15.0.1.0/24"), ("net2", "15.0.0.0/24")):
        route = site[route_key(f"{PROJECT}:{name}:{name}", ip_network(other))]
        into = site.nexthops(VRF_TRANSLATE)[route.rtr_nh_id]
        assert (into.nhr_vrf, into.nhr_family) == (index, 2)
        assert route.rtr_label_flags == 0x2
        assert route_key(f"{PROJECT}:{name}:{name}", ip_network("15.0.2.0/24")) not in site
    assert route_key(f"{PROJECT}:net3:net3", ip_network("15.0.0.0/24")) not in site


def test_hosts_elsewhere_are_reached_over_vxlan(site: Site) -> None:
    mac = Mac.parse("0c:00:00:00:00:99")
    there = via(way("10.0.0.2", L3_VNI, (VXLAN,), mac=mac))
    site.tell(batch({host("15.0.1.9"): there}, VRF))
    route = site[route_key(VRF, ip_network("15.0.1.9/32"))]
    tunnel = site.tunnels()[route.rtr_nh_id]
    assert (tunnel.nhr_rw_dst_mac, route.rtr_label) == (mac, L3_VNI)


def test_our_own_word_told_back_changes_nothing(site: Site) -> None:
    before = dict(site.datapath.objects)
    own = host(VMS["net1"].address)
    site.tell(batch({own: prefixes(site)[VRF, own]}, VRF))
    assert site.datapath.objects == before


PARTS: dict[str, World] = {
    "a router that does not route over VXLAN": ROUTED | [replace(ROUTER_NODE, properties={})],
    "a router without internal network": ROUTED.without(*INTERNAL),
    "no router": ROUTED.without(ROUTER_NODE),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_graph_without_a_part_routes_for_nobody(part: str) -> None:
    site = site_of(PARTS[part])
    assert prefixes(site) == {}
    assert VRF not in site.compiler.subscriptions()
    assert forms(site.compiler) == forms(site_of(PLAIN).compiler)


def test_any_order_comes_to_the_same() -> None:
    expected = forms(run([PLAIN, ROUTED])[0])
    states = [PLAIN, PARTS["a router without internal network"], ROUTED]
    for name, way_there, shuffle in expansions(states):
        compiler, datapath = run(way_there, shuffle)
        found = {key: one.key for key, one in datapath.objects.items()}
        assert found.keys() == expected.keys(), name
        told = {(one.vrf, one.key) for one in compiler.publications() if one.vrf == VRF}
        assert len(told) == 2, name


def test_detaching_takes_back_what_was_told() -> None:
    site = site_of(ROUTED)
    site.compiler.published()
    for row in keyed(interface("net1")).values():
        if isinstance(row, GraphLink):
            site.compiler.graph.delete_link(row)
    site.turn()
    gone = site.compiler.published()
    assert [(one.family, one.vrf, one.key) for one in gone.withdrawn] == [
        (RouteFamily.EVPN, VRF, host(VMS["net1"].address))
    ]
    assert route_key(f"{PROJECT}:net1:net1", ip_network("15.0.1.0/24")) not in site


def test_networks_are_reached_in_any_shuffled_order() -> None:
    """All subnets of the router's networks, whatever came first (field problem 109)."""
    three = ROUTED | join("net3", "ExternalGateway")
    for seed in range(5):
        compiler, _ = run([three], random.Random(seed))
        found = forms(compiler)
        for at, name in enumerate(("net1", "net2", "net3")):
            for other in range(3):
                to = ip_network(f"15.0.{other}.0/24")
                route: Any = found[route_key(f"{PROJECT}:{name}:{name}", to)]
                assert (route.rtr_nh_id == 1) is (other == at), "its own is asked by flooding"


def test_a_restart_knows_all_of_it_again(site: Site) -> None:
    for seed in range(3):
        shuffle = random.Random(seed)
        again = restarted(ROUTED, dumped(site.datapath.objects, shuffle), shuffle)
        again.complete()
        again.commit()
        assert forms(again) == forms(site.compiler)
