"""Access lists of networks and security groups, and VRF-assign lists, as rows for flows."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.inputs import GraphLink, GraphNode
from agent.oper.flow_rows import Acl, Action, Endpoint, Rule, Service
from tests.graph.policies import PROJECT, access_list, node, ports, rule, subnet, uuid
from tests.graph.test_orders import changed
from tests.graph.worlds import full, run, worked

ONE = worked()
[VM] = ONE.vms.values()
FULL = full(ONE)
NET1 = ("virtual-network", f"{PROJECT}:net1")
PORT = ("virtual-machine-interface", f"{PROJECT}:{VM.port}")
LIST = f"{NET1[1]}:net1"
TCP, WEB = (6, 6), (80, 80)
ANY = (0, 65535)


def listed(*rules: Any, dynamic: bool = False) -> Acl:
    """The row of a network's list with these rules."""
    compiler, _ = run([FULL | access_list(NET1, "net1", rules, dynamic=dynamic)])
    return compiler.acls()[LIST]


def only(*rules: Any, dynamic: bool = False) -> Rule:
    row = listed(*rules, dynamic=dynamic)
    assert row.problems == ()
    [made] = row.rules
    return made


def problem(*rules: Any) -> str:
    """Why the rule is left out."""
    row = listed(*rules)
    assert row.rules == ()
    [text] = row.problems
    return text


def vn(name: str) -> dict[str, str]:
    return {"virtual-network": f"{PROJECT}:{name}"}


def test_a_rule_between_networks() -> None:
    made = rule(vn("net1"), vn("net2"), protocol="6", dst_port=ports(80, 80), name="web")
    row = listed(made)
    assert row == Acl(
        LIST,
        uuid(LIST),
        (
            Rule(
                uuid("web"),
                Action.PASS,
                Endpoint(network=f"{PROJECT}:net1"),
                Endpoint(network=f"{PROJECT}:net2"),
                (Service(TCP, destination_ports=WEB),),
            ),
        ),
    )


def test_both_directions_make_two_rules_unless_they_are_the_same() -> None:
    both = rule(vn("net1"), vn("net2"), protocol="6", dst_port=ports(80, 80), direction="<>")
    first, second = listed(both).rules
    assert (first.source, first.destination) == (second.destination, second.source)
    assert first.services == (Service(TCP, ANY, WEB),)
    assert second.services == (Service(TCP, WEB, ANY),)
    assert first.uuid == second.uuid
    assert len(listed(rule(vn("net1"), vn("net1"), direction="<>")).rules) == 1


@pytest.mark.parametrize(
    ("text", "protocols"),
    [("any", (0, 255)), ("17", (17, 17)), ("TCP", TCP), ("icmp6", (58, 58)), ("0", (0, 0))],
)
def test_protocols(text: str, protocols: tuple[int, int]) -> None:
    assert only(rule(protocol=text)).services == (Service(protocols),)


def test_icmp_by_name_is_that_of_the_family() -> None:
    assert only(rule(protocol="icmp", ethertype="IPv6")).services == (Service((58, 58)),)
    assert only(rule(protocol="icmp", ethertype="IPv4")).services == (Service((1, 1)),)


@pytest.mark.parametrize(
    ("given_ports", "made"),
    [
        (None, ANY),
        (ports(-1, -1), ANY),
        (ports(-1, 65535), ANY),
        ({}, ANY),
        ({"start-port": 1024}, (1024, 65535)),
        (ports(443, 443), (443, 443)),
    ],
)
def test_ports(given_ports: Any, made: tuple[int, int]) -> None:
    match = {} if given_ports is None else {"dst_port": given_ports}
    assert only(rule(protocol="17", **match)).services[0].destination_ports == made


def test_protocols_without_ports_have_none() -> None:
    """Where ICMP has ports in configuration they are type and code, which are not compared."""
    assert only(rule(protocol="1", dst_port=ports(8, 0))).services == (Service((1, 1)),)


def test_subnets_add_up_and_a_network_beside_must_hold_too() -> None:
    source = {"subnet": subnet("10.0.0.0/8"), "subnet-list": [subnet("fd00::1/64")]} | vn("net2")
    assert only(rule(source)).source == Endpoint(
        (ip_network("fd00::/64"), ip_network("10.0.0.0/8")), f"{PROJECT}:net2"
    )


