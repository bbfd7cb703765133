"""Firewall policies: rules by tags, groups and services, and which of them hold for a port."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ifmap import NodeRef
from agent.inputs import GraphLink, GraphNode
from agent.oper.flow_rows import Acl, Action, Endpoint, Rule, Service
from tests.graph.policies import (
    GLOBAL,
    firewall_policy,
    firewall_rule,
    node,
    policy_set,
    ports,
    subnet,
    tag,
    uuid,
)
from tests.graph.test_access_lists import FULL, PORT, VM, WEB
from tests.graph.worlds import World, expansions, put, run

POLICY = "default-policy-management:web"
NAME = f"firewall-policy {POLICY}"
HR, IT, WEB_TIER = 1 << 32 | 1, 1 << 32 | 2, 2 << 32 | 5
LABELS = 0 << 32 | 7, 0 << 32 | 9


def everywhere(*rules: tuple[str, GraphNode]) -> World:
    """The policy holds for all ports."""
    made = policy_set("default-policy-management:all", ("0", POLICY), everywhere=True)
    return FULL | firewall_policy(POLICY, *rules) | made


def listed(*rules: tuple[str, GraphNode], more: Any = ()) -> Acl:
    compiler, _ = run([everywhere(*rules) | more])
    return compiler.acls()[NAME]


def only(*, more: Any = (), **properties: Any) -> Rule:
    row = listed(("1", firewall_rule("r", **properties)), more=more)
    assert row.problems == ()
    [made] = row.rules
    return made


def problem(*, more: Any = (), **properties: Any) -> str:
    row = listed(("1", firewall_rule("r", **properties)), more=more)
    assert row.rules == ()
    [text] = row.problems
    return text


def test_a_rule() -> None:
    made = only(
        action_list={"simple-action": "deny", "log": True},
        endpoint_1={"tags": ["application=hr"], "tag-ids": [HR]},
        endpoint_2={"subnet": subnet("10.1.0.0/16")},
        service={"protocol": "tcp", "protocol-id": 6, "dst-ports": ports(80, 80)},
    )
    assert made == Rule(
        uuid("r"),
        Action.DENY | Action.LOG,
        Endpoint(tags=(HR,)),
        Endpoint((ip_network("10.1.0.0/16"),)),
        (Service((6, 6), destination_ports=WEB),),
    )


def test_rules_are_in_the_order_of_the_text_of_their_sequence() -> None:
    names = {"10.0": "third", "00001.5": "first", "1.0": "second", "2": "fourth"}
    rules = [(sequence, firewall_rule(name)) for sequence, name in names.items()]
    row = listed(*rules, ("", firewall_rule("incomplete")))
    assert [one.uuid for one in row.rules] == [
        uuid(name) for name in ("first", "second", "third", "fourth")
    ]


@pytest.mark.parametrize(
    ("direction", "sides"), [(">", ["ab"]), ("<", ["ba"]), ("<>", ["ab", "ba"])]
)
def test_directions_turn_the_endpoints_and_not_the_service(
    direction: str, sides: list[str]
) -> None:
    one, two = {"virtual-network": "a"}, {"virtual-network": "b"}
    service = {"protocol": "udp", "protocol-id": 17, "dst-ports": ports(53, 53)}
    made = firewall_rule("r", direction=direction, endpoint_1=one, endpoint_2=two, service=service)
    rules = listed(("1", made)).rules
    assert [each.source.network + each.destination.network for each in rules] == sides
    assert {each.services for each in rules} == {(Service((17, 17), destination_ports=(53, 53)),)}


def test_both_directions_of_the_same_endpoints_are_one() -> None:
    assert only(direction="<>").source == Endpoint()


def group(name: str, *prefixes: str, tags: tuple[str, ...] = ()) -> list[Any]:
    ref = ("address-group", name)
    made: list[Any] = [
        node(*ref, address_group_prefix={"subnet": [subnet(one) for one in prefixes]})
    ]
    return made + [GraphLink("address-group-tag", ref, ("tag", one)) for one in tags]


def test_an_address_group_is_its_prefixes_and_who_has_all_its_tags() -> None:
    labels = [*tag(None, "label", "x", LABELS[0]), *tag(None, "label", "y", LABELS[1])]
    more = [*labels, *group("ag", "10.0.0.0/8", "fd00::/8", tags=("label=x", "label=y"))]
    assert only(more=more, endpoint_1={"address-group": "ag"}).source == Endpoint(
        (ip_network("10.0.0.0/8"), ip_network("fd00::/8")), tag_sets=(LABELS,)
    )


def test_an_address_group_without_members_or_not_there_yet_makes_no_rule() -> None:
    for more in ([], group("ag")):
        assert "address group ag has no members" in problem(
            more=more, endpoint_2={"address-group": "ag"}
        )


def test_an_address_group_with_a_tag_of_unknown_number_is_not_wider_than_it_is() -> None:
    bad = node("tag", "label=x", tag_id="none", tag_type_name="label")
    more = [bad, *group("ag", "10.0.0.0/8", tags=("label=x",))]
    assert "a tag has no number" in problem(more=more, endpoint_1={"address-group": "ag"})


def services(*listed: dict[str, Any]) -> list[Any]:
    ref = ("service-group", "sg")
    content = {"firewall-service": list(listed)}
    return [
        node(*ref, service_group_firewall_service_list=content),
        GraphLink("firewall-rule-service-group", ("firewall-rule", "r"), ref),
    ]


def test_a_service_group() -> None:
    more = services(
        {"protocol": "tcp", "protocol-id": 6, "dst-ports": ports(80, 80)},
        {"protocol": "udp", "protocol-id": 17, "dst-ports": ports(53, 53)},
        {"protocol": "icmp", "protocol-id": 1, "dst-ports": ports(0, 65535)},
    )
    assert only(more=more, service={}).services == (
        Service((6, 6), destination_ports=WEB),
        Service((17, 17), destination_ports=(53, 53)),
        Service((1, 1)),
    )


@pytest.mark.parametrize(
    ("service", "protocols"),
    [
        ({"protocol": "any", "protocol-id": 0}, (0, 255)),
        ({"protocol": "any"}, (0, 255)),
        ({"protocol": "tcp"}, (6, 6)),
        ({"protocol": "odd", "protocol-id": 200}, (200, 200)),
        ({"protocol-id": 47}, (47, 47)),
    ],
)
def test_protocols(service: dict[str, Any], protocols: tuple[int, int]) -> None:
    assert only(service=service).services == (Service(protocols),)


def test_match_tags() -> None:
    made = only(match_tags={"tag-list": ["deployment"]}, match_tag_types={"tag-type": [3]})
    assert made.match_tag_types == (3,)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"direction": "-"}, "direction: '-'"),
    ({"action_list": {}}, "says nothing to do"),
    ({"service": {}}, "neither a service nor a service group"),
    ({"service": {"dst-ports": ports(1, 2)}}, "service: no protocol"),
    ({"endpoint_1": {"tags": ["tier=web"]}}, "have no numbers"),
    ({"endpoint_1": {"tag-ids": [0]}}, "not numbers of tags"),
    ({"endpoint_1": {"tag-ids": [1 << 48]}}, "not numbers of tags"),
    ({"match_tags": {"tag-list": ["tier"]}}, "have no numbers of types"),
    ({"match_tag_types": {"tag-type": [-1]}}, "not numbers of types"),
    ({"endpoint_2": {"subnet": subnet("10.0.0.0/8"), "address-group": "ag"}}, "has both"),
]


@pytest.mark.parametrize(("properties", "text"), BAD)
def test_a_rule_that_cannot_be_used_is_left_out(properties: dict[str, Any], text: str) -> None:
    assert text in problem(**properties)


def held(world: World) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the FWaaS and other policies of the port."""
    compiler, _ = run([world])
    policy = compiler.flow_ports()[VM.port].policy
    assert set(policy.fwaas) | set(policy.firewall) <= set(compiler.acls())
    return policy.fwaas, policy.firewall


