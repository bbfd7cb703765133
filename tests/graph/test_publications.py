"""What controllers are told of this host, and how an address moves between hosts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

import pytest

from agent.inputs import GraphLink, GraphNode
from agent.objects import Key, Kind
from agent.oper.datapath import route_key
from agent.oper.tree_labels import local_labels, tree_labels
from agent.routes import ALL_FIELDS, GroupKey, LoadBalanceField, PublishedRoute, RouteFamily
from agent.values import BROADCAST_MAC
from tests.graph.test_routes import (
    GRE,
    NET1,
    ONE,
    TOPOLOGY,
    TWO,
    UDP,
    VM,
    VN1,
    VXLAN,
    ZERO,
    Site,
    batch,
    host_key,
    inet_key,
    own_label,
    via,
    way,
    worked_with,
)
from tests.graph.worlds import NIC, SETTINGS, full, move, ports_of, put, run, seen, worked

OWN = inet_key("15.0.0.3/32")
OWN_ROUTE = route_key(NET1, ip_network("15.0.0.3/32"))
ROUTER = IPv4Address("10.0.0.1")
TRAP = 0x4
ROOT = 0x200000


def told(site: Site) -> dict[Any, PublishedRoute]:
    return {(route.family, route.key): route for route in site.compiler.publications()}


def own(site: Site) -> Any:
    return told(site)[RouteFamily.INET, OWN].attributes


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_port(site: Site) -> None:
    routes = told(site)
    assert {route.vrf for route in routes.values()} == {NET1}
    mac, both = host_key(VM.mac), host_key(VM.mac, "15.0.0.3")
    assert set(routes) == {
        (RouteFamily.INET, OWN),
        (RouteFamily.EVPN, mac),
        (RouteFamily.EVPN, both),
        (RouteFamily.EVPN, host_key(BROADCAST_MAC)),
    }
    inet = routes[RouteFamily.INET, OWN].attributes
    [one] = inet.nexthops
    assert (one.address, one.label, one.encapsulations) == (ROUTER, own_label(site), (GRE, UDP))
    assert (one.virtual_network, one.mac) == (VN1, NIC)
    assert (inet.virtual_network, inet.sequence, inet.local_preference) == ("", 0, 100)
    assert inet.sub_protocol == "interface"
    for key in (mac, both):
        [one] = routes[RouteFamily.EVPN, key].attributes.nexthops
        assert (one.label, one.encapsulations) == (own_label(site, "l2-policy"), (GRE, UDP))
        assert (one.virtual_network, one.mac) == ("", None)
    [one] = routes[RouteFamily.EVPN, host_key(BROADCAST_MAC)].attributes.nexthops
    assert one.label == site[Key(Kind.LABEL, ("broadcast", NET1))].mr_label


def test_what_is_withdrawn_is_what_was_told(site: Site) -> None:
    first = site.compiler.published()
    assert {route[:3] for route in first.changed} == {
        route[:3] for route in site.compiler.publications()
    }
    assert first.withdrawn == ()
    assert site.compiler.published().changed == ()
    before = site.compiler.publications()
    site.compiler.remove_port(VM.port)
    site.turn()
    last = site.compiler.published()
    assert last.changed == ()
    assert sorted(map(str, last.withdrawn)) == sorted(map(str, before))
    assert site.compiler.publications() == []
    for port in ports_of(TOPOLOGY):
        put(site.compiler, port)
    site.turn()
    site.compiler.remove_port(VM.port)
    site.turn()
    nothing = site.compiler.published()
    assert (nothing.changed, nothing.withdrawn) == ((), ()), "nobody had heard of it"


def test_vxlan_is_told_by_vni() -> None:
    site = Site(worked_with(["VXLAN", "MPLSoUDP"]))
    keys = (host_key(VM.mac, "15.0.0.3", 5), host_key(BROADCAST_MAC, tag=5))
    for key in keys:
        [one] = told(site)[RouteFamily.EVPN, key].attributes.nexthops
        assert (one.label, one.encapsulations) == (5, (VXLAN,))
    [inet] = own(site).nexthops
    assert (inet.label, inet.encapsulations) == (own_label(site), (GRE, UDP))


def test_without_an_address_of_its_own_a_host_tells_nothing() -> None:
    compiler, _ = run([full(TOPOLOGY) | [replace(SETTINGS, address=None)]])
    assert compiler.publications() == []


@pytest.mark.parametrize(
    ("mode", "families"), [("l2", {RouteFamily.EVPN}), ("l3", {RouteFamily.INET})]
)
def test_forwarding_modes(mode: str, families: set[RouteFamily]) -> None:
    site = Site(worked(forwarding_mode=mode))
    assert {family for family, _ in told(site)} == families


def perms(number: int) -> dict[str, Any]:
    return {"uuid": {"uuid-mslong": 77, "uuid-lslong": number}, "enable": True}


def configured(kind: str) -> tuple[str, str]:
    """The one node of a kind in the topology's configuration."""
    rows = [row for row in full(TOPOLOGY).inputs.values() if isinstance(row, GraphNode)]
    return next((row.type, row.name) for row in rows if row.type == kind)


