"""Addresses of a topology file: what is read, what is refused, what the graph gets of it."""

from __future__ import annotations

from typing import Any

import pytest

from agent import topology
from agent.ifmap import schema
from agent.ifmap.from_topology import objects
from agent.topology import TopologyError

BASE: dict[str, Any] = {
    "hosts": {"a": {}, "b": {}},
    "networks": {
        "red": {"subnets": ["10.1.1.0/24", "fd00:1::/64"]},
        "public": {"subnet": "203.0.113.0/24"},
    },
    "vms": {
        "one": {"host": "a", "network": "red", "address": "10.1.1.3"},
        "two": {"host": "b", "network": "red", "address": "10.1.1.4"},
    },
}
FULL: dict[str, Any] = BASE | {
    "floating_ips": {
        "web": {
            "network": "public",
            "address": "203.0.113.10",
            "vm": "one",
            "fixed": "10.1.1.3",
            "direction": "ingress",
            "ports": [{"protocol": "tcp", "public": 80, "private": 8080}],
        },
        "vip": {"network": "public", "address": "203.0.113.11", "vms": ["one", "two"]},
    },
    "alias_ips": {"more": {"network": "public", "address": "203.0.113.12", "vm": "two"}},
    "allowed_address_pairs": {
        "shared": {
            "vms": ["one", "two"],
            "prefix": "10.1.1.100/32",
            "mac": "00:00:5e:00:01:63",
            "mode": "active-active",
        },
        "range": {"vm": "one", "prefix": "10.1.1.128/28"},
    },
    "route_tables": {"behind": {"vm": "one", "routes": {"20.0.0.0/24": ["65000:1"]}}},
    "fat_flows": {
        "dns": {"networks": ["red"], "protocol": "udp", "port": 53, "ignore": "source"},
        "web": {
            "vm": "one",
            "protocol": "tcp",
            "port": 80,
            "source": {"prefix": "10.0.0.0/8", "length": 24},
        },
    },
    "link_local_services": {
        "metadata": {"address": "169.254.169.254", "port": 80},
        "ntp": {
            "address": "169.254.0.99",
            "port": 123,
            "servers": ["10.0.0.9"],
            "server_port": 1123,
        },
    },
}


def graph(host: str) -> tuple[dict[tuple[str, str], dict[str, Any]], set[tuple[str, str, str]]]:
    """Nodes by type and the end of their name; links by metadata and the ends of both."""
    made = objects(topology.parse(FULL), host)
    assert [found for one in made.nodes if (found := schema.problem(one))] == []
    for link in made.links:
        assert schema.LINK_TYPES[link.metadata].joins(link.left[0], link.right[0]), link
    names = {(one.type, one.name) for one in made.nodes}
    assert {end for link in made.links for end in (link.left, link.right)} <= names
    nodes = {(one.type, one.name.split(":")[-1]): dict(one.properties) for one in made.nodes}
    ends = {
        (link.metadata, link.left[1].split(":")[-1], link.right[1].split(":")[-1])
        for link in made.links
    }
    return nodes, ends


def test_what_a_host_needs_is_in_its_graph() -> None:
    nodes, ends = graph("a")
    web = nodes["floating-ip", "web"]
    assert web["floating-ip-address"] == "203.0.113.10"
    assert web["floating-ip-fixed-ip-address"] == "10.1.1.3"
    assert web["floating-ip-traffic-direction"] == "ingress"
    mapped = {"protocol": "TCP", "src-port": 80, "dst-port": 8080}
    assert web["floating-ip-port-mappings"] == {"port-mappings": [mapped]}
    assert web["floating-ip-port-mappings-enable"] is True
    assert nodes["floating-ip", "vip"]["floating-ip-port-mappings-enable"] is False
    port = str(topology.parse(FULL).vms["one"].port)
    assert ("floating-ip-virtual-machine-interface", "web", port) in ends
    assert ("virtual-network-floating-ip-pool", "public", "default") in ends
    assert ("virtual-machine-interface-route-table", port, "behind") in ends
    said = nodes["virtual-machine-interface", port]
    pairs = said["virtual-machine-interface-allowed-address-pairs"]["allowed-address-pair"]
    assert [one["address-mode"] for one in pairs] == ["active-active", "active-standby"]
    assert pairs[0]["mac"] == "00:00:5e:00:01:63"
    assert "mac" not in pairs[1]
    [fat] = said["virtual-machine-interface-fat-flow-protocols"]["fat-flow-protocol"]
    assert fat["source-prefix"] == {"ip-prefix": "10.0.0.0", "ip-prefix-len": 8}
    assert fat["source-aggregate-prefix-length"] == 24
    [dns] = nodes["virtual-network", "red"]["virtual-network-fat-flow-protocols"][
        "fat-flow-protocol"
    ]
    assert (dns["protocol"], dns["port"], dns["ignore-address"]) == ("udp", 53, "source")
    config = nodes["global-vrouter-config", "default-global-vrouter-config"]
    entries = config["linklocal-services"]["linklocal-service-entry"]
    assert [one["linklocal-service-name"] for one in entries] == ["metadata", "ntp"]
    assert entries[1]["ip-fabric-service-ip"] == ["10.0.0.9"]


