"""Ports with several addresses: each is routed to the port and told to controllers."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import Any
from uuid import uuid4

from agent.inputs import GraphLink, GraphNode, TrafficSeen
from agent.objects import Key
from agent.oper.datapath import route_key
from agent.routes import RouteAttributes, RouteFamily
from tests.graph.test_publications import told
from tests.graph.test_routes import NET1, Site, batch, host_key, inet_key, via, way
from tests.graph.worlds import put, worked

PARSED = worked(subnets=["15.0.0.0/24", "16.0.0.0/24", "fd00:15::/64"], subnet=None)
[VM] = PARSED.vms.values()
PORT = ("virtual-machine-interface", f"default-domain:default-project:{VM.port}")
TRAP = 0x4
OWN = "15.0.0.3/32"


def route(address: str) -> Key:
    return route_key(NET1, ip_network(address))


def give(site: Site, address: str, **properties: bool) -> GraphLink:
    """Give the port another instance IP; the link that ties it."""
    instance = ("instance-ip", str(uuid4()))
    said = {name.replace("_", "-"): value for name, value in properties.items()}
    put(site.compiler, GraphNode(*instance, {"instance-ip-address": address} | said))
    link = GraphLink("instance-ip-virtual-machine-interface", instance, PORT)
    put(site.compiler, link)
    site.turn()
    return link


def row(site: Site) -> Any:
    return site.compiler.vmi_by_uuid(VM.port)


def published(site: Site, key: Any, family: RouteFamily = RouteFamily.INET) -> RouteAttributes:
    return told(site)[family, key].attributes


def test_addresses_of_several_subnets_and_families() -> None:
    site = Site(PARSED)
    before, before_told = dict(site.datapath.objects), told(site)
    links = [give(site, one) for one in ("16.0.0.7", "fd00:15::7", "fd00:15::8")]
    first = site[route("15.0.0.3/32")]
    more = ("16.0.0.7/32", "fd00:15::7/128", "fd00:15::8/128")
    for one in more:
        made = site[route(one)]
        assert (made.rtr_nh_id, made.rtr_mac) == (first.rtr_nh_id, bytes(VM.mac))
        assert made.rtr_label_flags == first.rtr_label_flags
    assert (str(row(site).ip), str(row(site).ip6)) == ("15.0.0.3", "fd00:15::7")
    own = published(site, inet_key("15.0.0.3/32"))
    for one in more:
        family = RouteFamily.INET6 if ":" in one else RouteFamily.INET
        assert published(site, inet_key(one), family) == own
        key = host_key(VM.mac, one.partition("/")[0])
        assert published(site, key, RouteFamily.EVPN).nexthops
    for link in links:
        site.compiler.graph.delete_link(link)
    site.turn()
    assert (site.datapath.objects, told(site)) == (before, before_told)


def test_the_smallest_that_is_not_secondary_is_primary() -> None:
    site = Site(PARSED)
    give(site, "15.0.0.1", instance_ip_secondary=True)
    give(site, "15.0.0.2")
    assert str(row(site).ip) == "15.0.0.2"
    assert [str(one) for one in row(site).addresses] == ["15.0.0.2", "15.0.0.1", "15.0.0.3"]
    for one in ("15.0.0.1/32", "15.0.0.2/32", "15.0.0.3/32"):
        assert site[route(one)].rtr_mac == bytes(VM.mac)


def test_secondary_addresses_alone_forward_nothing() -> None:
    """A family is active by its primary address."""
    site = Site(PARSED)
    give(site, "fd00:15::9", instance_ip_secondary=True)
    assert (row(site).ip6, row(site).ip6_active, row(site).others) == (None, False, ())
    assert route("fd00:15::9/128") not in site


def test_addresses_of_services() -> None:
    """A service instance's leads to the port and says so; a health check's is not the VM's."""
    site = Site(PARSED)
    give(site, "15.0.0.1", service_instance_ip=True)
    give(site, "15.0.0.9", service_health_check_ip=True)
    assert str(row(site).ip) == "15.0.0.3"
    assert site[route("15.0.0.1/32")].rtr_nh_id == site[route("15.0.0.3/32")].rtr_nh_id
    assert route("15.0.0.9/32") not in site
    kinds = {one: published(site, inet_key(one)).sub_protocol for one in ("15.0.0.1/32", OWN)}
    assert kinds == {"15.0.0.1/32": "service-interface", OWN: "interface"}


def test_a_local_address_stays_here() -> None:
    site = Site(PARSED)
    before = told(site)
    give(site, "16.0.0.7", instance_ip_local_ip=True)
    assert route("16.0.0.7/32") in site
    assert told(site) == before


def test_each_address_is_taken_by_its_own_traffic() -> None:
    site = Site(PARSED)
    give(site, "16.0.0.7")
    vif = row(site).vif_index
    both = [IPv4Address("15.0.0.3"), IPv4Address("16.0.0.7")]
    assert site.compiler.waiting() == [(vif, one, VM.mac) for one in both]
    site.learn(TrafficSeen(vif, both[1], VM.mac))
    assert site.compiler.waiting() == [(vif, both[0], VM.mac)]
    assert site[route("15.0.0.3/32")].rtr_label_flags & TRAP
    assert not site[route("16.0.0.7/32")].rtr_label_flags & TRAP
    taken = published(site, inet_key("16.0.0.7/32"))
    assert (taken.local_preference, taken.sequence) == (200, 1)
    assert published(site, inet_key("15.0.0.3/32")).local_preference == 100
    site.tell(batch({inet_key("16.0.0.7/32"): via(way("10.0.0.2", 25), sequence=7)}))
    assert published(site, inet_key("16.0.0.7/32")).local_preference == 100, "it went elsewhere"