def changed_node(kind: str, **properties: Any) -> GraphNode:
    """That node with other properties, underscores standing for dashes."""
    row: Any = full(TOPOLOGY).inputs["node", *configured(kind)]
    named = {name.replace("_", "-"): value for name, value in properties.items()}
    return replace(row, properties={**row.properties, **named})


def test_security_groups(site: Site) -> None:
    assert own(site).security_groups == (8000001,)
    vmi = configured("virtual-machine-interface")
    for at, number in enumerate((8000002, 8000001, None, "eight")):
        group = ("security-group", f"sg{at}")
        put(site.compiler, GraphLink(f"{vmi[0]}-security-group", vmi, group))
        numbered = {"security-group-id": number, "id-perms": perms(at)}
        put(site.compiler, GraphNode(*group, numbered))
    site.compiler.published()
    site.turn()
    routes = told(site)
    for key in ((RouteFamily.INET, OWN), (RouteFamily.EVPN, host_key(VM.mac, "15.0.0.3"))):
        assert routes[key].attributes.security_groups == (8000001, 8000002)
    assert {route.key for route in site.compiler.published().changed} == {
        OWN,
        host_key(VM.mac),
        host_key(VM.mac, "15.0.0.3"),
    }


def tag(at: int, kind: str, number: str) -> GraphNode:
    properties = {"tag-type-name": kind, "tag-id": number, "id-perms": perms(at)}
    return GraphNode("tag", f"{kind}={at}", properties)


def test_tags_of_the_nearest_count_and_labels_add_up(site: Site) -> None:
    vmi, network = configured("virtual-machine-interface"), configured("virtual-network")
    project = GraphNode("project", "default-domain:default-project", {})
    rows: list[Any] = [
        project,
        GraphLink("project-virtual-machine-interface", (project.type, project.name), vmi),
    ]
    tags = {
        vmi: [tag(1, "tier", "0x000200000001"), tag(2, "label", "0x00000000000a")],
        network: [tag(3, "tier", "0x000200000002"), tag(4, "label", "0x00000000000b")],
        (project.type, project.name): [tag(5, "site", "0x000400000003"), tag(6, "site", "what")],
    }
    for bearer, borne in tags.items():
        for one in borne:
            rows += [one, GraphLink(f"{bearer[0]}-tag", bearer, (one.type, one.name))]
    for row in rows:
        put(site.compiler, row)
    site.turn()
    expected = (0xA, 0xB, 0x0002_0000_0001, 0x0004_0000_0003)
    for key in ((RouteFamily.INET, OWN), (RouteFamily.EVPN, host_key(VM.mac))):
        assert told(site)[key].attributes.nexthops[0].tags == expected


