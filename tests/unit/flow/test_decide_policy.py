"""Decisions by policy: network lists, security groups, firewall, mirrors; what is told of them."""

from __future__ import annotations

import pytest

from agent._fast.classifier import Line
from agent._fast.flow_world import CHECKS, STEPS, Decision, Packet
from agent.oper.flow_rows import Action
from tests.reference.flow_decide import MIRROR
from tests.unit.flow.test_decide import DROP, FORWARD, ICMP, TCP, UDP, check
from tests.unit.flow.world_rig import (
    BLUE,
    PKT0_VIF,
    RED,
    Rig,
    allow,
    deny,
    line,
    packed,
    place,
    service,
)

ALLOW, DENY, GATEWAY = 1, 2, 3
EGRESS, INGRESS, NETWORK, FIREWALL, FWAAS = range(10, 15)


@pytest.fixture
def rig() -> Rig:
    """VMs 3 and 4 in blue, 5 in red (whose routes are in both), 10.1.0.9 on another host."""
    made = Rig()
    made.vm(3, BLUE, "10.1.0.3", "blue", groups=(103,))
    made.vm(4, BLUE, "10.1.0.4", "blue", groups=(104,))
    made.vm(5, RED, "10.2.0.5", "red", groups=(105,))
    made.tunnel(22, "10.0.0.2")
    made.route(BLUE, "10.1.0.9/32", 22, made.meta("blue", (109,)))
    made.route(BLUE, "10.2.0.5/32", 50, made.meta("red", (105,)))
    made.route(RED, "10.1.0.3/32", 30, made.meta("blue", (103,)))
    return made


def grouped(rig: Rig, vif: int, egress: list[Line] | None, ingress: list[Line] | None) -> None:
    """Security groups of a port; None: no list at all."""
    lists: dict[str, tuple[int, ...]] = {}
    for name, number, rules in (
        ("egress_lists", 100 + vif, egress),
        ("ingress_lists", 200 + vif, ingress),
    ):
        lists[name] = () if rules is None else (rig.lists(number, *rules),)
    rig.change_port(vif, grouped=True, **lists)


def uuid(rig: Rig, number: int) -> int:
    """Which `allow(n)` or `deny(n)` this rule number is."""
    found = rig.classifier.rule_uuid(number)
    assert found is not None
    return found.int - 0x1000


TO_SAME_HOST = ("10.1.0.3", "10.1.0.4")


def local(rig: Rig, **fields: object) -> Packet:
    return rig.sent(3, *TO_SAME_HOST, TCP, 1000, 80, **fields)


# Security groups


def test_without_groups_all_is_allowed(rig: Rig) -> None:
    decision = check(rig, local(rig))
    assert (decision.forward.policy_rule, decision.forward.group_rule) == (ALLOW, ALLOW)


def test_groups_without_rules_deny(rig: Rig) -> None:
    rig.change_port(3, grouped=True)
    decision = check(rig, local(rig))
    assert (decision.forward.reason, decision.forward.group_rule) == (24, DENY)
    assert (decision.reverse.reason, decision.reverse.action) == (24, DROP)


@pytest.mark.parametrize(
    ("egress", "ingress", "reason"),
    [
        ([allow(1)], [allow(2)], 0),
        ([allow(1, services=service(TCP, 22))], [allow(2)], 24),
        ([allow(1)], [allow(2, services=service(TCP, 22))], 25),
        ([allow(1)], [allow(2, src=place(group=103))], 0),
        ([allow(1)], [allow(2, src=place(group=109))], 25),
        ([allow(1, dst=place(group=104))], [allow(2)], 0),
        ([allow(1, dst=place("10.1.0.0/30"))], [allow(2)], 24),
        ([], [allow(2)], 24),
        (None, [allow(2)], 24),
        ([allow(1)], None, 25),
    ],
)
def test_both_ends_of_a_host_are_asked(
    rig: Rig, egress: list[Line] | None, ingress: list[Line] | None, reason: int
) -> None:
    grouped(rig, 3, egress, [])
    grouped(rig, 4, [], ingress)
    decision = check(rig, local(rig))
    assert (decision.forward.reason, decision.reverse.reason) == (reason, reason)
    assert decision.forward.action == (DROP if reason else FORWARD)


@pytest.mark.parametrize("target", ["10.1.0.4", "10.2.0.5"])
def test_a_destination_of_this_host_is_asked_in_whichever_network(rig: Rig, target: str) -> None:
    vif = int(target[-1])
    grouped(rig, 3, [allow(1)], [])
    grouped(rig, vif, [allow(2)], [allow(3, src=place(group=999))])
    decision = check(rig, rig.sent(3, "10.1.0.3", target, UDP))
    assert decision.forward.reason == 25
    grouped(rig, vif, [], [allow(3, src=place(group=103))])
    decision = check(rig, rig.sent(3, "10.1.0.3", target, UDP))
    assert decision.forward.action == FORWARD
    rig.nexthop(500, 7, vrf=RED)
    rig.route(BLUE, "10.2.0.5/32", 500)
    grouped(rig, vif, [], [])
    assert check(rig, rig.sent(3, "10.1.0.3", target, UDP)).forward.reason == 25


