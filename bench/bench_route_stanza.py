"""Route messages of controllers decoded, and routes of our own said, beside general XML ways.

Decoding starts with the bytes of whole messages and ends with RouteBatch objects, equal for
all. `expat` only tokenises the same bytes, without handlers: no way through expat can be
faster. `lxml` parses each framed message to a tree, `slixmpp` takes the stream through its
parser, stanza objects and a Callback; what is in the tree is then read by the same function.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address, ip_network
from types import ModuleType
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import pytest

from agent.lab.controller.downstream import messages
from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    EvpnKey,
    InetKey,
    LoadBalanceField,
    PublishedRoute,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteKey,
    RouteNexthop,
    RouteUpdate,
)
from agent.values import Mac
from agent.xmpp.framing import Framer, Part
from agent.xmpp.publish import StanzaEncoder
from agent.xmpp.routes import RouteDecoder
from agent.xmpp.stanzas import CONTROLLER, PUBSUB, Identity

ROUTES = 2_048
READ_SIZE = 64 << 10
VN, VRF = "default-domain:demo:vn1", "default-domain:demo:vn1:vn1"
HOST = IPv4Address("192.0.2.2")
MPLS = (Encapsulation.GRE, Encapsulation.UDP)
HEADER = (
    b'<?xml version="1.0"?><stream:stream from="c" to="compute-1" id="++123" version="1.0" '
    b'xml:lang="en" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams"  >'
)


# ---- what is decoded ----


def attributes(number: int) -> RouteAttributes:
    hop = RouteNexthop(IPv4Address(int(HOST) + number % 50), 17 + number, MPLS, VN)
    return RouteAttributes(
        (hop,),
        virtual_network=VN,
        sequence=1,
        local_preference=200,
        med=100,
        security_groups=(8000001,),
    )


def inet(distinct: int) -> RouteBatch:
    """Host routes that share so many different attributes."""
    shared = [attributes(number) for number in range(distinct)]
    updates = [
        RouteUpdate(InetKey((0x0A000000 + i).to_bytes(4, "big"), 32), shared[i % distinct])
        for i in range(ROUTES)
    ]
    return RouteBatch(RouteFamily.INET, VRF, updates)


def ecmp() -> RouteBatch:
    """Each route over four hosts."""
    hops = tuple(RouteNexthop(IPv4Address(int(HOST) + i), 17 + i, MPLS, VN) for i in range(4))
    batch = inet(16)
    updates = [
        update._replace(attributes=replace(update.attributes, nexthops=hops))
        for update in batch.updates
        if update.attributes
    ]
    return batch._replace(updates=updates)


def evpn() -> RouteBatch:
    """MAC and address of hosts, bridged over MPLS; no networks at their next-hops."""
    shared = [
        replace(made, nexthops=(replace(made.nexthops[0], virtual_network=""),))
        for made in map(attributes, range(64))
    ]
    updates = [
        RouteUpdate(
            EvpnKey(0, Mac(bytes((2, 0)) + i.to_bytes(4, "big")), IPv4Address(0x0A000000 + i), 32),
            shared[i % 64],
        )
        for i in range(ROUTES)
    ]
    return RouteBatch(RouteFamily.EVPN, VRF, updates)


def retracts() -> RouteBatch:
    updates = [RouteUpdate(key, None) for key, _ in inet(1).updates]
    return RouteBatch(RouteFamily.INET, VRF, updates)


BATCHES: dict[str, Callable[[], RouteBatch]] = {
    "inet, 64 different attributes": lambda: inet(64),
    "inet, all attributes different": lambda: inet(ROUTES),
    "inet, 4 next-hops": ecmp,
    "evpn": evpn,
    "retracts": retracts,
}
NAMES = pytest.mark.parametrize("name", BATCHES)


@cache
def stanzas(name: str) -> tuple[list[bytes], list[RouteBatch]]:
    """The messages of a table, and what they say."""
    made = [
        # The lab's controller ends each message with a line feed, which is none of it.
        stanza.rstrip()
        for stanza in messages("compute-1", BATCHES[name](), "192.0.2.1:3")
    ]
    return made, [batch for stanza in made for batch in RouteDecoder().decode(stanza)]


def group(name: str) -> str:
    return f"stanza: decode {name}"


def decoder(name: str) -> Callable[[bytes], list[RouteBatch]]:
    """One that remembers little where attributes are to be new each time."""
    return RouteDecoder(64 if "all attributes different" in name else 8192).decode


# ---- ours, and the bound ----


@NAMES
def test_decode_vrouter(contest: Any, name: str) -> None:
    data, wanted = stanzas(name)
    assert [update for batch in wanted for update in batch.updates] == BATCHES[name]().updates
    decode = decoder(name)

    def run() -> None:
        for stanza in data:
            decode(stanza)

    # Retracts are so short that the objects made of them cost more than to tokenise them.
    aim = ("expat", 2.5 if name == "retracts" else 1.6)
    contest(group(name), "vrouter", per=ROUTES, aim_ratio=aim)(run)


@NAMES
def test_decode_vrouter_from_the_socket(contest: Any, name: str) -> None:
    """In pieces as a socket gives them: the messages are cut out first."""
    data, wanted = stanzas(name)
    pieces = cut(HEADER + b"".join(data))
    decode = decoder(name)

    def run() -> list[RouteBatch]:
        framer, batches = Framer(), []
        for piece in pieces:
            for part, stanza in framer.feed(piece):
                if part is Part.ROUTES:
                    batches += decode(stanza)
        return batches

    assert run() == wanted
    contest(group(name), "vrouter, from the socket", per=ROUTES, aim_ratio=("slixmpp", 0.125))(run)


def cut(data: bytes) -> list[bytes]:
    return [data[at : at + READ_SIZE] for at in range(0, len(data), READ_SIZE)]


@NAMES
def test_decode_expat(contest: Any, name: str) -> None:
    data, _ = stanzas(name)

    def run() -> None:
        for stanza in data:
            expat.ParserCreate().Parse(stanza, True)

    contest(group(name), "expat", per=ROUTES)(run)


# ---- the peers' reader of trees ----

Q = f"{{{PUBSUB}}}"
FAMILIES = {family.value: family for family in RouteFamily}
ENCAPSULATIONS = {one.value: one for one in Encapsulation}
FIELDS = {one.value: one for one in LoadBalanceField}


def number(element: Any, name: str) -> int:
    return int(element.findtext(Q + name) or 0)


def listed(element: Any, outer: str, inner: str) -> tuple[str, ...]:
    found = element.find(Q + outer)
    return () if found is None else tuple([one.text for one in found.findall(Q + inner)])


def read_nexthop(hop: Any) -> RouteNexthop:
    mac = hop.findtext(Q + "mac")
    return RouteNexthop(
        address=IPv4Address(hop.findtext(Q + "address")),
        label=number(hop, "label"),
        encapsulations=tuple(
            [
                ENCAPSULATIONS[name]
                for name in listed(hop, "tunnel-encapsulation-list", "tunnel-encapsulation")
            ]
        ),
        virtual_network=hop.findtext(Q + "virtual-network") or "",
        mac=Mac.parse(mac) if mac else None,
        tags=tuple(sorted(map(int, listed(hop, "tag-list", "tag")))),
        l3_label=number(hop, "l3-label"),
        local_sequence=number(hop, "local-sequence-number"),
    )


def read_balance(entry: Any) -> frozenset[LoadBalanceField]:
    balance = entry.find(Q + "load-balance")
    if balance is None or balance.findtext(Q + "load-balance-decision") != "field-hash":
        return ALL_FIELDS
    names = listed(balance, "load-balance-fields", "load-balance-field-list")
    return frozenset(FIELDS[name] for name in names) or ALL_FIELDS


def read_entry(entry: Any) -> RouteAttributes:
    return RouteAttributes(
        nexthops=tuple(
            [read_nexthop(hop) for hop in entry.find(Q + "next-hops").findall(Q + "next-hop")]
        ),
        virtual_network=entry.findtext(Q + "virtual-network") or "",
        sequence=number(entry, "sequence-number"),
        sticky=entry.find(Q + "mobility").get("sticky") == "true",
        local_preference=number(entry, "local-preference"),
        med=number(entry, "med"),
        security_groups=tuple(map(int, listed(entry, "security-group-list", "security-group"))),
        communities=listed(entry, "community-tag-list", "community-tag"),
        load_balance=read_balance(entry),
        sub_protocol=entry.findtext(Q + "sub-protocol") or "",
        etree_leaf=entry.findtext(Q + "etree-leaf") == "true",
    )


def read_prefix(text: str) -> InetKey:
    prefix = ip_network(text, strict=False)
    return InetKey(prefix.network_address.packed, prefix.prefixlen)


def read_key(family: RouteFamily, entry: Any) -> RouteKey:
    nlri = entry.find(Q + "nlri")
    if family is not RouteFamily.EVPN:
        return read_prefix(nlri.findtext(Q + "address"))
    address = ip_network(nlri.findtext(Q + "address"), strict=False)
    mac = Mac.parse(nlri.findtext(Q + "mac"))
    tag = number(nlri, "ethernet-tag")
    return EvpnKey(tag, mac, address.network_address, address.prefixlen)


def read_items(node: str, items: Iterator[Any]) -> RouteBatch:
    af, safi, vrf = node.split("/", 2)
    family = FAMILIES[int(af), int(safi)]
    updates = []
    for item in items:
        if item.tag == Q + "retract":
            updates.append(RouteUpdate(read_prefix(item.get("id")), None))
        else:
            entry = item.find(Q + "entry")
            updates.append(RouteUpdate(read_key(family, entry), read_entry(entry)))
    return RouteBatch(family, vrf, updates)


# ---- the peers ----


@NAMES
def test_decode_lxml(contest: Any, peer: Any, name: str) -> None:
    etree = peer("lxml.etree")
    data, wanted = stanzas(name)

    def run() -> list[RouteBatch]:
        batches = []
        for stanza in data:
            items = etree.fromstring(stanza)[0][0]
            batches.append(read_items(items.get("node"), iter(items)))
        return batches

    assert run() == wanted
    contest(group(name), "lxml", per=ROUTES)(run)


def slixmpp_stream(told: list[RouteBatch]) -> Any:
    """A stream that knows messages with events of items, and reads them in a Callback."""
    from slixmpp.stanza import Message
    from slixmpp.xmlstream import ElementBase, XMLStream, register_stanza_plugin
    from slixmpp.xmlstream.handler import Callback
    from slixmpp.xmlstream.matcher import StanzaPath

    class Event(ElementBase):
        namespace, name, plugin_attrib = PUBSUB, "event", "route_event"

    class Items(ElementBase):
        namespace, name, plugin_attrib = PUBSUB, "items", "items"
        interfaces = {"node"}  # noqa: RUF012 - how the library wants it

    class Item(ElementBase):
        namespace, name, plugin_attrib = PUBSUB, "item", "item"
        interfaces = {"id"}  # noqa: RUF012

    class Retract(ElementBase):
        namespace, name, plugin_attrib = PUBSUB, "retract", "retract"
        interfaces = {"id"}  # noqa: RUF012

    register_stanza_plugin(Message, Event)
    register_stanza_plugin(Event, Items)
    register_stanza_plugin(Items, Item, iterable=True)
    register_stanza_plugin(Items, Retract, iterable=True)

    def take(message: Any) -> None:
        items = message["route_event"]["items"]
        told.append(read_items(items["node"], (item.xml for item in items["substanzas"])))

    stream = XMLStream()
    stream.default_ns = "jabber:client"
    stream.stream_ns = "http://etherx.jabber.org/streams"
    stream.register_stanza(Message)
    stream.register_handler(Callback("routes", StanzaPath("message/route_event"), take))
    return stream


@NAMES
def test_decode_slixmpp(contest: Any, peer: Any, name: str) -> None:
    peer("slixmpp")
    data, wanted = stanzas(name)
    pieces = cut(b"".join(data))
    told: list[RouteBatch] = []
    logging.getLogger("slixmpp").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        stream = slixmpp_stream(told)
        stream.init_parser()
        stream.data_received(HEADER)

        def run() -> None:
            told.clear()
            for piece in pieces:
                stream.data_received(piece)

        run()
        assert told == wanted
        contest(group(name), "slixmpp", per=ROUTES)(run)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


# ---- what is said ----


def own_inet() -> list[PublishedRoute]:
    mac = Mac.parse("52:54:00:00:00:01")
    return [
        PublishedRoute(
            RouteFamily.INET,
            VRF,
            InetKey((0x0A000000 + i).to_bytes(4, "big"), 32),
            RouteAttributes(
                (RouteNexthop(HOST, 17 + i, MPLS, VN, mac),),
                sequence=1,
                local_preference=200,
                security_groups=(8000001,),
                sub_protocol="interface",
            ),
        )
        for i in range(ROUTES)
    ]


def test_publish_vrouter(contest: Any) -> None:
    routes = own_inet()
    encoder = StanzaEncoder(Identity("compute-1"))

    def run() -> None:
        for route in routes:
            encoder.publish(route)

    contest("stanza: publish inet", "vrouter", per=ROUTES, aim_ratio=("lxml", 0.5))(run)


def test_publish_elementtree(contest: Any) -> None:
    measure_publish(contest, "ElementTree", ElementTree)


def test_publish_lxml(contest: Any, peer: Any) -> None:
    measure_publish(contest, "lxml", peer("lxml.etree"))


def measure_publish(contest: Any, impl: str, etree: ModuleType) -> None:
    routes = own_inet()

    def run() -> None:
        for i, route in enumerate(routes):
            say(etree, route, i)

    said = StanzaEncoder(Identity("compute-1")).publish(routes[0])
    assert canonical(say(etree, routes[0], 0)) == canonical(said)
    contest("stanza: publish inet", impl, per=ROUTES)(run)


def canonical(data: bytes) -> str:
    return ElementTree.canonicalize(f"<s>{data.decode()}</s>", strip_text=True)


def say(etree: ModuleType, route: PublishedRoute, count: int) -> bytes:
    """The two stanzas of a route, built as trees."""
    assert isinstance(route.key, InetKey)
    sub = etree.SubElement
    prefix = f"{IPv4Address(route.key.prefix)}/{route.key.length}"
    node = f"1/1/{route.vrf}/{prefix}"
    first, pubsub = envelope(etree, f"pubsub{count}")
    entry = sub(sub(sub(pubsub, "publish", node=node), "item"), "entry")

    def text(parent: Any, name: str, value: object = "") -> Any:
        made = sub(parent, name)
        made.text = str(value)
        return made

    nlri = sub(entry, "nlri")
    text(nlri, "af", 1)
    text(nlri, "safi", 1)
    text(nlri, "address", prefix)
    (hop,) = route.attributes.nexthops
    one = sub(sub(entry, "next-hops"), "next-hop")
    text(one, "af", 1)
    text(one, "address", hop.address)
    text(one, "mac", hop.mac)
    text(one, "label", hop.label)
    text(one, "vni", 0)
    encapsulations = sub(one, "tunnel-encapsulation-list")
    for name in hop.encapsulations:
        text(encapsulations, "tunnel-encapsulation", name.value)
    text(one, "virtual-network", hop.virtual_network)
    text(one, "tag-list")
    text(one, "is-new-tags-list", "false")
    text(one, "local-sequence-number", 0)
    attributes = route.attributes
    text(entry, "version", 1)
    text(entry, "virtual-network")
    sub(entry, "mobility", sticky="false", seqno=str(attributes.sequence))
    sub(entry, "peers")
    text(entry, "sequence-number", attributes.sequence)
    groups = sub(entry, "security-group-list")
    for group_id in attributes.security_groups:
        text(groups, "security-group", group_id)
    text(entry, "community-tag-list")
    text(entry, "local-preference", attributes.local_preference)
    text(entry, "med", 0)
    balance = sub(entry, "load-balance")
    text(balance, "load-balance-fields")
    text(balance, "load-balance-decision", "field-hash")
    text(entry, "sub-protocol", attributes.sub_protocol)
    second, pubsub = envelope(etree, f"collection{count}")
    sub(sub(pubsub, "collection", node=route.vrf), "associate", node=node)
    said: bytes = etree.tostring(first) + etree.tostring(second)
    return said


def envelope(etree: ModuleType, name: str) -> tuple[Any, Any]:
    iq = etree.Element("iq", type="set", to=f"{CONTROLLER}/bgp-peer", id=name)
    iq.set("from", "compute-1")
    return iq, etree.SubElement(iq, "pubsub", xmlns=PUBSUB)