def test_what_chooses_among_several_ways(site: Site) -> None:
    assert own(site).load_balance == ALL_FIELDS
    hashing = {"hashing-configured": True, "source-port": False, "destination-port": False}
    addresses = ALL_FIELDS - {LoadBalanceField.SOURCE_PORT, LoadBalanceField.DESTINATION_PORT}
    put(site.compiler, changed_node("virtual-network", ecmp_hashing_include_fields=hashing))
    site.turn()
    assert own(site).load_balance == addresses
    only = {"hashing-configured": True, "source-ip": False} | hashing
    vmi = "virtual-machine-interface"
    put(site.compiler, changed_node(vmi, ecmp_hashing_include_fields=only))
    site.turn()
    assert own(site).load_balance == addresses - {LoadBalanceField.SOURCE_ADDRESS}
    off = {"hashing-configured": False, "source-ip": False}
    put(site.compiler, changed_node(vmi, ecmp_hashing_include_fields=off))
    put(site.compiler, changed_node("virtual-network"))
    put(site.compiler, changed_node("global-vrouter-config", ecmp_hashing_include_fields=hashing))
    site.turn()
    assert own(site).load_balance == addresses


def test_leaves_of_an_etree(site: Site) -> None:
    def marks() -> tuple[set[int], int]:
        vif = next(
            key for key in site.datapath.objects if key.kind is Kind.VIF and VM.tap in key.name
        )
        flags = {one.nhr_flags & ROOT for one in site.nexthops(2).values() if one.nhr_vrf == 2}
        return flags, site[vif].vifr_flags & ROOT

    hosts = (host_key(VM.mac), host_key(VM.mac, "15.0.0.3"))
    assert marks() == ({ROOT}, ROOT)
    assert not any(told(site)[RouteFamily.EVPN, key].attributes.etree_leaf for key in hosts)
    put(site.compiler, changed_node("virtual-network", pbb_etree_enable=True))
    site.turn()
    assert marks() == ({0}, 0)
    assert all(told(site)[RouteFamily.EVPN, key].attributes.etree_leaf for key in hosts)
    assert not own(site).etree_leaf


def test_an_address_of_either_family() -> None:
    parsed = worked(subnets=["15.0.0.0/24", "fd00:15::/64"], subnet=None)
    parsed = replace(parsed, vms={VM.name: replace(VM, address6=IPv6Address("fd00:15::3"))})
    site = Site(parsed)
    six = told(site)[RouteFamily.INET6, inet_key("fd00:15::3/128")].attributes
    assert six.nexthops == own(site).nexthops, "the way is the host's IPv4 address and one label"
    assert (RouteFamily.EVPN, host_key(VM.mac, "fd00:15::3")) in told(site)


def test_the_tree(site: Site) -> None:
    key = RouteFamily.ERMVPN, GroupKey(IPv4Address("255.255.255.255"), ZERO)
    assert key not in told(site), "nobody builds it"
    site.compiler.build_trees(ONE, 0)
    site.turn()
    route = told(site)[key].attributes
    assert (route.label_range, route.nexthops[0].address) == ((4609, 5119), ROUTER)
    site.compiler.build_trees(TWO, 1)
    site.turn()
    assert told(site)[key].attributes.label_range == (4098, 4608)
    site.compiler.limit(Kind.LABEL, 4098)
    site.turn()
    assert key not in told(site), "no room for labels"
    site.compiler.build_trees(None, None)
    site.turn()
    assert key not in told(site)


@pytest.mark.parametrize("labels", [1000, 4098, 4099, 5120, 20000, 1 << 20])
def test_labels_of_trees_are_nobody_elses(labels: int) -> None:
    ranges = [tree_labels(slot, labels, 4096) for slot in (1, 0)]
    ends = [end for one in ranges if one for end in one]
    assert ends == sorted(ends)
    assert all(local_labels(labels, 4096) <= end < labels for end in ends)
    assert bool(ends) is (labels > 4099)


