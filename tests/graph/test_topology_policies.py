"""From a topology file to rows for flows."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import yaml

from agent import topology
from agent.ifmap.from_topology import objects
from agent.oper.flow_rows import Acl, Action, Endpoint, PortPolicy, Service
from tests.graph.policies import PROJECT
from tests.graph.worlds import START, World, ports_of, run, taps_of
from tests.unit.test_topology_policies import FILE

PARSED = topology.parse(yaml.safe_load(FILE))
MANAGED = "default-policy-management"
IDS = PARSED.policies.tags


def world() -> World:
    made = objects(PARSED, "host1")
    inputs: list[Any] = [*made.nodes, *made.links, *taps_of(PARSED), *ports_of(PARSED)]
    return START | inputs


COMPILER, _ = run([world()])


def policy(vm: str) -> PortPolicy:
    return COMPILER.flow_ports()[PARSED.vms[vm].port].policy


def listed(name: str) -> Acl:
    return COMPILER.acls()[name]


def test_every_list_is_usable() -> None:
    assert {row.name: row.problems for row in COMPILER.acls().values() if row.problems} == {}


def test_what_decides_on_ports() -> None:
    web = policy("red1")
    assert web.network == f"{PROJECT}:red:red"
    assert web.groups == (8000001, 8000002)
    assert len(web.egress) == len(web.ingress) == 2
    assert web.tags == tuple(sorted((IDS["tier=web"], IDS["site=east"])))
    assert web.firewall == (f"firewall-policy {MANAGED}:base",)
    assert policy("red2").enabled is policy("blue1").enabled is False
    assert policy("green1").groups == (8000001,)


def test_the_networks_rules() -> None:
    red, blue = (Endpoint(network=f"{PROJECT}:{name}") for name in ("red", "blue"))
    rules = listed(f"{PROJECT}:red:red").rules
    assert [(rule.source, rule.destination) for rule in rules] == [
        (red, blue),
        (Endpoint((ip_network("10.9.0.0/16"),)), red),
        (red, red),
        (red, Endpoint()),
        (Endpoint(), red),
    ]
    assert rules[0].services == (Service((6, 6), destination_ports=(80, 80)),)
    assert [rule.actions for rule in rules[:3]] == [
        Action.PASS,
        Action.DENY | Action.LOG,
        Action.PASS,
    ]


def test_the_firewalls_rules() -> None:
    first, second = listed(f"firewall-policy {MANAGED}:base").rules
    assert first.source == Endpoint(tags=(IDS["tier=web"],))
    assert first.destination.tags == tuple(sorted((IDS["tier=db"], IDS["site=east"])))
    assert first.match_tag_types == (3,)
    assert second.source == Endpoint(
        (ip_network("10.8.0.0/16"),), tag_sets=((IDS["label=office"],),)
    )
    assert second.services == (Service((6, 6), destination_ports=(25, 25)), Service((47, 47)))
    assert second.actions == Action.DENY