def named(*names: str) -> tuple[str, ...]:
    return tuple(f"firewall-policy {name}" for name in names)


POLICIES = [part for name in "abc" for part in firewall_policy(name)]


def test_policies_of_a_set_are_in_order_and_those_for_all_come_first() -> None:
    own = policy_set("own", ("2", "a"), ("1", "b"), tags=["application=hr"])
    for_all = policy_set("all", ("1", "c"), ("2", "a"), everywhere=True)
    world = FULL | POLICIES | tag(PORT, "application", "hr", HR) | own | for_all
    assert held(world) == ((), named("c", "a", "b"))


def test_a_set_for_all_must_say_so() -> None:
    mute = policy_set("all", ("1", "a"))
    link = GraphLink(
        "application-policy-set-global-vrouter-config", ("application-policy-set", "all"), GLOBAL
    )
    assert held(FULL | POLICIES | mute | [link]) == ((), ())


def test_sets_of_other_tags_do_not_hold() -> None:
    own = policy_set("own", ("1", "a"), tags=["application=it"])
    tags = [*tag(PORT, "application", "hr", HR), *tag(None, "application", "it", IT)]
    assert held(FULL | POLICIES | tags | own) == ((), ())


def test_the_nearest_application_tag_chooses_the_set() -> None:
    """A network's tag counts until the port has one of its own of the same type."""
    network = ("virtual-network", PORT[1].rpartition(":")[0] + ":net1")
    sets = [
        *policy_set("hr", ("1", "a"), tags=["application=hr"]),
        *policy_set("it", ("1", "b"), tags=["application=it"]),
    ]
    inherited = FULL | POLICIES | sets | tag(network, "application", "hr", HR)
    assert held(inherited) == ((), named("a"))
    assert held(inherited | tag(PORT, "application", "it", IT)) == ((), named("b"))