def test_traffic_takes_the_address(site: Site) -> None:
    site.compiler.published()
    assert site[OWN_ROUTE].rtr_label_flags & TRAP
    site.learn(seen(site.compiler, VM.port))
    assert not site[OWN_ROUTE].rtr_label_flags & TRAP
    assert (own(site).local_preference, own(site).sequence) == (200, 1)
    assert {route.key for route in site.compiler.published().changed} == {
        OWN,
        host_key(VM.mac),
        host_key(VM.mac, "15.0.0.3"),
    }
    site.learn(seen(site.compiler, VM.port))
    assert site.compiler.published().changed == ()


def test_traffic_takes_the_address_from_another_host(site: Site) -> None:
    elsewhere = via(way("10.0.0.2", 25), sequence=6, local_preference=200)
    site.tell(batch({OWN: elsewhere}))
    assert (own(site).local_preference, own(site).sequence) == (100, 0)
    site.learn(seen(site.compiler, VM.port))
    assert (own(site).local_preference, own(site).sequence) == (200, 7)


def test_a_port_gives_way_to_a_higher_sequence_and_can_come_back(site: Site) -> None:
    site.learn(seen(site.compiler, VM.port))
    mirrored = via(way("10.0.0.1", own_label(site)), sequence=1, local_preference=200)
    site.tell(batch({OWN: mirrored}))
    assert own(site).local_preference == 200, "our own word told back"
    equal = via(way("10.0.0.2", 25), sequence=1, local_preference=100)
    site.tell(batch({OWN: equal}))
    assert own(site).local_preference == 200
    moved = via(way("10.0.0.2", 25), sequence=2, local_preference=200)
    site.tell(batch({OWN: moved}))
    assert (own(site).local_preference, own(site).sequence) == (100, 1)
    assert site[OWN_ROUTE].rtr_nh_id in site.tunnels()
    assert site.compiler.waiting() == [(3, VM.address, VM.mac)]
    site.learn(seen(site.compiler, VM.port))
    assert (own(site).local_preference, own(site).sequence) == (200, 3)


def test_a_preference_of_the_configuration_is_not_moved() -> None:
    world = full(TOPOLOGY)
    [(name, node)] = [
        (name, row)
        for name, row in world.inputs.items()
        if isinstance(row, GraphNode) and row.type == "virtual-machine-interface"
    ]
    place = "virtual-machine-interface-properties"
    static = replace(node, properties={**node.properties, place: {"local-preference": 150}})
    site = Site()
    move(site.compiler, world, type(world)(world.inputs | {name: static}))
    site.turn()
    assert (own(site).local_preference, own(site).sequence) == (150, 0)
    assert not site[OWN_ROUTE].rtr_label_flags & TRAP
    site.learn(seen(site.compiler, VM.port))
    assert (own(site).local_preference, own(site).sequence) == (150, 0)


def test_two_ports_with_one_address_are_told_once() -> None:
    parsed = worked(vms=2)
    one, two = parsed.vms.values()
    both = replace(parsed, vms={one.name: one, two.name: replace(two, address=one.address)})
    site = Site(both)
    labels = []
    for _ in range(2):
        [route] = [route for route in site.compiler.publications() if route.key == OWN]
        labels.append(route.attributes.nexthops[0].label)
        site.compiler.remove_port(one.port)
        site.turn()
    assert len(set(labels)) == 2
    assert site.compiler.published().withdrawn == ()


def test_subscriptions(site: Site) -> None:
    assert site.compiler.subscriptions() == {
        "default-domain:default-project:ip-fabric:__default__": 0,
        "default-domain:default-project:ip-fabric:ip-fabric": 1,
        NET1: 2,
    }
    site.compiler.remove_port(VM.port)
    site.turn()
    assert NET1 not in site.compiler.subscriptions()


def test_why_a_remote_route_is_there(site: Site) -> None:
    site.tell(batch({OWN: via(way("10.0.0.2", 25))}))
    reads = [str(read) for read in site.compiler.why(OWN_ROUTE)]
    assert reads[0] == "route[15.0.0.3/32]"
    assert any(read.startswith("demand.direction_output(") for read in reads)
    site.tell(batch({OWN: None}))
    assert any("vmi.vmi" in str(read) for read in site.compiler.why(OWN_ROUTE))
