"""Remote routes: the relations of facts worked-example.md section 4, and what EVPN adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest

from agent.inputs import ArpLost, ArpResolved, GraphLink, GraphNode
from agent.objects import Key, Kind
from agent.oper.datapath import route_key
from agent.routes import (
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteKey,
    RouteNexthop,
    RouteUpdate,
    TreeNeighbour,
)
from agent.values import BROADCAST_MAC, Mac, ip4_as_loaded
from tests.graph.worlds import NIC, REMOTE, forms, full, move, ports_of, run, worked

NET1 = "default-domain:default-project:net1:net1"
FABRIC = "default-domain:default-project:ip-fabric:__default__"
VN1 = "default-domain:default-project:net1"
TOPOLOGY = worked()
[VM] = TOPOLOGY.vms.values()
ONE, TWO = "10.0.0.250", "10.0.0.251"
PEER_HOST = IPv4Address("10.0.0.2")
GUEST_MAC = Mac.parse("02:bb:00:00:00:04")
UDP, GRE, VXLAN = Encapsulation.UDP, Encapsulation.GRE, Encapsulation.VXLAN
ZERO = IPv4Address(0)


def inet_key(prefix: str) -> InetKey:
    network = ip_network(prefix)
    return InetKey(network.network_address.packed, network.prefixlen)


def host_key(mac: Mac, ip: str = "0.0.0.0", tag: int = 0) -> EvpnKey:
    address = ip_address(ip)
    return EvpnKey(tag, mac, address, address.max_prefixlen)


def way(
    host: str, label: int, encapsulations: tuple[Encapsulation, ...] = (UDP,), **more: Any
) -> RouteNexthop:
    return RouteNexthop(IPv4Address(host), label, encapsulations, **{"virtual_network": VN1} | more)


def via(*ways: RouteNexthop, **more: Any) -> RouteAttributes:
    return RouteAttributes(ways, **{"virtual_network": VN1} | more)


def batch(
    updates: Mapping[Any, RouteAttributes | None],
    vrf: str = NET1,
    family: RouteFamily | None = None,
) -> RouteBatch:
    key: RouteKey = next(iter(updates))
    if family is None:
        family = {EvpnKey: RouteFamily.EVPN, GroupKey: RouteFamily.ERMVPN}.get(
            type(key), RouteFamily.INET
        )
        if isinstance(key, InetKey) and len(key.prefix) == 16:
            family = RouteFamily.INET6
    return RouteBatch(family, vrf, [RouteUpdate(*each) for each in updates.items()])


GUEST = inet_key("15.0.0.4/32")
GUEST_ROUTE = {GUEST: via(way("10.0.0.2", 25))}
GUEST_HOST = {host_key(GUEST_MAC, "15.0.0.4"): via(way("10.0.0.2", 26))}
ROUTE = route_key(NET1, ip_network("15.0.0.4/32"))
BRIDGE = route_key(NET1, GUEST_MAC)
ANSWER = ArpResolved(0, PEER_HOST, REMOTE, 0)


class Site:
    """A running compiler with its datapath."""

    def __init__(self, parsed: Any = TOPOLOGY) -> None:
        self.compiler, self.datapath = run([full(parsed)])

    def tell(self, *batches: RouteBatch, peer: str = ONE) -> None:
        for each in batches:
            self.compiler.routes(peer, each)
        self.turn()

    def learn(self, fact: Any) -> None:
        self.compiler.learned(fact)
        self.turn()

    def turn(self) -> Any:
        delta = self.compiler.commit()
        self.datapath.apply(delta)
        assert self.compiler.failures() == {}
        return delta

    def __getitem__(self, key: Key) -> Any:
        return self.datapath.objects[key].message

    def __contains__(self, key: Key) -> bool:
        return key in self.datapath.objects

    def nexthops(self, kind: int) -> dict[int, Any]:
        messages: Iterable[Any] = (one.message for one in self.datapath.objects.values())
        return {
            one.nhr_id: one
            for one in messages
            if one.NAME == "vr_nexthop_req" and one.nhr_type == kind
        }

    def tunnels(self) -> dict[int, Any]:
        return self.nexthops(3)


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_route_before_arp(site: Site) -> None:
    site.tell(batch(GUEST_ROUTE))
    [tunnel] = site.tunnels().values()
    assert (tunnel.nhr_tun_sip, tunnel.nhr_tun_dip) == (
        ip4_as_loaded(IPv4Address("10.0.0.1")),
        ip4_as_loaded(PEER_HOST),
    )
    assert (tunnel.nhr_flags, tunnel.nhr_family, tunnel.nhr_vrf) == (0x200040, 2, 0)
    assert (tunnel.nhr_encap_oif_id, tunnel.nhr_encap_crypt_oif_id) == ((0,), -1)
    assert site.compiler.wanted_arp() == {(0, PEER_HOST), (0, IPv4Address("10.0.0.254"))}
    route = site[ROUTE]
    assert (route.rtr_nh_id, route.rtr_vrf_id) == (tunnel.nhr_id, 2)
    assert (route.rtr_prefix, route.rtr_prefix_len) == (GUEST.prefix, 32)
    assert (route.rtr_label, route.rtr_label_flags) == (25, 0x1 | 0x8)
    assert route.rtr_mac == b""


def test_evpn_adds_the_bridge_entry_and_the_mac(site: Site) -> None:
    site.tell(batch(GUEST_ROUTE), batch(GUEST_HOST))
    [tunnel] = site.tunnels()
    bridge, route = site[BRIDGE], site[ROUTE]
    assert (bridge.rtr_family, bridge.rtr_mac, bridge.rtr_nh_id) == (7, GUEST_MAC, tunnel)
    assert (bridge.rtr_label, bridge.rtr_label_flags) == (26, 0x2 | 0x4)
    assert (route.rtr_nh_id, route.rtr_label, route.rtr_mac) == (tunnel, 25, GUEST_MAC)
    assert route.rtr_label_flags == 0x1 | 0x2
    assert BRIDGE in site.datapath.objects[ROUTE].refs
    site.tell(batch(dict.fromkeys(GUEST_HOST)))
    assert BRIDGE not in site
    assert (site[ROUTE].rtr_label_flags, site[ROUTE].rtr_mac) == (0x1 | 0x8, b"")


def test_evpn_first_gives_the_same(site: Site) -> None:
    site.tell(batch(GUEST_HOST))
    assert ROUTE not in site
    site.tell(batch(GUEST_ROUTE))
    other = Site()
    other.tell(batch(GUEST_ROUTE), batch(GUEST_HOST))
    assert site.datapath.objects == other.datapath.objects


def test_arp_makes_the_tunnel_valid_and_touches_no_route(site: Site) -> None:
    site.tell(batch(GUEST_ROUTE), batch(GUEST_HOST))
    [index] = site.tunnels()
    site.compiler.learned(ANSWER)
    delta = site.turn()
    assert ROUTE not in {one.key for one in delta.changed}
    tunnel = site.tunnels()[index]
    assert tunnel.nhr_flags == 0x200041
    assert tunnel.nhr_encap == REMOTE + NIC + b"\x08\x00"
    neighbour = site[Key(Kind.NEXTHOP, ("arp", PEER_HOST))]
    assert (neighbour.nhr_type, neighbour.nhr_encap) == (2, tunnel.nhr_encap)
    assert site[route_key(FABRIC, ip_network("10.0.0.2/32"))].rtr_nh_id == neighbour.nhr_id
    site.learn(ArpLost(0, PEER_HOST))
    lost = site.tunnels()[index]
    assert lost.nhr_flags == 0x200040
    assert len(lost.nhr_encap) == len(tunnel.nhr_encap), "a datapath cannot change its length"


def test_after_arp(site: Site) -> None:
    site.learn(ANSWER)
    site.tell(batch(GUEST_ROUTE))
    [tunnel] = site.tunnels().values()
    assert tunnel.nhr_flags == 0x200041


def test_a_far_host_goes_by_the_gateway(site: Site) -> None:
    site.tell(batch({GUEST: via(way("10.9.0.2", 25))}))
    assert site.compiler.wanted_arp() == {(0, IPv4Address("10.0.0.254"))}
    site.learn(ArpResolved(0, IPv4Address("10.0.0.254"), REMOTE, 0))
    [tunnel] = site.tunnels().values()
    assert (tunnel.nhr_flags, tunnel.nhr_encap[:6]) == (0x200041, REMOTE)


def test_retracting_the_last_route_takes_the_tunnel(site: Site) -> None:
    before = dict(site.datapath.objects)
    site.learn(ANSWER)
    site.tell(batch(GUEST_ROUTE), batch(GUEST_HOST))
    site.tell(batch({GUEST: None}))
    assert len(site.tunnels()) == 1, "the bridge entry still uses it"
    site.tell(batch(dict.fromkeys(GUEST_HOST)))
    site.learn(ArpLost(0, PEER_HOST))
    assert site.datapath.objects == before
    assert site.compiler.wanted_arp() == {(0, IPv4Address("10.0.0.254"))}


def test_routes_of_a_host_share_its_tunnel(site: Site) -> None:
    site.tell(
        batch({inet_key(f"15.0.0.{n}/32"): via(way("10.0.0.2", 20 + n)) for n in range(10, 40)})
    )
    [tunnel] = site.tunnels()
    for n in range(10, 40):
        route = site[route_key(NET1, ip_network(f"15.0.0.{n}/32"))]
        assert (route.rtr_nh_id, route.rtr_label) == (tunnel, 20 + n)


def test_ecmp_keeps_places(site: Site) -> None:
    ways = [way(f"10.0.0.{n}", 30 + n) for n in (2, 3, 4)]
    site.tell(batch({GUEST: via(*ways)}))
    three = site.nexthops(6)[site[ROUTE].rtr_nh_id]
    by_far = {one.nhr_tun_dip: index for index, one in site.tunnels().items()}
    members = [by_far[ip4_as_loaded(IPv4Address(f"10.0.0.{n}"))] for n in (2, 3, 4)]
    assert three.nhr_flags == 0x200401
    assert (three.nhr_family, three.nhr_ecmp_config_hash) == (2, 0x1F)
    assert (list(three.nhr_nh_list), three.nhr_label_list) == (members, (32, 33, 34))
    route = site[ROUTE]
    assert (route.rtr_nh_id, route.rtr_label, route.rtr_label_flags) == (three.nhr_id, 0, 0x2)

    site.tell(batch({GUEST: via(ways[0], ways[2])}))
    two = site.nexthops(6)[site[ROUTE].rtr_nh_id]
    assert two.nhr_nh_list == (members[0], -1, members[2])
    assert two.nhr_label_list == (32, -1, 34)
    site.tell(batch({GUEST: via(ways[0], way("10.0.0.9", 39), ways[2])}))
    again = site.nexthops(6)[site[ROUTE].rtr_nh_id]
    assert again.nhr_label_list == (32, 39, 34)
    site.tell(batch({GUEST: via(ways[2])}))
    assert site[ROUTE].rtr_nh_id == members[2]
    assert site[ROUTE].rtr_label == 34
    assert {one.nhr_flags & 0x400 for one in site.nexthops(6).values()} == {0}


def test_ecmp_routes_with_the_same_members_share_a_composite(site: Site) -> None:
    ways = [way("10.0.0.2", 32), way("10.0.0.3", 33)]
    other = inet_key("15.0.0.5/32")
    site.tell(batch({GUEST: via(*ways), other: via(*reversed(ways))}))
    assert site[ROUTE].rtr_nh_id == site[route_key(NET1, ip_network("15.0.0.5/32"))].rtr_nh_id


def own_label(site: Site, name: str = "l3-policy") -> int:
    key = Key(Kind.LABEL, ("interface", str(VM.port), VM.tap, name))
    return int(site[key].mr_label)


def test_our_own_route_told_back_changes_nothing(site: Site) -> None:
    before = dict(site.datapath.objects)
    own = via(way("10.0.0.1", own_label(site), (GRE, UDP)), sequence=0)
    site.tell(batch({inet_key("15.0.0.3/32"): own}))
    mac = via(way("10.0.0.1", own_label(site, "l2-policy"), (GRE, UDP)))
    site.tell(batch({host_key(VM.mac): mac, host_key(VM.mac, "15.0.0.3"): mac}))
    assert site.datapath.objects == before


def test_a_route_of_this_host_leaked_from_elsewhere_leads_to_the_port(site: Site) -> None:
    label = own_label(site)
    site.tell(batch({inet_key("16.0.0.3/32"): via(way("10.0.0.1", label, virtual_network="x"))}))
    route = site[route_key(NET1, ip_network("16.0.0.3/32"))]
    port = site[Key(Kind.NEXTHOP, ("interface", str(VM.port), VM.tap, "l3-policy"))]
    assert (route.rtr_nh_id, route.rtr_label_flags) == (port.nhr_id, 0x2)
    assert site.tunnels() == {}
    site.compiler.remove_port(VM.port)
    site.turn()
    assert route_key(NET1, ip_network("16.0.0.3/32")) not in site


def test_ecmp_with_a_member_of_this_host(site: Site) -> None:
    label = own_label(site)
    site.tell(batch({GUEST: via(way("10.0.0.1", label), way("10.0.0.2", 25))}))
    made = site.nexthops(6)[site[ROUTE].rtr_nh_id]
    port = site[Key(Kind.NEXTHOP, ("interface", str(VM.port), VM.tap, "l3-policy"))]
    [tunnel] = site.tunnels()
    assert made.nhr_nh_list == (port.nhr_id, tunnel)
    site.tell(batch({inet_key("15.0.0.9/32"): via(way("10.0.0.1", 4000), way("10.0.0.2", 25))}))
    other = site.nexthops(6)[site[route_key(NET1, ip_network("15.0.0.9/32"))].rtr_nh_id]
    assert other.nhr_nh_list == (-1, tunnel), "nobody has this label"


def test_a_moved_vm_is_followed_and_comes_back(site: Site) -> None:
    """The controller's path beats the port's while it leads elsewhere."""
    to = route_key(NET1, ip_network("15.0.0.3/32"))
    local = site[to]
    site.tell(batch({inet_key("15.0.0.3/32"): via(way("10.0.0.2", 25), sequence=1)}))
    [tunnel] = site.tunnels()
    assert (site[to].rtr_nh_id, site[to].rtr_label) == (tunnel, 25)
    site.tell(batch({inet_key("15.0.0.3/32"): None}))
    assert site[to] == local


def test_a_port_that_goes_leaves_the_remote_route(site: Site) -> None:
    own, remote = way("10.0.0.1", own_label(site)), way("10.0.0.2", 25)
    to, key = route_key(NET1, ip_network("15.0.0.3/32")), inet_key("15.0.0.3/32")
    keeper = worked(vms=2)
    site = Site(keeper)
    site.tell(batch({key: via(remote)}))
    site.compiler.remove_port(VM.port)
    site.turn()
    [tunnel] = site.tunnels()
    assert site[to].rtr_nh_id == tunnel
    site.tell(batch({key: via(own)}))
    assert to not in site, "nobody here answers to that label any more"


@pytest.mark.parametrize(
    ("preferred", "offered", "flag"),
    [
        (["MPLSoUDP", "MPLSoGRE"], (GRE, UDP), 0x40),
        (["MPLSoGRE", "MPLSoUDP"], (GRE, UDP), 0x8),
        (["MPLSoUDP", "MPLSoGRE"], (GRE,), 0x8),
        (["VXLAN", "MPLSoUDP"], (GRE, UDP, VXLAN), 0x40),
        (["VXLAN"], (), 0x8),
        (["MPLSoGRE"], (VXLAN,), 0x8),
    ],
)
def test_the_tunnel_of_an_inet_route(preferred: list[str], offered: Any, flag: int) -> None:
    site = Site(worked_with(preferred))
    site.tell(batch({GUEST: via(way("10.0.0.2", 25, offered))}))
    [tunnel] = site.tunnels().values()
    assert tunnel.nhr_flags == 0x200000 | flag


def worked_with(encapsulations: list[str]) -> Any:
    return replace(worked(), encapsulations=tuple(encapsulations))


@pytest.mark.parametrize(
    ("preferred", "offered", "flag", "label"),
    [
        (["VXLAN", "MPLSoUDP"], (VXLAN,), 0x80, 5),
        (["MPLSoUDP", "VXLAN"], (VXLAN,), 0x80, 5),
        (["VXLAN", "MPLSoUDP"], (GRE, UDP), 0x40, 26),
    ],
)
def test_the_tunnel_of_a_mac(preferred: list[str], offered: Any, flag: int, label: int) -> None:
    site = Site(worked_with(preferred))
    site.tell(batch({host_key(GUEST_MAC, tag=label): via(way("10.0.0.2", label, offered))}))
    [tunnel] = site.tunnels().values()
    assert tunnel.nhr_flags == 0x200000 | flag
    assert (site[BRIDGE].rtr_nh_id, site[BRIDGE].rtr_label) == (tunnel.nhr_id, label)


def test_another_priority_moves_the_routes(site: Site) -> None:
    site.tell(batch({GUEST: via(way("10.0.0.2", 25, (GRE, UDP)))}))
    old = site.tunnels()[site[ROUTE].rtr_nh_id]
    move(site.compiler, full(TOPOLOGY), full(worked_with(["MPLSoGRE"])))
    site.turn()
    [new] = site.tunnels().values()
    assert (old.nhr_flags, new.nhr_flags) == (0x200040, 0x200008)
    assert site[ROUTE].rtr_nh_id == new.nhr_id


@pytest.mark.parametrize(
    ("prefix", "network", "flags"),
    [
        ("15.0.0.9/32", VN1, 0x8),
        ("15.0.0.9/32", "default-domain:default-project:net2", 0x2),
        ("15.0.0.9/32", "unresolved", 0x2),
        ("15.0.0.8/29", VN1, 0x2),
        ("16.0.0.0/24", VN1, 0x2),
        ("16.0.0.1/32", VN1, 0x2),
        ("15.0.0.0/24", VN1, 0x8),
        ("0.0.0.0/0", VN1, 0x2),
    ],
)
def test_who_answers_arp(site: Site, prefix: str, network: str, flags: int) -> None:
    site.tell(batch({inet_key(prefix): via(way("10.0.0.2", 25, virtual_network=network))}))
    assert site[route_key(NET1, ip_network(prefix))].rtr_label_flags == 0x1 | flags


def test_inet6() -> None:
    parsed = worked(subnets=["15.0.0.0/24", "fd00:15::/64"], subnet=None)
    site = Site(parsed)
    site.tell(batch({inet_key("fd00:15::9/128"): via(way("10.0.0.2", 25))}))
    route = site[route_key(NET1, ip_network("fd00:15::9/128"))]
    assert (route.rtr_family, len(route.rtr_prefix), route.rtr_prefix_len) == (10, 16, 128)
    assert route.rtr_label_flags == 0x1 | 0x8
    site.tell(batch({host_key(GUEST_MAC, "fd00:15::9"): via(way("10.0.0.2", 26))}))
    route = site[route_key(NET1, ip_network("fd00:15::9/128"))]
    assert (route.rtr_label_flags, route.rtr_mac) == (0x1 | 0x2, GUEST_MAC)


def test_routes_without_use_are_ignored(site: Site) -> None:
    before = dict(site.datapath.objects)
    site.tell(batch({GUEST: via(way("10.0.0.2", 25))}, vrf="default-domain:p:nowhere:nowhere"))
    assert site.compiler.route_counters.ignored == 1
    site.tell(batch({GUEST: via(way("10.0.0.2", 0)), inet_key("15.0.0.8/32"): via()}))
    assert site.datapath.objects == before


def test_the_fabric_vrf(site: Site) -> None:
    native = RouteAttributes((RouteNexthop(IPv4Address("10.0.0.7"), 0),))
    kept = {key: site[key] for key in site.datapath.objects if key.kind is Kind.INET_ROUTE}
    site.tell(
        batch(
            {
                inet_key(prefix): native
                for prefix in ("20.0.0.0/24", "10.0.0.1/32", "10.0.0.0/24", "0.0.0.0/0")
            },
            vrf=FABRIC,
        )
    )
    to = route_key(FABRIC, ip_network("20.0.0.0/24"))
    assert site[to].rtr_nh_id == 1
    assert (0, IPv4Address("10.0.0.7")) in site.compiler.wanted_arp()
    assert {key: site[key] for key in kept} == kept, "the host's own routes stay"
    site.learn(ArpResolved(0, IPv4Address("10.0.0.7"), REMOTE, 0))
    neighbour = site[Key(Kind.NEXTHOP, ("arp", IPv4Address("10.0.0.7")))]
    assert (site[to].rtr_nh_id, site[to].rtr_label_flags) == (neighbour.nhr_id, 0)
    assert site.tunnels() == {}


def test_a_label_leads_through_a_tunnel_in_the_fabric_vrf_too(site: Site) -> None:
    before = dict(site.datapath.objects)
    told = {
        inet_key("20.0.0.0/24"): via(way("10.0.0.7", 40)),
        inet_key("10.0.0.1/32"): via(way("10.0.0.7", 41)),
    }
    site.tell(batch(told, vrf=FABRIC))
    route = site[route_key(FABRIC, ip_network("20.0.0.0/24"))]
    [tunnel] = site.tunnels()
    assert (route.rtr_nh_id, route.rtr_label, route.rtr_label_flags) == (tunnel, 40, 1)
    assert (
        site[route_key(FABRIC, ip_network("10.0.0.1/32"))]
        == before[route_key(FABRIC, ip_network("10.0.0.1/32"))].message
    ), "the host's own"
    site.tell(batch(dict.fromkeys(told), vrf=FABRIC))
    assert site.datapath.objects == before


def test_the_policy_vrf_keeps_what_is_the_hosts(site: Site) -> None:
    native = RouteAttributes((RouteNexthop(IPv4Address("10.0.0.7"), 0),))
    policy = "default-domain:default-project:ip-fabric:ip-fabric"
    told = ("0.0.0.0/0", "10.0.0.1/32", "10.0.0.0/24", "10.0.0.9/32", "20.0.0.0/24")
    before = set(site.datapath.objects)
    site.tell(batch({inet_key(prefix): native for prefix in told}, vrf=policy))
    routes = {key for key in set(site.datapath.objects) - before if key.kind is Kind.INET_ROUTE}
    assert routes == {route_key(policy, ip_network(prefix)) for prefix in told[3:]}


def neighbour(host: str, label: int, *encapsulations: Encapsulation) -> TreeNeighbour:
    return TreeNeighbour(IPv4Address(host), label, encapsulations)


TREE = {
    GroupKey(IPv4Address("255.255.255.255"), ZERO): RouteAttributes(
        neighbours=(neighbour("10.0.0.2", 8200, GRE, UDP), neighbour("10.0.0.3", 8300, GRE, UDP)),
        source_label=4100,
    )
}
LIST = {
    host_key(BROADCAST_MAC): RouteAttributes(
        neighbours=(neighbour("10.0.0.1", 19, UDP), neighbour("10.0.0.4", 40, UDP))
    )
}
GROUP = Key(Kind.NEXTHOP, ("broadcast", NET1))


def test_broadcast_reaches_the_tree_and_the_list(site: Site) -> None:
    before = dict(site.datapath.objects)
    local = site[GROUP].nhr_nh_list
    site.tell(batch(TREE), batch(LIST))
    fars = {one.nhr_tun_dip: index for index, one in site.tunnels().items()}
    two, three, four = (fars[ip4_as_loaded(IPv4Address(f"10.0.0.{n}"))] for n in (2, 3, 4))
    tree = site[Key(Kind.NEXTHOP, ("tree", NET1))]
    assert (tree.nhr_type, tree.nhr_flags, tree.nhr_family) == (6, 0x200201, 7)
    assert (tree.nhr_nh_list, tree.nhr_label_list) == ((two, three), (8200, 8300))
    others = site[Key(Kind.NEXTHOP, ("others", NET1))]
    assert (others.nhr_type, others.nhr_flags, others.nhr_family) == (6, 0x201001, 2)
    assert (others.nhr_nh_list, others.nhr_label_list) == ((four,), (40,))
    assert site[GROUP].nhr_nh_list == (*local, tree.nhr_id, others.nhr_id)
    assert site[Key(Kind.LABEL, ("tree", 4100))].mr_label == 4100
    assert site[Key(Kind.LABEL, ("tree", 4100))].mr_nhid == site[GROUP].nhr_id
    assert (0, IPv4Address("10.0.0.4")) in site.compiler.wanted_arp()
    site.tell(batch(dict.fromkeys(TREE)), batch(dict.fromkeys(LIST)))
    assert site.datapath.objects == before


@pytest.mark.parametrize("label", [1, 23, 4097, 5120, 0xFFFFFF])
def test_a_tree_takes_no_label_that_is_not_for_trees(site: Site, label: int) -> None:
    labels = [key for key in site.datapath.objects if key.kind is Kind.LABEL]
    [(key, route)] = TREE.items()
    site.tell(batch({key: replace(route, source_label=label)}))
    assert [key for key in site.datapath.objects if key.kind is Kind.LABEL] == labels
    assert Key(Kind.NEXTHOP, ("tree", NET1)) in site, "this host still sends into it"


def test_of_two_trees_with_one_label_the_first_has_it() -> None:
    parsed = worked(networks=2)
    compiler, datapath = run([full(parsed)])
    net2 = "default-domain:default-project:net2:net2"
    for vrf in (NET1, net2):
        compiler.routes(ONE, batch(TREE, vrf=vrf))
        datapath.apply(compiler.commit())
    label = Key(Kind.LABEL, ("tree", 4100))

    def behind(vrf: str) -> bool:
        made: Mapping[Key, Any] = forms(compiler)
        return bool(made[label].mr_nhid == made[Key(Kind.NEXTHOP, ("broadcast", vrf))].nhr_id)

    assert behind(NET1)
    assert [reason for reason in compiler.failures().values() if "4100" in reason]
    compiler.routes(ONE, batch(dict.fromkeys(TREE)))
    datapath.apply(compiler.commit())
    assert behind(net2)
    assert compiler.failures() == {}
    compiler.routes(ONE, batch(dict.fromkeys(TREE), vrf=net2))
    datapath.apply(compiler.commit())
    assert label not in datapath.objects


WIDE = 0x100000


def test_more_than_an_mpls_label_is_for_vxlan_only(site: Site) -> None:
    before = dict(site.datapath.objects)
    wide = way("10.0.0.2", WIDE, (UDP,))
    site.tell(batch({GUEST: via(wide), inet_key("15.0.0.5/32"): via(wide, way("10.0.0.3", WIDE))}))
    site.tell(batch({host_key(GUEST_MAC): via(wide)}))
    lists = replace(LIST[host_key(BROADCAST_MAC)], neighbours=(neighbour("10.0.0.4", WIDE, UDP),))
    site.tell(batch({host_key(BROADCAST_MAC): lists}))
    assert site.datapath.objects == before
    site.tell(batch({GUEST: via(way("10.0.0.2", WIDE - 1))}))
    assert site[ROUTE].rtr_label == WIDE - 1
    site.tell(batch({host_key(GUEST_MAC): via(way("10.0.0.2", WIDE, (UDP, VXLAN)))}))
    assert site.tunnels()[site[BRIDGE].rtr_nh_id].nhr_flags & 0x80
    assert site[BRIDGE].rtr_label == WIDE


def test_ecmp_of_unknown_labels_of_this_host_is_no_route(site: Site) -> None:
    before = dict(site.datapath.objects)
    site.tell(batch({GUEST: via(way("10.0.0.1", 4000), way("10.0.0.1", 4001))}))
    assert site.datapath.objects == before


def test_prefixes_of_a_router_over_vxlan() -> None:
    router, network = ("logical-router", "default-domain:p:lr1"), ("virtual-network", VN1)
    name = "logical-router-virtual-network"
    value = {"value": {"logical-router-virtual-network-type": "InternalVirtualNetwork"}}
    middle = (name, "lr1-net1")
    internal = [
        GraphNode(*router),
        GraphNode(*middle, value),
        GraphLink(name, router, middle),
        GraphLink(name, middle, network),
    ]
    site = Site()
    compiler, site.datapath = run([full(TOPOLOGY) | internal])
    site.compiler = compiler
    mac = Mac.parse("0c:00:00:00:00:99")
    key = EvpnKey(0, Mac(bytes(6)), IPv4Address("20.0.0.0"), 24)
    site.tell(
        batch({key: via(way("10.0.0.2", 77, (VXLAN,), mac=mac))}),
        batch({inet_key("30.0.0.0/24"): via(way("10.0.0.2", 25))}),
    )
    [tunnel] = site.tunnels().values()
    assert tunnel.nhr_flags == 0x2200080
    assert (tunnel.nhr_rw_dst_mac, tunnel.nhr_pbb_mac) == (mac, mac)
    route = site[route_key(NET1, ip_network("20.0.0.0/24"))]
    assert (route.rtr_nh_id, route.rtr_label, route.rtr_label_flags & 1) == (tunnel.nhr_id, 77, 1)
    assert route_key(NET1, ip_network("30.0.0.0/24")) not in site, "it routes by EVPN only"


def test_one_controller_carries_on_for_the_other(site: Site) -> None:
    for peer in (ONE, TWO):
        site.tell(batch(GUEST_ROUTE), batch(GUEST_HOST), peer=peer)
    before = dict(site.datapath.objects)
    site.compiler.remove_controller(ONE)
    assert site.turn().changed == ()
    site.compiler.begin_routes(TWO, 2)
    assert site.turn().changed == ()
    site.tell(batch(GUEST_ROUTE), peer=TWO)
    assert site.datapath.objects == before
    site.compiler.sweep_routes(TWO, 2)
    site.turn()
    assert ROUTE in site
    assert BRIDGE not in site


def test_batches_are_bounded(site: Site) -> None:
    many = {inet_key(f"16.{n >> 8}.{n & 255}.0/24"): via(way("10.0.0.2", 25)) for n in range(9000)}
    site.compiler.routes(ONE, batch(many))
    sizes = []
    while site.compiler.pending:
        sizes.append(len(site.turn().changed))
    assert sum(sizes) == 9001
    assert max(sizes) <= 4097
    site.compiler.remove_controller(ONE)
    while site.compiler.pending:
        assert len(site.turn().removed) <= 4097
    assert site.tunnels() == {}


def test_a_network_that_goes_takes_its_routes() -> None:
    site = Site()
    site.tell(batch(GUEST_ROUTE), batch(GUEST_HOST), batch(TREE), batch(LIST))
    site.compiler.remove_port(VM.port)
    site.turn()
    never, _ = run([full(TOPOLOGY).without(*ports_of(TOPOLOGY))])
    assert forms(site.compiler) == forms(never)
    assert set(site.datapath.objects) == set(forms(never))
    assert len(site.compiler.rib) == 0