def test_any_network_is_any_address_and_the_local_one_is_the_owner() -> None:
    made = only(rule({"virtual-network": "any"}, {"virtual-network": "local"}))
    assert made.source == Endpoint()
    assert made.destination == Endpoint(network=NET1[1])


@pytest.mark.parametrize("text", ["-1", "any", "local", ""])
def test_a_group_that_everyone_is_in_is_no_condition(text: str) -> None:
    assert only(rule({"security-group": text})).source == Endpoint()


def test_a_group_by_number() -> None:
    assert only(rule({"security-group": "8000004"})).source == Endpoint(group=8000004)


def test_families() -> None:
    families = [only(rule(ethertype=text)).ethertype for text in ("IPv4", "IPv6")]
    assert [*families, only(rule()).ethertype] == [4, 6, 0]


@pytest.mark.parametrize(
    ("action", "more", "made"),
    [
        ("deny", {}, Action.DENY),
        ("reject", {}, Action.DENY | Action.REJECT),
        ("pass", {"log": True, "alert": True}, Action.PASS | Action.LOG | Action.ALERT),
        ("pass", {"host-based-service": True}, Action.PASS | Action.HBS),
        ("deny", {"log": True}, Action.DENY | Action.LOG),
        (None, {"apply-service": ["default-domain:p:fw"]}, Action.PASS),
        (None, {"log": True}, Action.PASS | Action.LOG),
        ("pass", {"log": False, "qos-action": ""}, Action.PASS),
    ],
)
def test_actions(action: str | None, more: dict[str, Any], made: Action) -> None:
    assert only(rule(action=action, actions=more)).actions == made


def test_actions_with_names() -> None:
    more = {
        "mirror-to": {"analyzer-name": "tap1"},
        "assign-routing-instance": "default-domain:p:left:service-1",
        "qos-action": "default-global-system-config:qos1",
    }
    made = only(rule(actions=more))
    assert made.actions == Action.PASS | Action.MIRROR | Action.VRF | Action.QOS
    assert made.mirror == "tap1"
    assert made.vrf == "default-domain:p:left:service-1"
    assert made.qos == "default-global-system-config:qos1"


def test_a_mirror_list_decides_nothing_so_that_all_its_rules_are_walked() -> None:
    actions = {"mirror-to": {"analyzer-name": "tap1"}}
    first, second = listed(
        rule(actions=actions), rule(action=None, actions=actions), dynamic=True
    ).rules
    assert first.actions == second.actions == Action.MIRROR


BAD: list[tuple[dict[str, Any], str]] = [
    (rule(action="jump"), "simple-action: 'jump'"),
    (rule(action=None), "says nothing to do"),
    (rule(protocol="quic"), "protocol: 'quic'"),
    (rule(protocol="256"), "protocol: '256'"),
    (rule(protocol="6", dst_port=ports(90, 80)), "destination ports: 90 to 80"),
    (rule(protocol="6", src_port=ports(0, 70000)), "source ports: 0 to 70000"),
    (rule(protocol="6", src_port={"start-port": "x"}), "source ports: 'x'"),
    (rule(ethertype="ARP"), "ethertype: 'ARP'"),
    (rule({"security-group": "mine"}), "src-address: 'mine'"),
    (rule({"security-group": "0"}), "src-address: '0'"),
    (rule({"security-group": "4294967296"}), "src-address: '4294967296'"),
    (rule({"network-policy": "d:p:np"}), "a network policy is no address"),
    (rule({}, {"subnet": {"ip-prefix": "10.0.0", "ip-prefix-len": 8}}), "'10.0.0/8'"),
    (rule({}, {"subnet-list": "10.0.0.0/8"}), "expected a list"),
    (rule({}, {"subnet": {"ip-prefix": "10.0.0.0"}}), "10.0.0.0/None"),
    (rule(direction="="), "direction: '='"),
    (rule({"virtual-network": 7}), "virtual-network: expected text"),
]


@pytest.mark.parametrize(("bad", "text"), BAD)
def test_a_rule_that_cannot_be_used_is_left_out_with_the_reason(
    bad: dict[str, Any], text: str
) -> None:
    told = problem(bad)
    assert text in told
    assert told.startswith(f"rule 1 ({uuid('rule')}) left out: ")


