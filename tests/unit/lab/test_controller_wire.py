"""Bytes of the lab's controller against the golden vectors of the dialect."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WireError
from agent.inputs import GraphLink, GraphNode
from agent.lab.controller import config_xml, wire
from agent.lab.controller.configuration import Changes
from agent.lab.controller.downstream import messages
from agent.lab.controller.upstream import (
    ConfigSubscription,
    EndOfRib,
    VrfSubscription,
    carries_route,
    local,
    requests,
)
from agent.routes import (
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    LoadBalanceField,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
    TreeNeighbour,
)
from agent.values import Mac

VECTORS = Path(__file__).parents[2] / "vectors/xmpp"
GRE_UDP = (Encapsulation.GRE, Encapsulation.UDP)
VRF = "default-domain:demo:vn1:vn1"
VN1, VN2 = "default-domain:demo:vn1", "default-domain:demo:vn2"


def vector(name: str) -> bytes:
    """The wire bytes of a vector: its stanzas without the root."""
    text = (VECTORS / name).read_bytes()
    return text.replace(b"<vector>\n", b"").replace(b"</vector>\n", b"")


def asked(name: str) -> list[object]:
    scanner = wire.Scanner()
    list(scanner.feed(OPENING))
    pieces = scanner.feed(vector(name))
    stanzas = [piece.data for piece in pieces if isinstance(piece, wire.Stanza)]
    return [request for stanza in stanzas for request in requests(stanza)]


OPENING = (
    b'<?xml version="1.0"?>\n<stream:stream from="compute-1" to="network-control@contrail'
    b'systems.com" version="1.0" xml:lang="en" xmlns="" '
    b'xmlns:stream="http://etherx.jabber.org/streams"  >'
)


# The stream


def test_the_header_answers_as_the_vector_does():
    text = (VECTORS / "01-stream-open.txt").read_text()
    theirs = re.findall(r"^S> (<.*)$", text, re.MULTILINE)[:2]
    assert wire.header("compute-1").decode() == "\n".join(theirs)


@given(st.lists(st.integers(0, 200), max_size=20))
def test_pieces_do_not_depend_on_how_the_bytes_come(cuts):
    data = OPENING + b"\xc8\x80" + vector("03-vrf-subscribe.xml") + b"\xc8\x80\xc8\x80"
    whole, split = wire.Scanner(), wire.Scanner()
    expected = list(whole.feed(data))
    assert sum(isinstance(piece, wire.Stanza) for piece in expected) == 3
    found = []
    for cut in cuts:
        found += split.feed(data[:cut])
        data = data[cut:]
    found += split.feed(data)
    assert [p for p in found if p != wire.Keepalive()] == [
        p for p in expected if p != wire.Keepalive()
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"<?xml version='1.0'?>" + OPENING[22:],
        b"x" * 2000,
        OPENING.replace(b' from="compute-1"', b""),
        OPENING + b"<presence/>",
        OPENING + b"hello world",
        OPENING + b"<iq type='set'>" + b" " * wire.MAX_STANZA,
    ],
)
def test_what_a_control_node_does_not_understand(data):
    with pytest.raises(WireError):
        list(wire.Scanner().feed(data))


def test_a_self_closed_stanza_swallows_the_next():
    """As in a control node; an agent that sends one must be seen to fail."""
    scanner = wire.Scanner()
    _, piece = scanner.feed(OPENING + b'<iq to="x/config" /><iq to="x/config"></iq>')
    assert isinstance(piece, wire.Stanza)
    with pytest.raises(WireError, match="not well-formed"):
        list(requests(piece.data))


# What agents say


def test_subscriptions():
    assert asked("02-config-subscribe.xml") == [
        ConfigSubscription("virtual-router", "default-global-system-config:compute-1", True),
        ConfigSubscription("virtual-machine", "10000000-0000-0000-0000-000000000001", True),
        ConfigSubscription("virtual-machine", "10000000-0000-0000-0000-000000000001", False),
    ]
    assert asked("03-vrf-subscribe.xml") == [
        VrfSubscription("default-domain:default-project:ip-fabric:__default__", 0, True, True),
        VrfSubscription(VRF, 3, True, True),
        VrfSubscription(VRF, 3, True, False),
    ]


def test_the_marker_of_an_agent():
    assert asked("17-end-of-rib.xml")[0] == EndOfRib()


@pytest.mark.parametrize("number", range(4, 12))
def test_stanzas_with_routes_are_told_from_others(number):
    (path,) = VECTORS.glob(f"{number:02}-*.xml")
    scanner = wire.Scanner()
    pieces = list(scanner.feed(OPENING + vector(path.name)))
    stanzas = [piece.data for piece in pieces if isinstance(piece, wire.Stanza)]
    assert stanzas
    assert all(map(carries_route, stanzas))


@pytest.mark.parametrize(
    "stanza",
    [
        b'<iq to="c/config"><pubsub><delete node="virtual-machine:x" /></pubsub></iq>',
        b'<iq to="c/config"><pubsub><subscribe node="nothing" /></pubsub></iq>',
        b'<iq to="c/other"><pubsub><subscribe node="x" /></pubsub></iq>',
        b'<iq to="c/bgp-peer"><pubsub><retract node="x" /></pubsub></iq>',
        b'<iq to="c/bgp-peer"><pubsub><subscribe node="x" /></pubsub></iq>',
        b'<message to="c/bgp-peer"><event><items node="1/1/x"></items></event></message>',
        b"<iq><unclosed></iq>",
    ],
)
def test_what_no_agent_asks(stanza):
    with pytest.raises(WireError):
        list(requests(stanza))


# Routes to agents


def inet(address: str, route: RouteAttributes) -> RouteUpdate:
    return RouteUpdate(InetKey(IPv4Address(address).packed, 32), route)


def remote(last: int, label: int, encapsulations=GRE_UDP, vn=VN1, tags=()) -> RouteNexthop:
    return RouteNexthop(IPv4Address(f"192.0.2.{last}"), label, encapsulations, vn, None, tags)


def evpn(tag: int, mac: str, address: str) -> EvpnKey:
    return EvpnKey(tag, Mac.parse(mac), IPv4Address(address), 32)


def written(*batches: RouteBatch) -> bytes:
    return b"".join(
        message for batch in batches for message in messages("compute-1", batch, "192.0.2.1:3")
    )


TREE = GroupKey(IPv4Address("255.255.255.255"), IPv4Address("0.0.0.0"))


def test_inet_routes():
    first = RouteAttributes((remote(2, 21),), VN1, 3, False, 200, 100, (8000001,))
    second = RouteAttributes(
        (remote(2, 22, (Encapsulation.UDP,), VN2, (0x000100000007,)),),
        VN2,
        local_preference=100,
        med=200,
        security_groups=(8000002,),
        communities=("65000:100",),
    )
    updates = [inet("10.1.1.4", first), inet("10.2.2.4", second)]
    assert written(RouteBatch(RouteFamily.INET, VRF, updates)) == vector(
        "12-controller-inet-update.xml"
    )


def test_ecmp_routes():
    fields = {LoadBalanceField.SOURCE_ADDRESS, LoadBalanceField.DESTINATION_ADDRESS}
    hops = (remote(1, 17), remote(2, 23), remote(3, 30, (Encapsulation.UDP,)))
    route = RouteAttributes(
        hops, VN1, local_preference=200, med=100, load_balance=frozenset(fields)
    )
    batch = RouteBatch(RouteFamily.INET, VRF, [inet("10.1.1.100", route)])
    assert written(batch) == vector("13-controller-inet-ecmp.xml")


def test_retracts():
    keys = {
        RouteFamily.INET: [
            InetKey(IPv4Address("10.1.1.4").packed, 32),
            InetKey(IPv4Address("10.2.2.4").packed, 32),
        ],
        RouteFamily.INET6: [InetKey(ip_address("2001:db8:1::4").packed, 128)],
        RouteFamily.EVPN: [
            evpn(0, "02:aa:bb:00:00:04", "10.1.1.4"),
            evpn(4, "02:aa:bb:00:00:05", "10.1.1.5"),
        ],
        RouteFamily.ERMVPN: [TREE],
    }
    batches = [
        RouteBatch(family, VRF, [RouteUpdate(key, None) for key in some])
        for family, some in keys.items()
    ]
    assert written(*batches) == vector("14-controller-retracts.xml")


def test_evpn_routes():
    vxlan = (Encapsulation.VXLAN,)
    hosts = [
        RouteUpdate(
            evpn(0, "02:aa:bb:00:00:04", "10.1.1.4"),
            RouteAttributes(
                (remote(2, 24),), VN1, local_preference=100, med=200, security_groups=(8000001,)
            ),
        ),
        RouteUpdate(
            evpn(4, "02:aa:bb:00:00:05", "10.1.1.5"),
            RouteAttributes((remote(3, 4, vxlan),), VN1, local_preference=100, med=200),
        ),
    ]
    others = (
        TreeNeighbour(IPv4Address("192.0.2.2"), 40, GRE_UDP),
        TreeNeighbour(IPv4Address("192.0.2.3"), 41, (Encapsulation.UDP,)),
    )
    broadcast = RouteUpdate(
        evpn(0, "ff:ff:ff:ff:ff:ff", "0.0.0.0"),
        RouteAttributes(virtual_network="unresolved", local_preference=100, neighbours=others),
    )
    batches = [RouteBatch(RouteFamily.EVPN, VRF, rows) for rows in (hosts, [broadcast])]
    assert written(*batches) == vector("15-controller-evpn-updates.xml")


def test_tree_routes():
    others = tuple(
        TreeNeighbour(IPv4Address(f"192.0.2.{last}"), label, GRE_UDP)
        for last, label in ((2, 8200), (3, 8300))
    )
    route = RouteAttributes(neighbours=others, source_label=4100)
    batch = RouteBatch(RouteFamily.ERMVPN, VRF, [RouteUpdate(TREE, route)])
    assert written(batch) == vector("16-controller-ermvpn-update.xml")


def test_the_marker_to_an_agent():
    assert wire.end_of_rib("compute-1") in vector("17-end-of-rib.xml")


@pytest.mark.parametrize(("count", "retract", "expected"), [(33, False, 2), (257, True, 2)])
def test_messages_hold_a_bounded_number_of_items(count, retract, expected):
    route = None if retract else RouteAttributes((remote(2, 21),))
    updates = [
        RouteUpdate(InetKey(number.to_bytes(4, "big"), 32), route) for number in range(count)
    ]
    batch = RouteBatch(RouteFamily.INET, VRF, updates)
    assert len(list(messages("compute-1", batch, "-"))) == expected


def test_names_are_escaped():
    route = RouteAttributes((remote(2, 21, vn="a<b&c"),), 'd"e')
    (message,) = messages(
        'x"<y', RouteBatch(RouteFamily.INET, "v&w", [inet("10.0.0.1", route)]), "-"
    )
    stanza = ElementTree.fromstring(message)
    assert stanza.get("to") == 'x"<y/bgp-peer'
    texts = {element.text for element in stanza.iter() if local(element) == "virtual-network"}
    assert texts == {"a<b&c", 'd"e'}


# Configuration


def node_of(element: ElementTree.Element) -> GraphNode:
    return GraphNode(
        element.get("type"),
        element.findtext("name"),
        {key: value for key, value in members(element).items() if key != "name"},
    )


def members(element: ElementTree.Element):
    """Children by name, in order; an element without children is its text."""
    if not len(element):
        return element.text or ""
    found = {}
    for one in element:
        found.setdefault(one.tag, []).append(members(one))
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def part_of(element: ElementTree.Element) -> GraphNode | GraphLink:
    if element.tag == "node":
        return node_of(element)
    left, right = ((end.get("type"), end.findtext("name")) for end in element.findall("node"))
    return GraphLink(element.find("metadata").get("type"), left, right)


@pytest.mark.parametrize(
    "name",
    [
        "18-config-minimal-one-vm.xml",
        "19-config-2vn-3vm-policy-sg-fip.xml",
        "20-config-out-of-order-and-resync.xml",
    ],
)
def test_configuration_is_written_as_in_the_vectors(name):
    text = (VECTORS / name).read_text()
    lines = 0
    for line in text.splitlines():
        if not line.startswith("      <"):
            continue
        part = part_of(ElementTree.fromstring(line))
        verb = "updates" if isinstance(part, GraphLink) or part.properties else "deletes"
        changes = Changes([], [])._replace(**{verb: [part]})
        (stanza,) = config_xml.stanzas("compute-1", changes)
        assert line in stanza.decode().splitlines()
        lines += 1
    assert lines > 20


def test_a_stanza_has_the_form_of_the_vector():
    text = (VECTORS / "18-config-minimal-one-vm.xml").read_text()
    parts = [part_of(one) for one in ElementTree.fromstring(text).find("config/update")]
    some = parts[:5]
    (stanza,) = config_xml.stanzas("compute-1", Changes(some, []))
    lines = text.splitlines(keepends=True)
    assert stanza.decode() == "".join(lines[:9] + lines[-3:])
    many = list(config_xml.stanzas("compute-1", Changes(parts, [])))
    assert all(one.startswith(b'<?xml version="1.0"?>\n<iq ') for one in many)
    weights = [one.count(b"      <node") + 2 * one.count(b"      <link") for one in many]
    assert max(weights) <= config_xml.OBJECTS
    assert sum(one.count(b"      <") for one in many) == len(parts)
