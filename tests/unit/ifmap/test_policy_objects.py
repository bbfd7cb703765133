"""Policies of a topology in the graph: shapes of the schema, as a controller makes them."""

from __future__ import annotations

from typing import Any

import yaml

from agent import topology
from agent.ifmap import schema
from agent.ifmap.from_topology import Objects, objects
from agent.inputs import GraphNode
from agent.lab.controller.configuration import Configuration
from tests.unit.test_topology_policies import FILE

PROJECT = "default-domain:default-project"
PARSED = topology.parse(yaml.safe_load(FILE))
MADE = objects(PARSED, "host1")


def nodes(kind: str, made: Objects = MADE) -> dict[str, GraphNode]:
    return {node.name: node for node in made.nodes if node.type == kind}


def entries(name: str) -> list[dict[str, Any]]:
    node = nodes("access-control-list")[f"{PROJECT}:{name}"]
    return list(node.properties["access-control-list-entries"]["acl-rule"])


def ends(entry: dict[str, Any]) -> tuple[Any, Any]:
    condition = entry["match-condition"]
    return condition["src-address"], condition["dst-address"]


def vn(name: str) -> dict[str, str]:
    return {"virtual-network": name if name == "any" else f"{PROJECT}:{name}"}


def test_everything_follows_the_schema() -> None:
    assert [found for node in MADE.nodes if (found := schema.problem(node))] == []
    names = {(node.type, node.name) for node in MADE.nodes}
    for link in MADE.links:
        assert schema.LINK_TYPES[link.metadata].joins(link.left[0], link.right[0]), link
        assert {link.left, link.right} <= names
    assert len(names) == len(MADE.nodes)


def test_it_is_the_same_every_time() -> None:
    assert objects(topology.parse(yaml.safe_load(FILE)), "host1") == MADE


def test_the_list_of_a_network_has_what_is_about_it_and_ends_with_its_own() -> None:
    red = entries("red:red")
    assert [ends(entry) for entry in red] == [
        (vn("red"), vn("blue")),
        ({"subnet": {"ip-prefix": "10.9.0.0", "ip-prefix-len": 16}}, vn("red")),
        (vn("red"), vn("red")),
        (vn("red"), vn("any")),
        (vn("any"), vn("red")),
    ]
    assert [entry["action-list"]["simple-action"] for entry in red] == [
        "pass",
        "deny",
        "pass",
        "deny",
        "deny",
    ]
    assert red[0]["match-condition"]["protocol"] == "6"
    assert red[0]["match-condition"]["dst-port"] == {"start-port": 80, "end-port": 80}
    assert red[1]["action-list"]["log"] is True
    green = entries("green:green")
    assert [entry["direction"] for entry in green] == ["<>", "<>", ">", ">", ">"]
    assert [entry["match-condition"]["protocol"] for entry in green[:2]] == ["1", "17"]
    assert len({entry["rule-uuid"] for entry in [*red, *entries("blue:blue"), *green]}) == 17


def test_a_network_without_policies_has_no_list() -> None:
    plain = topology.parse({"hosts": {"a": {}}, "networks": {"red": {"subnet": "10.1.1.0/24"}}})
    lists = nodes("access-control-list", objects(plain, "a"))
    assert set(lists) == {
        f"{PROJECT}:default:{side}-access-control-list" for side in ("egress", "ingress")
    }


def test_the_lists_of_a_security_group() -> None:
    ingress = entries("web:ingress-access-control-list")
    assert [(ends(entry)[0], entry["match-condition"]["ethertype"]) for entry in ingress] == [
        ({"subnet": {"ip-prefix": "0.0.0.0", "ip-prefix-len": 0}}, "IPv4"),
        ({"security-group": "8000002"}, "IPv4"),
        ({"security-group": "8000002"}, "IPv6"),
    ]
    assert {ends(entry)[1]["security-group"] for entry in ingress} == {"-1"}
    assert entries("closed:egress-access-control-list") == []
    assert len(entries("web:egress-access-control-list")) == 2


def test_ports_carry_their_groups_tags_and_whether_there_is_policy() -> None:
    ports = nodes("virtual-machine-interface")
    disabled = {
        name: ports[f"{PROJECT}:{vm.port}"].properties["virtual-machine-interface-disable-policy"]
        for name, vm in PARSED.vms.items()
    }
    assert disabled == {"red1": False, "red2": True, "blue1": True, "green1": False}
    tied = {
        (link.left[1].rpartition(":")[2], link.right[1])
        for link in MADE.links
        if link.metadata
        in ("virtual-machine-interface-security-group", "virtual-machine-interface-tag")
    }
    red, green = str(PARSED.vms["red1"].port), str(PARSED.vms["green1"].port)
    assert tied == {
        (red, f"{PROJECT}:web"),
        (red, f"{PROJECT}:default"),
        (red, "tier=web"),
        (green, f"{PROJECT}:default"),
    }


def test_tags() -> None:
    tags = nodes("tag")
    assert tags["tier=web"].properties["tag-type-name"] == "tier"
    assert int(tags["tier=web"].properties["tag-id"], 16) == PARSED.policies.tags["tier=web"]


def test_firewall_rules() -> None:
    rules = nodes("firewall-rule")
    first = rules["default-policy-management:base-1-1"].properties
    ids = PARSED.policies.tags
    assert first["endpoint-1"] == {"tags": ["global:tier=web"], "tag-ids": [ids["tier=web"]]}
    assert first["match-tag-types"] == {"tag-type": [3]}
    assert first["service"]["dst-ports"] == {"start-port": 3306, "end-port": 3306}
    second = rules["default-policy-management:base-2-1"].properties
    assert "service" not in second
    assert second["endpoint-1"] == {"address-group": "default-policy-management:office"}
    assert second["action-list"] == {"simple-action": "deny", "log": False}


def test_a_controller_reaches_all_of_it_from_a_host() -> None:
    """What is linked to nothing that an agent asks for never gets to it."""
    part = Configuration(PARSED).part("host1", [str(vm.uuid) for vm in PARSED.vms.values()])
    missing = {(node.type, node.name) for node in MADE.nodes} - set(part.nodes)
    lists = {
        ("access-control-list", f"{PROJECT}:closed:{side}-access-control-list")
        for side in ("egress", "ingress")
    }
    assert missing == {
        ("security-group", f"{PROJECT}:closed"),
        *lists,
        ("tag", "application=hr"),
        ("tag", "rack=r1"),
        ("application-policy-set", "default-policy-management:hr"),
        (
            "application-policy-set-firewall-policy",
            "attr(default-policy-management:hr,default-policy-management:base)",
        ),
    }


def test_networks_joined_by_a_policy_import_each_others_routes() -> None:
    def vrf(name: str) -> str:
        return f"{PROJECT}:{name}:{name}"

    assert Configuration(PARSED).imports() == {
        vrf("red"): {vrf("blue")},
        vrf("blue"): {vrf("red"), vrf("green")},
        vrf("green"): {vrf("blue")},
    }