def test_the_others_keep_their_order() -> None:
    row = listed(rule(name="a"), rule(protocol="quic", name="b"), rule(action="deny", name="c"))
    assert [one.uuid for one in row.rules] == [uuid("a"), uuid("c")]
    assert len(row.problems) == 1


def test_a_list_of_nonsense_allows_nothing() -> None:
    ref = ("access-control-list", LIST)
    link = GraphLink("virtual-network-access-control-list", NET1, ref)
    bad = node(*ref, access_control_list_entries={"acl-rule": "all"})
    compiler, _ = run([FULL | [bad, link]])
    row = compiler.acls()[LIST]
    assert row.rules == ()
    assert "acl-rule: expected a list" in row.problems[0]
    assert compiler.flow_ports()[VM.port].policy.network == LIST


def test_rules_without_a_uuid_are_told_apart() -> None:
    bare = [{"action-list": {"simple-action": "pass"}}] * 2
    first, second = listed(*bare).rules
    assert first.uuid != second.uuid
    assert listed(*bare).rules == (first, second)


def test_the_lists_of_the_default_group() -> None:
    compiler, _ = run([FULL])
    rows = compiler.acls()
    group = f"{PROJECT}:default"
    egress = rows[f"{group}:egress-access-control-list"]
    ingress = rows[f"{group}:ingress-access-control-list"]
    assert [one.destination.prefixes for one in egress.rules] == [
        (ip_network("0.0.0.0/0"),),
        (ip_network("::/0"),),
    ]
    assert [(one.source.group, one.ethertype) for one in ingress.rules] == [
        (8000001, 4),
        (8000001, 6),
    ]
    assert {one.actions for one in (*egress.rules, *ingress.rules)} == {Action.PASS}
    assert egress.problems == ingress.problems == ()


def table(*rules: dict[str, Any]) -> Any:
    return changed(ONE, str(VM.port), **{"vrf-assign-table": {"vrf-assign-rule": list(rules)}})


def test_vrf_assign_rules_are_a_list_of_the_port() -> None:
    condition = {"protocol": "17", "src-address": {"subnet": subnet("10.0.0.0/8")}}
    world = table(
        {"match-condition": condition, "routing-instance": "d:p:a:a", "ignore-acl": True},
        {"match-condition": {"protocol": "any"}, "routing-instance": "d:p:b:b"},
        {"match-condition": {}, "vlan-tag": 7},
    )
    compiler, _ = run([FULL | world])
    row = compiler.acls()[f"vrf-assign {VM.port}"]
    first, second = row.rules
    assert first.actions == second.actions == Action.PASS | Action.VRF
    assert (first.vrf, first.ignore_acl) == ("d:p:a:a", True)
    assert (second.vrf, second.ignore_acl) == ("d:p:b:b", False)
    assert first.source.prefixes == (ip_network("10.0.0.0/8"),)
    assert first.uuid != second.uuid
    assert row.problems == ("rule 3 left out: routing-instance: is missing",)
    assert compiler.flow_ports()[VM.port].policy.vrf_assign == row.name


def test_a_port_without_vrf_assign_rules_has_no_such_list() -> None:
    compiler, _ = run([FULL | table(), FULL])
    assert not [name for name in compiler.acls() if name.startswith("vrf-assign")]
    assert compiler.flow_ports()[VM.port].policy.vrf_assign == ""


_WORDS = """
match-condition action-list protocol src-address dst-address subnet subnet-list ip-prefix
ip-prefix-len src-port dst-port start-port simple-action direction virtual-network
security-group acl-rule dynamic rule-uuid
"""
_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just("any"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_WORDS.split()), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_JUNK, st.lists(_JUNK, max_size=3))
def test_whatever_a_list_has_it_never_fails(entries: Any, rules: list[Any]) -> None:
    ref = ("access-control-list", LIST)
    link = GraphLink("virtual-network-access-control-list", NET1, ref)
    for content in (entries, {"acl-rule": rules}):
        bad: GraphNode = node(*ref, access_control_list_entries=content)
        compiler, _ = run([FULL | [bad, link] | table(*rules)])
        assert compiler.acls()[LIST].name == LIST
