"""Static routes of a port's route tables: what is behind the VM."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from agent.inputs import GraphLink, GraphNode
from agent.oper.datapath import route_key
from agent.routes import EvpnKey, PublishedRoute
from agent.xmpp.publish import StanzaEncoder
from agent.xmpp.stanzas import Identity
from tests.graph.test_addresses import PARSED, PORT, VM
from tests.graph.test_logical_routers import PROJECT, ROUTED, VMS, VRF, prefixes, site_of
from tests.graph.test_publications import ROUTER, told
from tests.graph.test_routes import NET1, Site, inet_key
from tests.graph.worlds import NIC, put, seen
from tests.unit.xmpp.stanza_vectors import stanzas

TABLE = ("interface-route-table", "default-domain:default-project:behind")
MIRRORED = {"community-attribute": ["65000:100", "accept-own"]}
FLOOD, PROXY, TRAP = 0x8, 0x2, 0x4


def tie(site: Site, *routes: Any, port: tuple[str, str] = PORT) -> GraphLink:
    """Give the port a table with these routes; the link that ties it."""
    put(site.compiler, GraphNode(*TABLE, {"interface-route-table-routes": {"route": routes}}))
    link = GraphLink("virtual-machine-interface-route-table", port, TABLE)
    put(site.compiler, link)
    site.turn()
    return link


def key(prefix: str) -> Any:
    return route_key(NET1, ip_network(prefix))


def by_prefix(site: Site) -> dict[Any, PublishedRoute]:
    return {name: route for (_, name), route in told(site).items()}


@pytest.fixture
def site() -> Site:
    return Site(PARSED)


def test_static_routes_lead_to_the_port(site: Site) -> None:
    before = dict(site.datapath.objects)
    site.compiler.published()
    link = tie(
        site,
        {"prefix": "20.0.0.0/24", "community-attributes": MIRRORED},
        {"prefix": "20.0.1.1/32"},
    )
    own = site[key("15.0.0.3/32")]
    for prefix in ("20.0.0.0/24", "20.0.1.1/32"):
        made = site[key(prefix)]
        assert (made.rtr_nh_id, made.rtr_mac) == (own.rtr_nh_id, b"")
        assert made.rtr_label_flags == FLOOD | TRAP
    routes = by_prefix(site)
    first, plain = routes[inet_key("20.0.0.0/24")], routes[inet_key("15.0.0.3/32")]
    assert first.attributes.nexthops == plain.attributes.nexthops
    assert first.attributes.communities == ("65000:100", "accept-own")
    assert first.attributes.sub_protocol == "interface-static"
    assert routes[inet_key("20.0.1.1/32")].attributes.communities == ()
    assert not [name for name in routes if isinstance(name, EvpnKey) and str(name.ip)[:2] == "20"]
    site.compiler.published()
    site.compiler.graph.delete_link(link)
    site.turn()
    assert site.datapath.objects == before
    gone = {route.key for route in site.compiler.published().withdrawn}
    assert gone == {inet_key("20.0.0.0/24"), inet_key("20.0.1.1/32")}


def test_they_are_preferred_as_the_ports_own_address(site: Site) -> None:
    tie(site, {"prefix": "20.0.0.0/24"})
    site.learn(seen(site.compiler, VM.port))
    attributes = by_prefix(site)[inet_key("20.0.0.0/24")].attributes
    assert (attributes.local_preference, attributes.sequence) == (200, 1)
    assert not site[key("20.0.0.0/24")].rtr_label_flags & TRAP


def test_an_address_of_the_port_stays_one(site: Site) -> None:
    before = dict(site.datapath.objects), told(site)
    tie(site, {"prefix": "15.0.0.3/32", "community-attributes": MIRRORED})
    assert (dict(site.datapath.objects), told(site)) == before


BAD: dict[str, Any] = {
    "no prefix": {"community-attributes": MIRRORED},
    "a prefix that is none": {"prefix": "20.0.0.0/33"},
    "communities that are no list": {
        "prefix": "20.0.0.0/24",
        "community-attributes": {"community-attribute": "65000:1"},
    },
    "through a next hop": {"prefix": "20.0.0.0/24", "next-hop": "15.0.0.9"},
    "of a family that the port has not": {"prefix": "2001:db8::/32"},
    "no route": "20.0.0.0/24",
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_used_is_left_out(site: Site, bad: str) -> None:
    before = dict(site.datapath.objects)
    tie(site, BAD[bad], {"prefix": "30.0.0.0/8"})
    assert site.datapath.objects.keys() - before.keys() == {key("30.0.0.0/8")}


def test_a_logical_router_routes_them_too() -> None:
    site = site_of(ROUTED)
    port = ("virtual-machine-interface", f"{PROJECT}:{VMS['net1'].port}")
    tie(site, {"prefix": "20.0.0.0/24"}, port=port)
    assert site[route_key(VRF, ip_network("20.0.0.0/24"))].rtr_label_flags == PROXY | TRAP
    keys = {str(name.ip): name.length for _, name in prefixes(site)}
    assert keys["20.0.0.0"] == 24


def test_a_routed_prefix_is_said_as_in_the_golden_vector() -> None:
    site = site_of(ROUTED)
    port = ("virtual-machine-interface", f"{PROJECT}:{VMS['net1'].port}")
    tie(site, {"prefix": "10.2.2.0/24"}, port=port)
    [route] = [
        one
        for one in site.compiler.publications()
        if isinstance(one.key, EvpnKey) and str(one.key.ip) == "10.2.2.0"
    ]
    said = StanzaEncoder(Identity("compute-1")).publish(route)
    expected = b"".join(stanzas("09"))
    for theirs, ours in (
        ("default-domain:demo:lr-ivn:lr-ivn", VRF),
        ("192.0.2.1", str(ROUTER)),
        ("52:54:00:00:00:01", str(NIC)),
        ("_l24", "_l20"),
        ("<security-group-list>", "<security-group-list><security-group>8000001</security-group>"),
    ):
        assert theirs.encode() in expected
        expected = expected.replace(theirs.encode(), ours.encode())
    assert said == expected