def test_fwaas_policies_are_apart() -> None:
    own = policy_set("own", ("1", "a"), tags=["neutron_fwaas=1"])
    world = FULL | POLICIES | tag(PORT, "neutron_fwaas", "1", 5 << 32 | 1) | own
    assert held(world) == (named("a"), ())


def test_drafts_do_not_hold() -> None:
    management = ("policy-management", "draft-policy-management")
    own = policy_set("own", ("1", "a"), everywhere=True)
    world = FULL | POLICIES | own
    link = GraphLink(
        "policy-management-application-policy-set", management, ("application-policy-set", "own")
    )
    assert held(world) == ((), named("a"))
    assert held(world | [node(*management), link]) == ((), ())
    named_so = policy_set("draft-policy-management:own", ("1", "a"), everywhere=True)
    assert held(FULL | POLICIES | named_so) == ((), ())


RULES = [
    ("1", firewall_rule("r1", endpoint_1={"address-group": "ag"})),
    ("2", firewall_rule("r2", action_list={"simple-action": "deny"})),
]
WHOLE = everywhere(*RULES) | group("ag", "10.0.0.0/8") | tag(PORT, "application", "hr", HR)


def test_the_order_of_arrival_does_not_matter() -> None:
    last, _ = run([WHOLE])
    [row] = [row for name, row in last.acls().items() if name == NAME]
    assert [one.uuid for one in row.rules] == [uuid("r1"), uuid("r2")]
    for name, states, shuffle in expansions([FULL, WHOLE]):
        if name.startswith("one input"):
            continue  # many small batches: tests/graph/test_orders.py goes that way
        compiler, _ = run(states, shuffle)
        assert compiler.acls() == last.acls(), name
        assert compiler.flow_ports() == last.flow_ports(), name


def test_a_changed_rule_recomputes_itself_and_its_list() -> None:
    compiler, _ = run([WHOLE])
    before = Counter(compiler.recomputed)
    put(compiler, firewall_rule("r2", action_list={"simple-action": "pass"}))
    delta = compiler.commit()
    assert set(delta.acls) == {NAME}
    assert (delta.changed, delta.vmis, delta.flow_ports) == ((), (), {})
    counts = Counter(compiler.recomputed) - before
    assert (counts["firewall.firewall_rule"], counts["acl.acl"]) == (1, 1)
    assert not {name.partition(".")[0] for name in counts} & {"vmi", "flow_port", "port_policy"}


def test_a_changed_group_reaches_the_rules_that_name_it() -> None:
    compiler, _ = run([WHOLE])
    for row in group("ag", "11.0.0.0/8"):
        put(compiler, row)
    row = compiler.commit().acls[NAME]
    assert row is not None
    assert row.rules[0].source.prefixes == (ip_network("11.0.0.0/8"),)
    compiler.graph.delete_node(NodeRef("address-group", "ag"))
    row = compiler.commit().acls[NAME]
    assert row is not None
    assert [one.uuid for one in row.rules] == [uuid("r2")]
    assert len(row.problems) == 1


_WORDS = """
any subnet ip-prefix ip-prefix-len tags tag-ids address-group virtual-network protocol protocol-id
src-ports dst-ports start-port simple-action tag-list tag-type firewall-service sequence log
"""
_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just("ag"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_WORDS.split()), inner, max_size=5)
    ),
    max_leaves=10,
)
_MEMBERS = ["action_list", "direction", "endpoint_1", "endpoint_2", "service", "match_tags"]


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(_MEMBERS), _JUNK),
    st.dictionaries(st.sampled_from(_MEMBERS), _JUNK),
    _JUNK,
    _JUNK,
    _JUNK,
)
def test_whatever_is_configured_nothing_fails(
    first: dict[str, Any], second: dict[str, Any], members: Any, listed: Any, tag_id: Any
) -> None:
    rules = [("1", firewall_rule("r", **first)), ("2", firewall_rule("r2", **second))]
    more = [
        node("address-group", "ag", address_group_prefix=members),
        node("service-group", "sg", service_group_firewall_service_list=listed),
        GraphLink("firewall-rule-service-group", ("firewall-rule", "r"), ("service-group", "sg")),
        node("tag", "t", tag_id=tag_id, tag_type_name=tag_id),
        GraphLink("address-group-tag", ("address-group", "ag"), ("tag", "t")),
        GraphLink("virtual-machine-interface-tag", PORT, ("tag", "t")),
    ]
    compiler, _ = run([everywhere(*rules) | more])
    row = compiler.acls()[NAME]
    assert len(row.rules) + len(row.problems) <= 4
    assert compiler.flow_ports()[VM.port].policy.firewall == (NAME,)