def test_a_host_gets_only_what_its_vms_have() -> None:
    nodes, ends = graph("b")
    assert ("floating-ip", "web") not in nodes
    assert ("interface-route-table", "behind") not in nodes
    port = str(topology.parse(FULL).vms["two"].port)
    assert ("floating-ip-virtual-machine-interface", "vip", port) in ends
    assert ("alias-ip-virtual-machine-interface", "more", port) in ends


def test_without_them_nothing_is_there() -> None:
    made = objects(topology.parse(BASE), "a")
    kinds = {one.type for one in made.nodes}
    assert not kinds & {"floating-ip", "floating-ip-pool", "alias-ip", "interface-route-table"}


FIP = {"network": "public", "address": "203.0.113.10", "vm": "one"}
FAT = {"vm": "one", "protocol": "tcp"}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("floating_ips.x.network", {"floating_ips": {"x": FIP | {"network": "blue"}}}, "no network"),
    ("floating_ips.x.address", {"floating_ips": {"x": FIP | {"address": "10.1.1.9"}}}, "no subnet"),
    ("floating_ips.x.vm", {"floating_ips": {"x": FIP | {"vm": "six"}}}, "no vm 'six'"),
    ("floating_ips.x.vm", {"floating_ips": {"x": FIP | {"vms": ["one"]}}}, "either"),
    ("floating_ips.x", {"floating_ips": {"x": {"network": "public"}}}, "'address' is missing"),
    ("floating_ips.x", {"floating_ips": {"x": FIP | {"vm": None}}}, "'vm' is missing"),
    ("floating_ips.x.fixed", {"floating_ips": {"x": FIP | {"fixed": "fd00::1"}}}, "family"),
    ("floating_ips.x.direction", {"floating_ips": {"x": FIP | {"direction": "up"}}}, "one of"),
    (
        "floating_ips.x.ports.1.public",
        {"floating_ips": {"x": FIP | {"ports": [{"public": 0, "private": 1}]}}},
        "a port",
    ),
    ("alias_ips.x.address", {"alias_ips": {"x": FIP | {"address": "0.0.0.0"}}}, "one host"),
    (
        "allowed_address_pairs.x.prefix",
        {"allowed_address_pairs": {"x": {"vm": "one", "prefix": "10.1.1.1"}}},
        "PREFIX/LENGTH",
    ),
    (
        "allowed_address_pairs.x.mac",
        {
            "allowed_address_pairs": {
                "x": {"vm": "one", "prefix": "10.1.1.9/32", "mac": "ff:ff:ff:ff:ff:ff"}
            }
        },
        "one interface",
    ),
    (
        "route_tables.x.routes.here",
        {"route_tables": {"x": {"vm": "one", "routes": {"here": []}}}},
        "PREFIX/LENGTH",
    ),
    ("fat_flows.x.protocol", {"fat_flows": {"x": FAT | {"protocol": "ospf"}}}, "one of"),
    (
        "fat_flows.x.source.length",
        {"fat_flows": {"x": FAT | {"source": {"prefix": "10.0.0.0/16", "length": 8}}}},
        "16 to 32",
    ),
    (
        "link_local_services.x.port",
        {"link_local_services": {"x": {"address": "169.254.1.1", "port": 70000}}},
        "a port",
    ),
    (
        "link_local_services.x",
        {"link_local_services": {"x": {"address": "169.254.1.1", "port": 70}}},
        "'servers'",
    ),
]


@pytest.mark.parametrize(("place", "said", "text"), WRONG)
def test_what_is_wrong_is_told_with_its_place(place: str, said: dict[str, Any], text: str) -> None:
    with pytest.raises(TopologyError) as caught:
        topology.parse(BASE | said)
    assert str(caught.value).startswith(f"{place}: "), caught.value
    assert text in str(caught.value)
