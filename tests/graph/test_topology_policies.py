"""From a topology file to rows for flows."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import yaml

from agent import topology
from agent._fast.classifier import OUTCOMES, Classifier, End, Probe
from agent.flow.acl import AclTable, Numbers
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


# What the classifier makes of them

CLASSIFIER = Classifier()
TABLE = AclTable(CLASSIFIER, Numbers(lambda _: None, lambda _: None, lambda _: None))
NUMBERS = {name: TABLE.put(row) for name, row in COMPILER.acls().items()}
TCP, UDP, ICMP = 6, 17, 1


def end(address: str, network: str = "", groups: Any = (), tags: Any = ()) -> End:
    return End(
        ip_address(address).packed,
        CLASSIFIER.networks([f"{PROJECT}:{network}"] if network else []),
        CLASSIFIER.groups(groups),
        CLASSIFIER.tags([IDS[tag] for tag in tags]),
    )


RED, BLUE = end("10.1.1.3", "red"), end("10.2.2.3", "blue")
WEB = end("10.1.1.3", groups=[8000002])
STRANGER = end("192.0.2.1")


def judged(names: tuple[str, ...] | str, *packet: Any) -> str:
    lists = (names,) if isinstance(names, str) else names
    found = CLASSIFIER.match([NUMBERS[name] for name in lists], Probe(*packet))
    if Action.DENY in Action(found.actions):
        return "denied"
    return "passed" if Action.PASS in Action(found.actions) else OUTCOMES[found.outcome]


def passes(names: tuple[str, ...] | str, *packet: Any) -> bool:
    return judged(names, *packet) == "passed"


def test_the_classifier_takes_every_list_whole() -> None:
    counted = {name: CLASSIFIER.rules(number) for name, number in NUMBERS.items()}
    assert counted == {name: len(row.rules) for name, row in COMPILER.acls().items()}


def test_what_passes_between_networks() -> None:
    red = f"{PROJECT}:red:red"
    assert passes(red, RED, BLUE, TCP, 40000, 80)
    assert not passes(red, RED, BLUE, TCP, 40000, 81)
    assert not passes(red, RED, BLUE, UDP, 40000, 80)
    assert not passes(red, BLUE, RED, TCP, 40000, 80)
    assert passes(red, RED, end("10.1.1.4", "red"), ICMP)
    assert not passes(red, end("10.9.0.1", "red"), RED, TCP, 40000, 80)
    assert not passes(red, STRANGER, RED, TCP, 40000, 80)


def test_what_passes_into_a_group() -> None:
    ingress = policy("red1").ingress
    assert passes(ingress, STRANGER, RED, TCP, 40000, 80)
    assert not passes(ingress, STRANGER, RED, TCP, 40000, 22)
    assert passes(ingress, WEB, RED, TCP, 40000, 22)
    assert passes(ingress, end("fd00::1", groups=[8000001]), end("fd00::2"), UDP, 1, 2)
    assert not passes(ingress, end("fd00::1"), end("fd00::2"), TCP, 40000, 80)
    assert passes(policy("red1").egress, RED, STRANGER, UDP, 1, 2)


def test_what_passes_the_firewall() -> None:
    wall = policy("red1").firewall
    east = {"site=east"}
    web, db = end("10.1.1.3", tags={"tier=web"}), end("10.2.2.3", tags={"tier=db", *east})
    assert judged(wall, web, db, TCP, 40000, 3306) == "unmatched", "neither has a deployment"
    office = end("10.8.0.1")
    assert judged(wall, office, BLUE, TCP, 40000, 25) == "denied"
    assert judged(wall, end("10.1.1.3", tags={"label=office"}), BLUE, 47) == "denied"
    assert judged(wall, office, BLUE, TCP, 40000, 26) == "unmatched"