def test_from_and_to_another_host_only_the_own_port_is_asked(rig: Rig) -> None:
    grouped(rig, 3, [allow(1, dst=place(group=109))], [allow(2, src=place(group=109))])
    sent = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9"))
    assert uuid(rig, sent.forward.group_rule) == 1
    received = check(rig, rig.received(3, "10.1.0.9", "10.1.0.3"))
    assert uuid(rig, received.forward.group_rule) == 2
    grouped(rig, 3, [], [allow(2)])
    assert check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9")).forward.reason == 24
    grouped(rig, 3, [allow(1)], [])
    assert check(rig, rig.received(3, "10.1.0.9", "10.1.0.3")).forward.reason == 24


def test_the_answers_are_allowed_with_the_flow(rig: Rig) -> None:
    grouped(rig, 3, [allow(1)], [])
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9"))
    assert decision.reverse.action == FORWARD
    assert decision.reverse.group_rule == decision.forward.group_rule


@pytest.mark.parametrize("ack", [False, True])
def test_a_tcp_packet_with_ack_may_be_an_answer(rig: Rig, ack: bool) -> None:
    grouped(rig, 3, [], [allow(1, services=service(TCP, 1000))])
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", TCP, 1000, 80, tcp_ack=ack))
    assert decision.forward.action == (FORWARD if ack else DROP)
    grouped(rig, 3, [], [])
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", TCP, 1000, 80, tcp_ack=ack))
    assert decision.forward.reason == 24


def test_both_ends_must_allow_the_answer(rig: Rig) -> None:
    grouped(rig, 3, [], [allow(1)])
    grouped(rig, 4, [allow(2)], [])
    decision = check(rig, local(rig, tcp_ack=True))
    assert decision.forward.action == FORWARD
    grouped(rig, 4, [], [])
    assert check(rig, local(rig, tcp_ack=True)).forward.reason == 24


def test_a_port_without_policy_is_not_asked(rig: Rig) -> None:
    grouped(rig, 3, [], [])
    rig.change_port(3, policy=False)
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9"))
    assert decision.forward.action == FORWARD
    assert (decision.forward.policy_rule, decision.forward.group_rule) == (0, 0)
    grouped(rig, 4, [], [])
    assert check(rig, local(rig)).forward.reason == 25


def test_by_mac_address_too(rig: Rig) -> None:
    grouped(rig, 4, [], [])
    packet = local(rig, destination_mac=b"\x02\0\0\0\0\x04")
    assert check(rig, packet).forward.reason == 25


# Network policy


def network(rig: Rig, vif: int, *rules: Line) -> None:
    rig.change_port(vif, network_lists=(rig.lists(300 + vif, *rules),))


def test_a_network_list_that_says_nothing_denies(rig: Rig) -> None:
    network(rig, 3)
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9"))
    assert (decision.forward.reason, decision.forward.policy_rule) == (22, DENY)
    assert decision.forward.group_rule == 0


def test_each_end_asks_the_list_of_its_network(rig: Rig) -> None:
    network(rig, 3, allow(1))
    network(rig, 5, deny(2, src=place(network="blue")), allow(3))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.2.0.5"))
    assert decision.forward.reason == 23
    assert uuid(rig, decision.forward.policy_rule) == 2


def test_answers_are_asked_by_the_same_lists(rig: Rig) -> None:
    network(rig, 3, allow(1, dst=place(network="red")), deny(2))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.2.0.5"))
    assert decision.forward.action == FORWARD
    assert (decision.reverse.action, decision.reverse.reason) == (DROP, 22)
    assert uuid(rig, decision.forward.policy_rule) == 1
    network(rig, 3, allow(1, dst=place(network="red")), allow(2, src=place(network="red")))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.2.0.5"))
    assert decision.reverse.action == FORWARD


def test_icmp_and_dns_of_the_gateway_are_never_denied(rig: Rig) -> None:
    rig.route(BLUE, "10.1.0.1/32", 6)
    network(rig, 3, deny(1))
    grouped(rig, 3, [], [])
    rig.change_port(3, gateways=(packed("10.1.0.1"), packed("10.1.0.2")))
    ping = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.1", ICMP, 7, 0))
    assert (ping.forward.action, ping.forward.policy_rule) == (FORWARD, GATEWAY)
    dns = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.1", UDP, 1000, 53))
    assert dns.forward.action == FORWARD
    assert dns.reads[1] == PKT0_VIF
    for protocol, port in ((UDP, 54), (TCP, 53)):
        other = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.1", protocol, 1000, port))
        assert other.forward.action == DROP
    assert check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", ICMP, 7, 0)).forward.action == DROP


# Firewall


