"""Policies, security groups, tags and the firewall of a topology file."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.io.files import parse_topology
from agent.topology import (
    AddressGroup,
    PolicySet,
    RuleEnd,
    Service,
    Topology,
    TrafficRule,
    parse,
)
from agent.values import prefix

FILE = """\
hosts: {host1: {}}
networks:
  red: {subnet: 10.1.1.0/24, policies: [shop], tags: [site=east]}
  blue: {subnet: 10.2.2.0/24, policies: [shop, rest]}
  green: {subnet: 10.3.3.0/24, policies: [rest]}
policies:
  shop:
    - {from: red, to: blue, service: tcp/80}
    - {from: 10.9.0.0/16, to: local, action: deny, log: true}
  rest:
    - {from: any, to: any, service: [icmp, udp/53-54], direction: "<>"}
security_groups:
  web:
    ingress: [{from: 0.0.0.0/0, service: tcp/80}, {from: web}]
  closed: {id: 77, egress: []}
firewall:
  address_groups: {office: [10.8.0.0/16, label=office]}
  service_groups: {mail: [tcp/25, 47]}
  policies:
    base:
      - {from: tier=web, to: [tier=db, site=east], service: tcp/3306, match: [deployment]}
      - {from: office, to: blue, service: mail, action: deny}
  sets:
    all: {policies: [base]}
    hr: {policies: [base], tags: [application=hr, rack=r1]}
vms:
  red1: {network: red, address: 10.1.1.3, security_groups: [web, default], tags: [tier=web]}
  red2: {network: red, address: 10.1.1.4, port_security: off}
  blue1: {network: blue, address: 10.2.2.3, disable_policy: true, security_groups: []}
  green1: {network: green, address: 10.3.3.3}
