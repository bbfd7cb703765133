"""A topology as a configuration graph: shapes of the schema, connected as a controller would."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agent import topology
from agent.errors import ConfigError
from agent.ifmap import Graph, Identity, Neighbours, NodeRef, schema
from agent.ifmap.from_topology import objects

FILE = Path(__file__).parents[3] / "agent" / "lab" / "topologies" / "one-host.yaml"
FULL = {
    "hosts": {"a": {}, "b": {}},
    "networks": {
        "red": {
            "subnets": ["10.1.1.0/24", "fd00:1::/64"],
            "dhcp_options": {"ntp-servers": "10.1.1.9"},
            "host_routes": {"192.168.0.0/16": "10.1.1.7"},
            "forwarding_mode": "l2",
            "flood_unknown_unicast": True,
        }
    },
    "vms": {
        "one": {"host": "a", "network": "red", "address": "10.1.1.3", "address6": "fd00:1::3"},
        "two": {"host": "b", "network": "red", "address": "10.1.1.4"},
    },
}


def test_everything_follows_the_schema() -> None:
    for content, host in ((yaml.safe_load(FILE.read_text()), "host1"), (FULL, "a")):
        made = objects(topology.parse(content), host)
        assert [found for node in made.nodes if (found := schema.problem(node))] == []
        for link in made.links:
            assert schema.LINK_TYPES[link.metadata].joins(link.left[0], link.right[0]), link
        names = {(node.type, node.name) for node in made.nodes}
        assert {end for link in made.links for end in (link.left, link.right)} <= names


def test_a_port_is_found_by_its_uuid_and_walks_to_its_network() -> None:
    parsed = topology.parse(FULL)
    graph = Graph()
    made = objects(parsed, "a")
    for link in made.links:
        graph.put_link(link)
    for node in made.nodes:
        assert graph.put_node(node)
    assert not graph.counters
    port = graph.by_uuid(Identity("virtual-machine-interface", parsed.vms["one"].port))
    assert port is not None
    [vn] = graph.neighbours(Neighbours(port, "virtual-machine-interface-virtual-network"))
    assert vn.name == "default-domain:default-project:red"
    assert graph.by_uuid(Identity("virtual-network", parsed.networks["red"].uuid)) == vn
    addresses = graph.neighbours(Neighbours(port, "instance-ip-virtual-machine-interface"))
    values = [graph.node(ref).properties["instance-ip-address"] for ref in addresses]  # type: ignore[union-attr]
    assert sorted(values) == ["10.1.1.3", "fd00:1::3"]
    [attribute] = graph.neighbours(Neighbours(vn, "virtual-network-network-ipam"))
    assert attribute.type == "virtual-network-network-ipam"


def test_only_the_vms_of_the_host() -> None:
    parsed = topology.parse(FULL)
    names = {node.name for node in objects(parsed, "b").nodes if node.type == "virtual-machine"}
    assert names == {str(parsed.vms["two"].uuid)}


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(ConfigError, match=r"has no host 'c'; it has: a, b"):
        objects(topology.parse(FULL), "c")


def test_schema_problems_are_placed() -> None:
    ref = NodeRef("virtual-network", "x")
    perms = {"id-perms": {"enable": True}}
    cases = {
        "unknown node type 'sun'": ("sun", {}),
        "id-perms is missing": (ref.type, {}),
        "virtual-network: no member 'colour'": (ref.type, perms | {"colour": 1}),
        "virtual-network.virtual-network-network-id: expected int, found True": (
            ref.type,
            perms | {"virtual-network-network-id": True},
        ),
        "virtual-network.id-perms: expected a structure": (ref.type, {"id-perms": 5}),
    }
    for text, (kind, properties) in cases.items():
        assert schema.problem(schema.GraphNode(kind, "x", properties)) == text