@pytest.mark.parametrize(("kind", "reason"), [("fwaas_lists", 32), ("firewall_lists", 28)])
def test_firewalls_of_both_ends(rig: Rig, kind: str, reason: int) -> None:
    rig.lists(FIREWALL, allow(1, services=service(TCP, 80)))
    rig.lists(FWAAS, deny(2))
    rig.change_port(3, **{kind: (FIREWALL,)})
    decision = check(rig, local(rig))
    assert uuid(rig, decision.forward.policy_rule) == 1
    rig.change_port(4, **{kind: (FWAAS, FIREWALL)})
    assert check(rig, local(rig)).forward.reason == reason + 1
    rig.change_port(3, **{kind: (FWAAS,)})
    decision = check(rig, local(rig))
    assert decision.forward.reason == reason
    assert uuid(rig, decision.forward.policy_rule) == 2


def test_tags_decide(rig: Rig) -> None:
    web, db = 1 << 32 | 7, 1 << 32 | 8
    rig.vm(6, BLUE, "10.1.0.6", "blue", tags=(web,))
    rig.vm(7, BLUE, "10.1.0.7", "blue", tags=(db,))
    place_of_web = place()
    rule = allow(1, src=type(place_of_web)((), "", None, (web,)))
    rig.change_port(7, firewall_lists=(rig.lists(FIREWALL, rule),))
    assert check(rig, rig.sent(6, "10.1.0.6", "10.1.0.7")).forward.action == FORWARD
    assert check(rig, rig.sent(3, "10.1.0.3", "10.1.0.7")).forward.reason == 29


# Mirrors and QoS


def mirror(number: int, to: int, **fields: object) -> Line:
    return line(number, Action.MIRROR | Action.PASS, mirror=to, **fields)


def test_mirrors_of_both_ends_and_of_rules(rig: Rig) -> None:
    rig.change_port(3, mirror_lists=(rig.lists(1, mirror(1, 5)),))
    rig.change_port(4, mirror_lists=(rig.lists(2, mirror(2, 6)),))
    network(rig, 3, mirror(3, 7))
    decision = check(rig, local(rig))
    for side in (decision.forward, decision.reverse):
        assert (side.mirror, side.second_mirror) == (5, 6)
        assert side.flags & MIRROR
    rig.change_port(3, mirror_lists=())
    decision = check(rig, local(rig))
    assert (decision.forward.mirror, decision.forward.second_mirror) == (6, 7)


def test_what_is_dropped_may_be_mirrored(rig: Rig) -> None:
    rig.change_port(3, mirror_lists=(rig.lists(1, mirror(1, 5)),))
    network(rig, 3)
    decision = check(rig, local(rig))
    assert (decision.forward.action, decision.forward.mirror) == (DROP, 5)


def test_qos_of_a_rule(rig: Rig) -> None:
    network(rig, 3, line(1, Action.PASS | Action.QOS, qos=9))
    decision = check(rig, local(rig))
    assert (decision.forward.qos, decision.reverse.qos) == (9, 9)


# What is told


def told(rig: Rig, packet: Packet) -> tuple[Decision, list[str]]:
    decision, steps = rig.world.explain(packet)
    for step in steps:
        assert step.kind in STEPS
        assert step.check in (*CHECKS, "")
    return decision, [step.check or step.kind for step in steps]


def test_every_step_is_told_in_its_order(rig: Rig) -> None:
    grouped(rig, 3, [allow(1)], [])
    grouped(rig, 4, [], [])
    network(rig, 3, allow(2))
    decision, steps = told(rig, local(rig))
    assert decision == rig.decide(local(rig))
    assert steps == [
        "in_port", "source_route", "destination_route", "out_port", "rpf", "rpf", "network",
        "out_network", "groups", "out_groups", "result", "result",
    ]  # fmt: skip
    _, found = rig.world.explain(local(rig))
    by_check = {step.check: step for step in found if step.check}
    assert uuid(rig, by_check["groups"].number) == 1
    assert (by_check["groups"].other, by_check["groups"].port) == (103, 3)
    assert by_check["out_groups"].number == DENY
    assert (found[1].number, found[1].address, found[1].length) == (BLUE, packed("10.1.0.3"), 32)
    assert [(step.number, step.other, step.length) for step in found[-2:]] == [
        (DROP, 25, 0),
        (DROP, 25, 1),
    ]


def test_why_a_flow_is_short_is_told(rig: Rig) -> None:
    _, steps = told(rig, rig.sent(3, "10.1.0.3", "10.8.0.9"))
    assert steps[-3:] == ["short", "result", "result"]


def test_that_policy_is_off_is_told(rig: Rig) -> None:
    rig.change_port(3, policy=False)
    _, found = rig.world.explain(rig.sent(3, "10.1.0.3", "10.1.0.9"))
    assert [(step.number, step.other) for step in found if step.kind == "skipped"] == [(0, 3)]


def test_a_long_story_keeps_its_end(rig: Rig) -> None:
    rig.nexthop(500, 7, vrf=RED)
    rig.nexthop(501, 7, vrf=BLUE)
    rig.route(BLUE, "10.9.0.0/16", 500)
    rig.route(RED, "10.9.0.0/16", 501)
    for vif in (3,):
        rig.change_port(vif, mirror_lists=(rig.lists(1, mirror(1, 5)),))
    _, steps = told(rig, rig.sent(3, "10.1.0.3", "10.9.0.5"))
    assert steps[-1] == "result"
