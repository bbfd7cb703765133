"""Floating and alias IPs: routes in the network that lends them, and what flows are told."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import Any
from xml.etree import ElementTree

import pytest

from agent.ifmap import NodeRef
from agent.ifmap.parser import ConfigParser, PutNode
from agent.inputs import GraphLink, GraphNode, Link
from agent.objects import Key, Kind
from agent.oper.datapath import route_key
from agent.oper.flow_rows import FloatingIp, PortMapping, Side
from agent.routes import EvpnKey, PublishedRoute
from agent.xmpp.publish import StanzaEncoder
from agent.xmpp.stanzas import Identity
from tests.graph.lending import (
    INSIDE_VRF,
    OUTSIDE,
    OUTSIDE_VRF,
    PROJECT,
    alias,
    floating,
    inside,
    lent,
    port_of,
    with_property,
)
from tests.graph.test_orders import check_ways
from tests.graph.test_policy_vector import DEMO, PORT1, received
from tests.graph.test_publications import ROUTER
from tests.graph.test_restart import check_restarts
from tests.graph.test_routes import GRE, ONE, UDP, Site, batch, host_key, inet_key, via, way
from tests.graph.test_shared_addresses import active_active, site_of
from tests.graph.worlds import (
    HOST_LINKS,
    NIC,
    World,
    full,
    ports_of,
    put,
    remove,
    run,
    seen,
)
from tests.unit.xmpp.stanza_vectors import stanzas

PARSED = inside(vms=2)
VM, OTHER = PARSED.vms.values()
BASE = full(PARSED)
WORLD = BASE | floating(VM)
PROXY, TRAP = 0x2, 0x4
L2_RECEIVE = 3


def route(prefix: str = "15.0.1.100/32", vrf: str = OUTSIDE_VRF) -> Key:
    return route_key(vrf, ip_network(prefix))


def label(site: Site, name: str, vm: Any = VM) -> int:
    return int(site[Key(Kind.LABEL, ("interface", str(vm.port), vm.tap, name))].mr_label)


def translations(site: Site, vm: Any = VM) -> Any:
    return site.compiler.flow_ports()[vm.port].translations


def told(site: Site, vrf: str = OUTSIDE_VRF) -> dict[Any, PublishedRoute]:
    return {one.key: one for one in site.compiler.publications() if one.vrf == vrf}


@pytest.fixture
def site() -> Site:
    return site_of(WORLD)


def test_a_floating_ip_is_routed_to_the_port_in_the_network_that_lends_it(site: Site) -> None:
    made, own = site[route()], site[route("15.0.0.3/32", INSIDE_VRF)]
    assert made.rtr_nh_id == own.rtr_nh_id
    assert made.rtr_vrf_id == site[Key(Kind.VRF, OUTSIDE_VRF)].vrf_idx
    assert (made.rtr_label_flags, made.rtr_mac) == (PROXY | TRAP, bytes(VM.mac))
    bridge = site[route_key(OUTSIDE_VRF, VM.mac)]
    assert (bridge.rtr_nh_id, bridge.rtr_label) == (L2_RECEIVE, label(site, "l2-policy"))
    assert site[route_key(INSIDE_VRF, VM.mac)].rtr_nh_id != L2_RECEIVE


def test_the_network_that_lends_is_in_use_without_a_port(site: Site) -> None:
    assert OUTSIDE_VRF in site.compiler.subscriptions()
    for key in (route("15.0.1.1/32"), route("15.0.1.0/24"), Key(Kind.VXLAN, 6)):
        assert key in site
    tie = GraphLink(
        "floating-ip-virtual-machine-interface", ("floating-ip", "fip-15.0.1.100"), port_of(VM)
    )
    remove(site.compiler, tie)
    site.turn()
    assert OUTSIDE_VRF not in site.compiler.subscriptions()
    assert site.datapath.objects == run([BASE])[1].objects


def test_it_moves_with_the_address_that_it_stands_for(site: Site) -> None:
    assert told(site)[inet_key("15.0.1.100/32")].attributes.local_preference == 100
    site.learn(seen(site.compiler, VM.port))
    attributes = told(site)[inet_key("15.0.1.100/32")].attributes
    assert (attributes.local_preference, attributes.sequence) == (200, 1)
    assert site[route()].rtr_label_flags == PROXY


def test_controllers_are_told_of_it_in_its_network(site: Site) -> None:
    routes = told(site)
    attributes = routes[inet_key("15.0.1.100/32")].attributes
    [one] = attributes.nexthops
    assert (one.address, one.label, one.encapsulations) == (
        ROUTER,
        label(site, "l3-policy"),
        (GRE, UDP),
    )
    assert (one.virtual_network, one.mac) == (OUTSIDE[1], NIC)
    assert attributes.sub_protocol == "interface"
    assert attributes.security_groups == (8000001,)
    both = routes[host_key(VM.mac, "15.0.1.100")].attributes
    assert both.nexthops[0].label == label(site, "l2-policy")
    alone = [key for key in routes if isinstance(key, EvpnKey) and key.mac == VM.mac]
    assert alone == [host_key(VM.mac, "15.0.1.100")], "the MAC alone is told where the port is"


def spoken(vector: str, *changes: tuple[str, str]) -> bytes:
    """The stanzas of a golden vector, with other names and numbers."""
    expected = b"".join(stanzas(vector))
    for theirs, ours in changes:
        assert theirs.encode() in expected
        expected = expected.replace(theirs.encode(), ours.encode())
    return expected


def test_it_is_said_as_in_the_golden_vectors(site: Site) -> None:
    site.learn(seen(site.compiler, VM.port))
    routes = told(site)
    encoder = StanzaEncoder(Identity("compute-1"))
    assert encoder.publish(routes[inet_key("15.0.1.100/32")]) == spoken(
        "04",
        ("default-domain:demo:vn1:vn1", OUTSIDE_VRF),
        ("default-domain:demo:vn1<", f"{OUTSIDE[1]}<"),
        ("10.1.1.3/32", "15.0.1.100/32"),
        ("192.0.2.1", str(ROUTER)),
        ("52:54:00:00:00:01", str(NIC)),
        ("<label>17<", f"<label>{label(site, 'l3-policy')}<"),
    )


def test_flows_are_told_what_it_stands_for(site: Site) -> None:
    [one] = translations(site).floating
    vrf = site.compiler.vrfs()
    outside = next(row for row in vrf if row.name == OUTSIDE_VRF)
    expected = FloatingIp(IPv4Address("15.0.1.100"), IPv4Address("15.0.0.3"), outside, OUTSIDE[1])
    assert one == expected
    assert translations(site, OTHER).floating == ()


@pytest.mark.parametrize("text", ["ingress", "egress", "both", "", "sideways"])
def test_directions(text: str) -> None:
    site = site_of(BASE | floating(VM, traffic_direction=text))
    [one] = translations(site).floating
    assert one.side.value == (text if text in ("ingress", "egress") else "both")
    assert one.side is not Side.BOTH or (one.side.inbound and one.side.outbound)


def mapped(*mappings: Any, enable: bool = True) -> tuple[PortMapping, ...] | None:
    said = {"port_mappings": {"port-mappings": list(mappings)}, "port_mappings_enable": enable}
    [one] = translations(site_of(BASE | floating(VM, **said))).floating
    found: tuple[PortMapping, ...] | None = one.mappings
    return found


def test_ports_are_mapped_only_where_that_is_enabled() -> None:
    web = {"protocol": "TCP", "src-port": 80, "dst-port": 8080}
    dns = {"protocol": "udp", "src-port": 53, "dst-port": 5353}
    assert mapped(web, dns) == (PortMapping(6, 80, 8080), PortMapping(17, 53, 5353))
    assert mapped(web, enable=False) is None
    assert mapped() == (), "no port at all is translated"
    bad: list[Any] = [
        web | {"protocol": "carrier pigeon"},
        web | {"src-port": 0},
        web | {"dst-port": 65536},
        web | {"src-port": "80"},
        "80:8080",
    ]
    assert mapped(*bad, web) == (PortMapping(6, 80, 8080),)


def test_it_may_stand_for_another_address_of_the_vm() -> None:
    site = site_of(BASE | floating(VM, fixed_ip_address="15.0.0.77"))
    [one] = translations(site).floating
    assert str(one.fixed) == "15.0.0.77"
    site = site_of(BASE | floating(VM, fixed_ip_address="0.0.0.0"))
    [one] = translations(site).floating
    assert str(one.fixed) == "15.0.0.3", "none is said: the first"


BAD = {
    "no address": floating(VM, address=""),
    "an address that is none": floating(VM, address="15.0.1.300"),
    "a family that the port has not": floating(VM, address="2001:db8::1"),
    "of another family than what it stands for": floating(VM, fixed_ip_address="2001:db8::1"),
    "a fixed address that is none": floating(VM, fixed_ip_address="here"),
    "of no pool": floating(VM).without(
        GraphLink(
            "floating-ip-pool-floating-ip",
            ("floating-ip-pool", f"{OUTSIDE[1]}:pool"),
            ("floating-ip", "fip-15.0.1.100"),
        )
    ),
    "mappings that are no list": floating(
        VM, port_mappings={"port-mappings": 80}, port_mappings_enable=True
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_used_is_left_out(bad: str) -> None:
    site = site_of(BASE | BAD[bad] | floating(VM, "15.0.1.101"))
    assert [str(one.address) for one in translations(site).floating] == ["15.0.1.101"]
    assert route() not in site
    assert route("15.0.1.101/32") in site


def test_several_are_in_a_fixed_order() -> None:
    many = ["15.0.1.9", "15.0.1.100", "15.0.1.20"]
    world = BASE
    for address in many:
        world = world | floating(VM, address)
    site = site_of(world)
    found = [str(one.address) for one in translations(site).floating]
    assert found == ["15.0.1.9", "15.0.1.20", "15.0.1.100"]
    bridges = [key for key in site.datapath.objects if key == route_key(OUTSIDE_VRF, VM.mac)]
    assert len(bridges) == 1


def test_only_while_the_port_forwards(site: Site) -> None:
    [port] = [port for port in ports_of(PARSED) if port.uuid == VM.port]
    remove(site.compiler, port)
    site.turn()
    assert route() not in site
    assert OUTSIDE_VRF not in site.compiler.subscriptions()
    put(site.compiler, port)
    site.turn()
    assert route() in site


def test_a_network_without_bridging_has_no_mac_of_it() -> None:
    parsed = inside(vms=1, forwarding_mode="l3")
    site = site_of(full(parsed) | floating(next(iter(parsed.vms.values()))))
    assert (site[route()].rtr_label_flags, site[route()].rtr_mac) == (PROXY | TRAP, b"")
    assert not [key for key in told(site) if isinstance(key, EvpnKey)]


def test_from_the_own_network() -> None:
    """The MAC leads to the VM there already, and goes on doing so."""
    network = ("virtual-network", f"{PROJECT}:net1")
    world = BASE | lent("floating-ip", "own", [port_of(VM)], network, address="15.0.0.99")
    site = site_of(world)
    made = site[route("15.0.0.99/32", INSIDE_VRF)]
    assert made.rtr_mac == bytes(VM.mac)
    assert site[route_key(INSIDE_VRF, VM.mac)].rtr_nh_id != L2_RECEIVE


def test_by_an_instance_ip_of_the_network() -> None:
    """Where a load balancer's address has a floating IP, its network is the instance IP's."""
    fip, parent = ("floating-ip", "vip"), ("instance-ip", "front")
    world = BASE | [
        GraphNode(*fip, {"floating-ip-address": "15.0.1.50"}),
        GraphNode(*parent, {"instance-ip-address": "15.0.1.50"}),
        GraphLink("instance-ip-floating-ip", parent, fip),
        GraphLink("instance-ip-virtual-network", parent, OUTSIDE),
        GraphLink("floating-ip-virtual-machine-interface", fip, port_of(VM)),
    ]
    assert route("15.0.1.50/32") in site_of(world)


def test_several_ports_share_one_where_their_addresses_are_shared() -> None:
    both = lent("floating-ip", "vip", [port_of(VM), port_of(OTHER)], address="15.0.1.50")
    site = site_of(active_active(BASE | both))
    made = site.nexthops(6)[site[route("15.0.1.50/32")].rtr_nh_id]
    assert list(made.nhr_label_list) == [label(site, "l3-policy", vm) for vm in (VM, OTHER)]
    [told_of] = told(site)[inet_key("15.0.1.50/32")].attributes.nexthops
    bound = {
        one.message.mr_label: one.message.mr_nhid  # type: ignore[attr-defined]
        for key, one in site.datapath.objects.items()
        if key.kind is Kind.LABEL
    }
    assert bound[told_of.label] == made.nhr_id
    assert told_of.virtual_network == OUTSIDE[1]
    alone = site_of(BASE | both)
    assert alone[route("15.0.1.50/32")].rtr_nh_id not in alone.nexthops(6), "one has it at a time"


def test_a_controller_says_it_back(site: Site) -> None:
    site.tell(
        batch(
            {inet_key("15.0.1.100/32"): via(way("10.0.0.1", label(site, "l3-policy")))},
            vrf=OUTSIDE_VRF,
        )
    )
    assert site[route()].rtr_nh_id == site[route("15.0.0.3/32", INSIDE_VRF)].rtr_nh_id


def test_an_alias_is_another_address_without_translation() -> None:
    site = site_of(BASE | alias(VM))
    made = site[route("15.0.1.200/32")]
    assert made.rtr_nh_id == site[route("15.0.0.3/32", INSIDE_VRF)].rtr_nh_id
    assert made.rtr_mac == bytes(VM.mac)
    found = translations(site)
    assert found.floating == ()
    assert [(str(one.address), one.vrf.name, one.network) for one in found.aliases] == [
        ("15.0.1.200", OUTSIDE_VRF, OUTSIDE[1])
    ]
    assert inet_key("15.0.1.200/32") in told(site)
    assert OUTSIDE_VRF in site.compiler.subscriptions()


LISTED: dict[str, list[World]] = {
    "lent and taken back": [BASE, WORLD, BASE],
    "lent": [BASE, WORLD],
    "moved to another port": [WORLD, BASE | floating(OTHER)],
    "both kinds": [BASE | floating(VM) | alias(OTHER)],
    "the network that lends comes last": [
        WORLD.without(GraphNode(*OUTSIDE)),
        WORLD,
    ],
}


@pytest.mark.parametrize("name", LISTED)
def test_the_way_does_not_matter(name: str) -> None:
    check_ways(LISTED[name])


@pytest.mark.parametrize("vni", [6, 0])
def test_a_restart_knows_everything_again(vni: int) -> None:
    """Also the VRF of a network that lends, which has no VNI and no vif by which to know it."""
    world = BASE | floating(VM) | floating(OTHER, "15.0.1.101") | alias(VM)
    world = with_property(world, OUTSIDE, virtual_network_network_id=vni)
    check_restarts(world)


def test_without_a_default_instance_nothing_is_lent() -> None:
    world = with_property(
        WORLD, ("routing-instance", OUTSIDE_VRF), routing_instance_is_default=False
    )
    site = site_of(world)
    assert route() not in site
    assert translations(site).floating == ()
    assert NodeRef(*OUTSIDE).name in {row.name for row in site.compiler.networks()}


def test_who_said_what_is_unknown_peers_are_ignored(site: Site) -> None:
    """Routes of the network that lends are taken: its VRF is subscribed to."""
    remote = inet_key("15.0.1.7/32")
    site.tell(batch({remote: via(way("10.0.0.2", 30))}, vrf=OUTSIDE_VRF), peer=ONE)
    assert route("15.0.1.7/32") in site


def test_the_list_of_the_network_that_lends_decides() -> None:
    acl = ("access-control-list", f"{OUTSIDE[1]}:net2")
    entries = {"dynamic": False, "acl-rule": []}
    perms = {"enable": True, "uuid": {"uuid-mslong": 1, "uuid-lslong": 2}}
    listed = [
        GraphNode(*acl, {"access-control-list-entries": entries, "id-perms": perms}),
        GraphLink("virtual-network-access-control-list", OUTSIDE, acl),
    ]
    site = site_of(WORLD | alias(VM) | listed)
    found = translations(site)
    assert [one.acl for one in (*found.floating, *found.aliases)] == [acl[1], acl[1]]
    assert acl[1] in site.compiler.acls()
    assert acl[1] not in site_of(BASE | listed).compiler.acls()
    unruled = with_property(
        WORLD | listed, port_of(VM), virtual_machine_interface_disable_policy=True
    )
    assert [one.acl for one in translations(site_of(unruled)).floating] == [""]


def test_a_floating_ip_as_a_controller_sends_it() -> None:
    """Vector 19: 203.0.113.10 of the public network stands for the first port."""
    compiler = received()
    for link in (*HOST_LINKS, Link("tap1", 12, NIC, True)):
        compiler.put_link(link)
    compiler.commit()
    [one] = compiler.flow_ports()[PORT1].translations.floating
    assert (str(one.address), str(one.fixed)) == ("203.0.113.10", "10.1.1.3")
    public = f"{DEMO}:vn3:vn3"
    assert (one.vrf.name, one.network, one.side) == (public, f"{DEMO}:vn3", Side.BOTH)
    assert one.mappings is None
    assert public in compiler.subscriptions()


def test_port_mappings_of_a_controller_are_a_list() -> None:
    """Also where there is one alone."""
    many = b"".join(
        b"<port-mappings><protocol>tcp</protocol><src-port>%d</src-port>"
        b"<dst-port>%d</dst-port></port-mappings>" % (port, 8000 + port)
        for port in (80, 443)
    )
    one = many[: many.index(b"</port-mappings>") + len(b"</port-mappings>")]
    for text, count in ((many, 2), (one, 1)):
        stanza = ElementTree.fromstring(
            b'<iq><config><update><node type="floating-ip"><name>f</name>'
            b"<floating-ip-port-mappings>%s</floating-ip-port-mappings>"
            b"</node></update></config></iq>" % text
        )
        [edit] = ConfigParser().read(stanza)
        assert isinstance(edit, PutNode)
        listed = edit.node.properties["floating-ip-port-mappings"]["port-mappings"]
        assert len(listed) == count
