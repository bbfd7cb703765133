"""Routes of our own, said to controllers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from xml.etree import ElementTree

import pytest
from hypothesis import given

from agent.lab.controller.wire import JID
from agent.routes import (
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    PublishedRoute,
    RouteAttributes,
    RouteFamily,
    RouteNexthop,
)
from agent.values import BROADCAST_MAC, Mac
from agent.xmpp.publish import StanzaEncoder
from agent.xmpp.routes import PublicationDecoder, Published
from agent.xmpp.stanzas import CONTROLLER, Identity
from tests.reference.route_stanza import Reader
from tests.unit.xmpp.published import published_routes
from tests.unit.xmpp.stanza_vectors import stanzas

VN1, VRF, ROUTED = (
    "default-domain:demo:vn1",
    "default-domain:demo:vn1:vn1",
    "default-domain:demo:lr-ivn:lr-ivn",
)
HOST = IPv4Address("192.0.2.1")
VHOST, PORT, ZERO = Mac.parse("52:54:00:00:00:01"), Mac.parse("02:aa:bb:00:00:01"), Mac(bytes(6))
GRE_UDP, VXLAN = (Encapsulation.GRE, Encapsulation.UDP), (Encapsulation.VXLAN,)
ANY = IPv4Address(0)
ADDRESS = IPv4Address("10.1.1.3")
INET = PublishedRoute(
    RouteFamily.INET,
    VRF,
    InetKey(ADDRESS.packed, 32),
    RouteAttributes(
        (RouteNexthop(HOST, 17, GRE_UDP, VN1, VHOST),),
        sequence=1,
        local_preference=200,
        security_groups=(8000001,),
        sub_protocol="interface",
    ),
)
INET6 = INET._replace(
    family=RouteFamily.INET6,
    key=InetKey(bytes.fromhex("20010db8000100000000000000000003"), 128),
    attributes=replace(INET.attributes, sequence=0, local_preference=100),
)


def evpn(tag: int, mac: Mac, ip: IPv4Address, length: int, hop: RouteNexthop) -> PublishedRoute:
    groups = (8000001,) if mac == PORT else ()
    attributes = RouteAttributes((hop,), local_preference=100, security_groups=groups)
    return PublishedRoute(RouteFamily.EVPN, VRF, EvpnKey(tag, mac, ip, length), attributes)


HOST_ONLY = evpn(0, PORT, ANY, 32, RouteNexthop(HOST, 18, GRE_UDP))
IN_VXLAN = evpn(4, PORT, ADDRESS, 32, RouteNexthop(HOST, 4, VXLAN))
FLOOD = evpn(0, BROADCAST_MAC, ANY, 32, RouteNexthop(HOST, 19, GRE_UDP))
ROUTED_HOP = RouteNexthop(HOST, 5001, VXLAN, mac=VHOST)
PREFIX = evpn(0, ZERO, IPv4Address("10.2.2.0"), 24, ROUTED_HOP)._replace(vrf=ROUTED)
TREE = PublishedRoute(
    RouteFamily.ERMVPN,
    VRF,
    GroupKey(IPv4Address("255.255.255.255"), ANY),
    RouteAttributes((RouteNexthop(HOST, 0, GRE_UDP),), label_range=(4100, 8195)),
)
JOIN = PublishedRoute(
    RouteFamily.MVPN,
    VRF,
    GroupKey(IPv4Address("239.1.1.1"), IPv4Address("10.1.1.9")),
    RouteAttributes((RouteNexthop(HOST, 0),), route_type=7),
)


def encoder(name: str = "compute-1") -> StanzaEncoder:
    return StanzaEncoder(Identity(name))


class TestVectors:
    def test_addresses(self) -> None:
        said = encoder()
        assert said.publish(INET) == b"".join(stanzas("04"))
        assert said.withdraw(INET) == b"".join(stanzas("05"))
        assert said.publish(INET6) == b"".join(stanzas("06"))

    def test_evpn(self) -> None:
        said = encoder()
        first = said.publish(HOST_ONLY) + said.publish(IN_VXLAN) + said.withdraw(IN_VXLAN)
        assert first == b"".join(stanzas("07"))
        assert said.publish(FLOOD) == b"".join(stanzas("08"))
        assert said.publish(PREFIX) == b"".join(stanzas("09"))

    def test_trees(self) -> None:
        said = encoder()
        assert said.publish(TREE) == b"".join(stanzas("10"))
        assert said.publish(JOIN) == b"".join(stanzas("11"))


ROUTES = pytest.mark.parametrize(
    "route", [INET, INET6, HOST_ONLY, IN_VXLAN, FLOOD, PREFIX, TREE, JOIN]
)


class TestWithdrawals:
    @ROUTES
    def test_name_what_was_published(self, route: PublishedRoute) -> None:
        said, heard = encoder(), PublicationDecoder()
        ((*name, attributes),), _ = heard.decode(said.publish(route))
        assert attributes == route.attributes
        assert heard.decode(said.withdraw(route)) == ([Published(*name, None)], False)

    def test_of_the_underlay_keep_their_node(self) -> None:
        native = INET._replace(native_vrf=7)
        for stanza in (encoder().publish(native), encoder().withdraw(native)):
            assert stanza.count(b'node="1/1/default-domain:demo:vn1:vn1/10.1.1.3/32/7"') == 2


class TestTags:
    def tags(self, *tags: int) -> bytes:
        hop = replace(INET.attributes.nexthops[0], tags=tags)
        said = encoder().publish(INET._replace(attributes=RouteAttributes((hop,))))
        return said[said.index(b"<tag-list>") : said.index(b"<local-sequence-number>")]

    def test_the_old_format_where_it_can_hold_them(self) -> None:
        assert self.tags(0x0001_0000_0007, 0x0002_0000_FFFF) == (
            b"<tag-list><tag>65543</tag><tag>196607</tag></tag-list>"
            b"<is-new-tags-list>false</is-new-tags-list>"
        )

    def test_the_new_one_else(self) -> None:
        assert self.tags(0x0001_0000_0007, 0x0002_0001_0000) == (
            b"<tag-list><tag>4294967303</tag><tag>8590000128</tag></tag-list>"
            b"<is-new-tags-list>true</is-new-tags-list>"
        )


@given(published_routes())
def test_decoders_read_what_was_said(route: PublishedRoute) -> None:
    said = encoder().publish(route)
    decoder = PublicationDecoder()
    ((vrf, node, family, key, attributes),), _ = decoder.decode(said)
    assert (vrf, family, key, attributes) == (route.vrf, *route[:1], *route[2:4])
    assert Reader(published=True).read_published(said) == (
        [Published(vrf, node, family, key, attributes)],
        False,
    )
    withdrawn, _ = decoder.decode(encoder().withdraw(route))
    assert withdrawn == [Published(vrf, node, family, key, None)]
    assert decoder.counters.skipped == 0


@pytest.mark.parametrize("say", [StanzaEncoder.publish, StanzaEncoder.withdraw])
def test_names_are_escaped(say: Callable[[StanzaEncoder, PublishedRoute], bytes]) -> None:
    odd = 'a"b<c>&\n'
    said = say(encoder(odd), INET._replace(vrf=odd))
    publish, collect = ElementTree.fromstring(b"<s>%s</s>" % said)
    assert (publish.get("from"), publish.get("to")) == (odd, f"{CONTROLLER}/bgp-peer")
    assert CONTROLLER == JID
    assert [
        part.get("node") for part in (publish[0][0], *collect[0].iter()) if part.get("node")
    ] == [
        f"1/1/{odd}/10.1.1.3/32",
        odd,
        f"1/1/{odd}/10.1.1.3/32",
    ]
