"""Configuration stanzas as edits: the vectors up to the port, odd and hostile content."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ifmap import Graph, Neighbours, NodeRef, uuid_of
from agent.ifmap.parser import (
    ConfigParser,
    DeleteLink,
    DeleteNode,
    Edit,
    PutLink,
    PutNode,
    apply,
)
from agent.ifmap.schema import NODE_TYPES, SCALARS, STRUCTURES, Member, problem
from agent.inputs import HostSettings, Link, PluggedPort
from agent.objects import Kind
from agent.oper import Compiler
from agent.values import Mac

VECTORS = Path(__file__).parents[2] / "vectors" / "xmpp"
CONFIG = ("18-config-minimal-one-vm.xml", "19-config-2vn-3vm-policy-sg-fip.xml")
VN1 = NodeRef("virtual-network", "default-domain:demo:vn1")
PORT1 = NodeRef("virtual-machine-interface", "default-domain:demo:port1")


def stanzas(name: str) -> list[Element]:
    """The configuration stanzas of a vector, in the namespace that the stream gives them."""
    text = (VECTORS / name).read_text()
    found = re.findall(r"<iq.*?</iq>", text, re.DOTALL)
    return [fromstring(one.replace("<iq ", '<iq xmlns="jabber:client" ', 1)) for one in found]


def section(content: str, verb: str = "update") -> Element:
    return fromstring(f"<iq><config><{verb}>{content}</{verb}></config></iq>")


def read(content: str, verb: str = "update") -> tuple[list[Edit], dict[str, int]]:
    parser = ConfigParser()
    return parser.read(section(content, verb)), dict(parser.counters)


def properties(content: str, kind: str = "virtual-network") -> Any:
    (edit,) = read(f'<node type="{kind}"><name>n</name>{content}</node>')[0]
    assert isinstance(edit, PutNode)
    return edit.node.properties


def graph_of(name: str) -> Graph:
    graph, parser = Graph(), ConfigParser()
    for stanza in stanzas(name):
        apply(parser.read(stanza), graph)
    return graph


@pytest.mark.parametrize("name", CONFIG)
def test_vectors_follow_the_schema(name: str) -> None:
    parser = ConfigParser()
    edits = [edit for stanza in stanzas(name) for edit in parser.read(stanza)]
    nodes = [edit.node for edit in edits if isinstance(edit, PutNode)]
    assert len(nodes) > 10
    assert [problem(node) for node in nodes] == [None] * len(nodes)
    assert set(parser.counters) <= {"unknown-property"}
    graph = Graph()
    apply(edits, graph)
    assert graph.counters == {}
    assert len(graph) == len(nodes)


def test_shapes_of_values() -> None:
    graph = graph_of(CONFIG[0])
    vn, port = graph.node(VN1), graph.node(PORT1)
    assert vn is not None
    assert port is not None
    assert uuid_of(vn) == UUID("00000002-0000-4000-8000-000000000001")
    assert vn.properties["virtual-network-network-id"] == 4
    assert vn.properties["flood-unknown-unicast"] is False
    assert vn.properties["virtual-network-properties"] == {
        "forwarding-mode": "l2_l3",
        "rpf": "enable",
        "network-id": 4,
        "vxlan-network-identifier": 1001,
    }
    assert port.properties["virtual-machine-interface-mac-addresses"] == {
        "mac-address": ["02:aa:bb:00:00:01"]
    }
    kind = "virtual-network-network-ipam"
    (attribute,) = graph.neighbours(Neighbours(VN1, kind))
    middle = graph.node(attribute)
    assert middle is not None
    (subnet,) = middle.properties["value"]["ipam-subnets"]
    assert subnet["subnet"] == {"ip-prefix": "10.1.1.0", "ip-prefix-len": 24}
    assert subnet["enable-dhcp"] is True
    kind = "virtual-machine-interface-routing-instance"
    (attribute,) = graph.neighbours(Neighbours(PORT1, kind))
    middle = graph.node(attribute)
    assert middle is not None
    assert middle.properties["value"] == {
        "direction": "both",
        "vlan-tag": 0,
        "src-mac": "",
        "dst-mac": "",
        "mpls-label": 0,
        "service-chain-address": "",
        "ipv6-service-chain-address": "",
        "protocol": "",
    }


def test_any_order_gives_the_same_graph() -> None:
    parser = ConfigParser()
    straight, reverse = Graph(), Graph()
    apply(parser.read(stanzas(CONFIG[0])[0]), straight)
    first, again, gone = map(parser.read, stanzas("20-config-out-of-order-and-resync.xml"))
    apply(first, reverse)
    assert contents(reverse, first) == contents(straight, first)
    apply(again, reverse)
    assert contents(reverse, first) == contents(straight, first)
    assert len(again) == 2
    assert isinstance(again[0], DeleteNode)
    apply(gone, reverse)
    assert isinstance(gone[0], DeleteLink)
    assert reverse.node(PORT1) is None
    assert reverse.node(VN1) is not None
    assert reverse.counters == {}


def contents(graph: Graph, edits: list[Edit]) -> Any:
    nodes = [NodeRef(edit.node.type, edit.node.name) for edit in edits if isinstance(edit, PutNode)]
    links = [edit.link for edit in edits if isinstance(edit, PutLink)]
    return (
        [graph.node(ref) for ref in nodes],
        [graph.neighbours(Neighbours(NodeRef(*link.left), link.metadata)) for link in links],
        [graph.neighbours(Neighbours(NodeRef(*link.right), link.metadata)) for link in links],
    )


# Up to the port


def compiler_with(name: str, steps: int = 99) -> Compiler:
    settings = HostSettings(
        "compute-1", "eth1", IPv4Interface("192.0.2.1/24"), IPv4Address("192.0.2.254")
    )
    compiler, parser = Compiler(settings), ConfigParser()
    for index, device in enumerate(("eth1", "vhost0", "tap1")):
        compiler.put_link(Link(device, 3 + index, Mac.parse("0c:00:00:00:00:01"), True))
    for stanza in stanzas(name)[:steps]:
        apply(parser.read(stanza), compiler.graph)
    port = compiler.graph.node(PORT1)
    compiler.put_port(
        PluggedPort(
            uuid=uuid_of(port) if port else UUID(int=1),  # type: ignore[arg-type]
            instance_uuid=UUID("10000000-0000-0000-0000-000000000001"),
            vn_uuid=UUID("00000002-0000-4000-8000-000000000001"),
            project_uuid=UUID(int=0),
            display_name="vm1",
            system_name="tap1",
            mac=Mac.parse("02:aa:bb:00:00:01"),
            ip=IPv4Address("10.1.1.3"),
            ip6=IPv6Address("::"),
        )
    )
    compiler.commit()
    assert compiler.failures() == {}
    return compiler


@pytest.mark.parametrize(
    ("name", "steps"),
    [(CONFIG[0], 1), (CONFIG[1], 1), ("20-config-out-of-order-and-resync.xml", 2)],
)
def test_a_plugged_port_becomes_active(name: str, steps: int) -> None:
    compiler = compiler_with(name, steps)
    (row,) = compiler.vmis()
    assert (row.active, row.reason) == (True, "")
    assert row.mac == Mac.parse("02:aa:bb:00:00:01")
    assert row.ip == IPv4Address("10.1.1.3")
    assert row.vrf is not None
    assert row.vrf.name == "default-domain:demo:vn1:vn1"
    assert row.vn is not None
    assert row.vn.vxlan_id == 4, "the automatic one: the network's id, not the configured VNI"
    assert row.subnet is not None
    assert row.subnet.gateway == IPv4Address("10.1.1.1")
    assert row.subnet.dns_server == IPv4Address("10.1.1.2")
    assert row.dhcp_enabled
    kinds = [key.kind for key in compiler.desired()]
    assert kinds.count(Kind.VIF) == 4
    assert Kind.BRIDGE_ROUTE in kinds
    routes = [
        desired.message
        for key, desired in compiler.desired().items()
        if key.kind is Kind.INET_ROUTE
    ]
    assert (row.vrf.index, bytes((10, 1, 1, 3)), 32) in [
        (message.rtr_vrf_id, message.rtr_prefix, message.rtr_prefix_len)  # type: ignore[union-attr]
        for message in routes
    ]


def test_the_port_goes_with_its_configuration() -> None:
    compiler = compiler_with("20-config-out-of-order-and-resync.xml")
    assert not any(row.active for row in compiler.vmis())


# Values


def test_integers_are_lenient_at_the_top_and_strict_below() -> None:
    assert properties("<virtual-network-network-id>12x</virtual-network-network-id>") == {
        "virtual-network-network-id": 12
    }
    assert properties("<virtual-network-network-id>x</virtual-network-network-id>") == {
        "virtual-network-network-id": 0
    }
    inner = "<virtual-network-properties><network-id>{}</network-id></virtual-network-properties>"
    assert properties(inner.format(" 7 ")) == {"virtual-network-properties": {"network-id": 7}}
    for bad in ("", "x", "7x", "99999999999", "-99999999999", "1_0", "٣"):
        node = f'<node type="virtual-network"><name>n</name>{inner.format(bad)}</node>'
        assert read(node) == ([], {"bad-value": 1})


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_booleans(text: str, value: bool) -> None:
    element = f"<flood-unknown-unicast>{text}</flood-unknown-unicast>"
    assert properties(element) == {"flood-unknown-unicast": value}


def test_a_list_without_items_is_unset() -> None:
    name = "virtual-machine-interface-mac-addresses"
    assert properties(f"<{name} />", "virtual-machine-interface") == {}
    two = f"<{name}><mac-address>a</mac-address><mac-address>b</mac-address></{name}>"
    assert properties(two, "virtual-machine-interface") == {name: {"mac-address": ["a", "b"]}}


def test_uuid_halves_are_unsigned() -> None:
    halves = "<uuid-mslong>18446744073709551615</uuid-mslong><uuid-lslong>255</uuid-lslong>"
    (edit,) = read(
        f'<node type="domain"><name>n</name><id-perms><uuid>{halves}</uuid></id-perms></node>'
    )[0]
    assert isinstance(edit, PutNode)
    assert uuid_of(edit.node) == UUID(int=((2**64 - 1) << 64) | 255)
    over = halves.replace("255", str(2**64))
    content = f'<node type="domain"><name>n</name><id-perms><uuid>{over}</uuid></id-perms></node>'
    assert read(content) == ([], {"bad-value": 1})


def test_unknown_types_are_kept_with_what_they_say() -> None:
    content = '<node type="new-thing"><name>n</name><a>1</a><b><c/><c>2</c></b><a>3</a></node>'
    (edit,) = read(content)[0]
    assert isinstance(edit, PutNode)
    assert edit.node.properties == {"a": ["1", "3"], "b": {"c": ["", "2"]}}
    graph = Graph()
    apply([edit], graph)
    assert graph.counters == {"unknown-node-type": 1}
    assert graph.node(NodeRef("new-thing", "n")) == edit.node


def test_unknown_properties_are_counted_and_left_out() -> None:
    content = '<node type="domain"><name>n</name><new/><display-name>d</display-name></node>'
    ((edit,), counters) = read(content)
    assert isinstance(edit, PutNode)
    assert edit.node.properties == {"display-name": "d"}
    assert counters == {"unknown-property": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<node><name>n</name></node>", "no-type"),
        ('<node type="domain"/>', "no-name"),
        ('<node type="domain"><name/></node>', "no-name"),
        ("<link/>", "bad-link"),
        ('<link><node type="a"><name>x</name></node><metadata type="m"/></link>', "bad-link"),
        (
            '<link><node type="a"><name>x</name></node><node type="b"><name>y</name></node></link>',
            "bad-link",
        ),
        ('<link><node type="a"/><node type="b"/><metadata type="m"/></link>', "no-name"),
        ("<thing/>", "unknown-object"),
        (
            '<node type="new"><name>n</name>' + "<a>" * 40 + "<b/>" + "</a>" * 40 + "</node>",
            "too-deep",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["update", "delete"])
def test_the_rest_of_a_stanza_counts(content: str, reason: str, verb: str) -> None:
    good = '<node type="domain"><name>{}</name></node>'
    edits, counters = read(good.format("a") + content + good.format("b"), verb)
    if verb == "delete" and reason == "too-deep":
        assert len(edits) == 3
    else:
        assert (len(edits), counters) == (2, {reason: 1})


def test_sections_in_document_order() -> None:
    parser = ConfigParser()
    node = '<node type="domain"><name>{}</name></node>'
    stanza = fromstring(
        f"<iq><config><update>{node.format('a')}</update><delete>{node.format('b')}</delete>"
        f"<other/><update>{node.format('c')}</update></config></iq>"
    )
    kinds = [type(edit) for edit in parser.read(stanza)]
    assert kinds == [PutNode, DeleteNode, PutNode]
    assert parser.counters == {"unknown-section": 1}
    assert parser.read(fromstring("<iq/>")) == []
    assert parser.counters["no-config"] == 1


def test_both_orders_of_a_link_are_one_link() -> None:
    ends = [f'<node type="{kind}"><name>{kind}</name></node>' for kind in ("a", "b")]
    for first, second in (ends, reversed(ends)):
        (edit,) = read(f'<link>{first}{second}<metadata type="m"/></link>')[0]
        assert isinstance(edit, PutLink)
        assert {edit.link.left, edit.link.right} == {("a", "a"), ("b", "b")}


# Everything of the schema


def example(member: Member, depth: int) -> tuple[str, Any]:
    """An element of a member, and its value."""
    if member.type in SCALARS:
        text, value = {
            "string": ("a&amp;b", "a&b"),
            "int": ("7", 7),
            "uint64": ("9", 9),
            "bool": ("true", True),
        }[member.type]
        return f"<{member.name}>{text}</{member.name}>", value
    inner, content = examples(STRUCTURES[member.type], depth + 1)
    return f"<{member.name}>{inner}</{member.name}>", content


def examples(members: Any, depth: int = 0) -> tuple[str, dict[str, Any]]:
    assert depth < 12
    text, content = "", {}
    for member in members.values():
        element, value = example(member, depth)
        text += element * 2 if member.repeats else element
        content[member.name] = [value, value] if member.repeats else value
    return text, content


@pytest.mark.parametrize("kind", sorted(NODE_TYPES))
def test_every_property_of_the_schema(kind: str) -> None:
    text, content = examples(NODE_TYPES[kind].properties)
    ((edit,), counters) = read(f'<node type="{kind}"><name>n</name>{text}</node>')
    assert counters == {}
    assert isinstance(edit, PutNode)
    assert edit.node.properties == content
    assert problem(edit.node) is None


NAMES = st.sampled_from(
    ["node", "link", "name", "metadata", "update", "id-perms", "uuid", "uuid-mslong", "x", "value"]
)
TREES = st.recursive(
    st.tuples(NAMES, st.just(()), st.text(max_size=4)),
    lambda children: st.tuples(NAMES, st.lists(children, max_size=4), st.text(max_size=4)),
    max_leaves=25,
)


def element_of(tree: Any, kind: str) -> Element:
    name, children, text = tree
    element = Element(name, {"type": kind})
    element.text = text
    element.extend(element_of(child, kind) for child in children)
    return element


@given(st.lists(TREES, max_size=4), st.sampled_from([*sorted(NODE_TYPES), "x", ""]))
def test_no_tree_does_harm(trees: list[Any], kind: str) -> None:
    """Whatever comes, what is read can be applied."""
    stanza = section("")
    stanza[0][0].extend(element_of(tree, kind) for tree in trees)
    parser, graph = ConfigParser(), Graph()
    edits = parser.read(stanza)
    dropped = {"unknown-property"}
    assert len(edits) + sum(
        count for name, count in parser.counters.items() if name not in dropped
    ) == len(trees)
    apply(edits, graph)