"""


def content() -> Any:
    return yaml.safe_load(FILE)


@pytest.fixture
def found() -> Topology:
    return parse(content())


def test_policies(found: Topology) -> None:
    assert found.policies.networks["shop"] == (
        TrafficRule(RuleEnd(network="red"), RuleEnd(network="blue"), (Service(6, (80, 80)),)),
        TrafficRule(
            RuleEnd(prefix("10.9.0.0/16")), RuleEnd(network="local"), passes=False, log=True
        ),
    )
    assert found.policies.networks["rest"] == (
        TrafficRule(RuleEnd(), RuleEnd(), (Service(1), Service(17, (53, 54))), both=True),
    )
    assert found.networks["blue"].policies == ("shop", "rest")


def test_networks_that_a_policy_lets_meet_exchange_routes(found: Topology) -> None:
    pairs = set(found.connect)
    assert pairs == {frozenset(("red", "blue")), frozenset(("blue", "green"))}
    denied = content()
    denied["policies"]["rest"][0]["action"] = "deny"
    assert set(parse(denied).connect) == {frozenset(("red", "blue"))}
    one_sided = content()
    one_sided["networks"]["red"]["policies"] = []
    assert frozenset(("red", "blue")) not in parse(one_sided).connect


def test_security_groups(found: Topology) -> None:
    groups = found.policies.groups
    assert {name: group.number for name, group in groups.items()} == {
        "default": 8000001,
        "web": 8000002,
        "closed": 77,
    }
    anyone = TrafficRule(RuleEnd(), RuleEnd())
    assert groups["default"].ingress == (TrafficRule(RuleEnd(group="default"), RuleEnd()),)
    assert groups["default"].egress == groups["web"].egress == (anyone,)
    assert groups["closed"].egress == groups["closed"].ingress == ()
    assert groups["web"].ingress == (
        TrafficRule(RuleEnd(prefix("0.0.0.0/0")), RuleEnd(), (Service(6, (80, 80)),)),
        TrafficRule(RuleEnd(group="web"), RuleEnd()),
    )


def test_the_default_group_may_be_another(found: Topology) -> None:
    other = content()
    other["security_groups"]["default"] = {"id": 5, "ingress": [{"from": "any"}], "egress": []}
    group = parse(other).policies.groups["default"]
    assert (group.number, len(group.ingress), group.egress) == (5, 1, ())


def test_what_ports_have(found: Topology) -> None:
    vms = found.vms
    assert vms["red1"].security_groups == ("web", "default")
    assert vms["green1"].security_groups == ("default",)
    assert vms["red2"].security_groups == vms["blue1"].security_groups == ()
    assert [vm.policy for vm in vms.values()] == [True, False, False, True]


def test_tags_have_numbers_of_their_type(found: Topology) -> None:
    tags = found.policies.tags
    assert set(tags) == {
        "site=east",
        "tier=web",
        "tier=db",
        "label=office",
        "application=hr",
        "rack=r1",
    }
    assert {name: number >> 32 for name, number in tags.items()} == {
        "site=east": 4,
        "tier=web": 2,
        "tier=db": 2,
        "label=office": 0,
        "application=hr": 1,
        "rack=r1": 256,
    }
    assert len(set(tags.values())) == len(tags)
    assert found.policies.tag_types["deployment"] == 3


def test_the_firewall(found: Topology) -> None:
    wall = found.policies.firewall
    assert wall.address_groups == {
        "office": AddressGroup((prefix("10.8.0.0/16"),), ("label=office",))
    }
    assert wall.service_groups == {"mail": (Service(6, (25, 25)), Service(47))}
    assert wall.sets == {
        "all": PolicySet(("base",), ()),
        "hr": PolicySet(("base",), ("application=hr", "rack=r1")),
    }
    first, second = wall.policies["base"]
    assert first == TrafficRule(
        RuleEnd(tags=("tier=web",)),
        RuleEnd(tags=("tier=db", "site=east")),
        (Service(6, (3306, 3306)),),
        match_tags=("deployment",),
    )
    assert second == TrafficRule(
        RuleEnd(address_group="office"),
        RuleEnd(network="blue"),
        service_group="mail",
        passes=False,
    )


def test_the_file_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0]
    shop = parse_topology(text, "policy.md")
    assert shop.connect == (frozenset(("red", "blue")),)
    assert (shop.vms["tap1"].policy, shop.vms["tap1"].security_groups) == (False, ())
    assert len(shop.policies.firewall.policies["tiers"]) == 4


def test_without_any_of_it_only_the_default_group_is_there() -> None:
    plain = parse({"hosts": {"host1": {}}, "networks": {"red": {"subnet": "10.1.1.0/24"}}})
    assert list(plain.policies.groups) == ["default"]
    assert plain.policies.networks == {}
    assert plain.policies.firewall.sets == {}
    assert plain.connect == ()


BAD: list[tuple[tuple[str | int, ...], object, str]] = [
    (("networks", "red", "policies"), ["shops"], "no policy 'shops'; known: shop, rest"),
    (("networks", "red", "policies"), [["shop"]], "networks.red.policies: expected text"),
    (("networks", "red", "tags"), ["east"], "'east' is no tag; write it as type=value"),
    (("vms", "red1", "tags"), "tier=web", "vms.red1.tags: expected a list"),
    (("vms", "red1", "security_groups"), ["wbe"], "no security group 'wbe'; known: default, web"),
    (("vms", "red1", "port_security"), False, "a port without port_security is in none"),
    (("vms", "red1", "disable_policy"), "yes", "vms.red1.disable_policy: expected true or false"),
    (("policies", "shop"), {}, "policies.shop: expected a list"),
    (("policies", "shop", 0), "red", r"policies.shop.1: expected a mapping"),
    (("policies", "shop", 1, "to"), "purple", r"policies.shop.2.to: no network 'purple'"),
    (("policies", "shop", 0), {"from": "red"}, r"policies.shop.1: 'to' is missing"),
    (("policies", "shop", 0, "colour"), 1, "unknown key 'colour'; known: from to service action"),
    (("policies", "shop", 0, "service"), "tcp/99999", "no range of ports"),
    (("policies", "shop", 0, "service"), "tcp/90-80", "90 to 80 is no range of ports"),
    (("policies", "shop", 0, "service"), "icmp/8", "icmp has no ports"),
    (("policies", "shop", 0, "service"), "quic", "'quic' is no service; write any, a protocol"),
    (("policies", "shop", 0, "service"), 256, "'256' is no service|256 is no service"),
    (("policies", "shop", 0, "service"), [], "expected at least one service"),
    (("policies", "shop", 0, "action"), "allow", "expected one of pass, deny"),
    (("policies", "shop", 0, "direction"), "<", "expected one of >, <>"),
    (("policies", "shop", 0, "log"), "no", "policies.shop.1.log: expected true or false"),
    (("policies", "shop", 0, "from"), "10.0.0/8", "policies.shop.1.from: "),
    (("networks", "local"), {"subnet": "10.4.0.0/16"}, "shop.2.to: 'local' is a word here"),
    (("security_groups", "web", "id"), 77, "77 is the id of security_groups.web"),
    (("security_groups", "web", "id"), 0, "expected the number of a security group"),
    (("security_groups", "web"), 5, "security_groups.web: expected a mapping"),
    (("security_groups", "web", "ingress", 1, "from"), "app", "ingress.2.from: no security group"),
    (("security_groups", "web", "egress"), [{"from": "any"}], "egress.1.from: unknown key 'from'"),
    (("security_groups", "web", "ingress"), 7, "security_groups.web.ingress: expected a list"),
    (("firewall", "colour"), {}, "firewall.colour: unknown key"),
    (("firewall",), ["base"], "firewall: expected a mapping"),
    (("firewall", "address_groups", "office"), [], "office: expected at least one prefix or tag"),
    (("firewall", "address_groups", "office"), ["x"], "office: expected PREFIX/LENGTH"),
    (("firewall", "address_groups", "blue"), ["10.0.0.0/8"], "is a network and an address group"),
    (("firewall", "service_groups", "mail"), ["smtp"], "service_groups.mail: 'smtp' is no service"),
    (("firewall", "policies", "base", 0, "from"), "tier=", "base.1.from: 'tier=' is no tag"),
    (("firewall", "policies", "base", 0, "to"), "sun", "no network or address group 'sun'"),
    (("firewall", "policies", "base", 0, "match"), ["a=b"], "'a=b' is no type of tag"),
    (("firewall", "policies", "base", 1, "service"), "mall", "base.2.service: 'mall' is no"),
    (("firewall", "sets", "hr", "policies"), ["bass"], "no firewall policy 'bass'"),
    (("firewall", "sets", "hr"), {"tags": []}, "firewall.sets.hr: 'policies' is missing"),
]


@pytest.mark.parametrize(("path", "value", "words"), BAD)
def test_errors_say_where(path: tuple[str | int, ...], value: object, words: str) -> None:
    broken = copy.deepcopy(content())
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError, match=words):
        parse(broken)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("to: local", "to: nowhere", "^t.yaml:9: policies.shop.2.to: no network 'nowhere'"),
        ("{from: web}", "{from: wbe}", "^t.yaml:14: security_groups.web.ingress.2.from: "),
        ("service: mail", "service: male", "^t.yaml:22: firewall.policies.base.2.service: "),
    ],
)
def test_errors_name_the_line_of_the_rule(old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_topology(FILE.replace(old, new), "t.yaml")


KEYS = """
policies security_groups firewall networks vms red from to service action ingress egress id
address_groups service_groups sets tags match security_groups port_security
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("tcp/80"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner)
    ),
    max_leaves=14,
)


@given(JSON, JSON, JSON, JSON)
def test_any_content_parses_or_is_a_configuration_error(
    policies: object, groups: object, firewall: object, vm: object
) -> None:
    file = content() | {"policies": policies, "security_groups": groups, "firewall": firewall}
    file["networks"] = {"red": {"subnet": "10.1.1.0/24"}}
    file["vms"] = {"red1": {"network": "red", "address": "10.1.1.3", "tags": vm}}
    try:
        assert parse(file).policies.groups["default"]
    except ConfigError:
        return
