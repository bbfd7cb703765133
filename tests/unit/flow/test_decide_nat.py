"""Decisions that translate: floating and alias IPs, VRF-assign rules, link-local services."""

from __future__ import annotations

import pytest

from agent._fast.flow_world import Alias, FatFlow, Floating, LinkLocal
from agent.oper.flow_rows import Action
from tests.reference.flow_decide import (
    ACTIVE,
    DNAT,
    DPAT,
    LINK_LOCAL,
    PAIR_BOUND_PORT,
    PAIR_INGRESS,
    PAIR_LINK_LOCAL,
    PAIR_LOCAL,
    PAIR_NAT,
    SNAT,
    SPAT,
    VRFT,
)
from tests.unit.flow.test_decide import DROP, FORWARD, NAT, TCP, UDP, check, short
from tests.unit.flow.world_rig import (
    BLUE,
    FABRIC_VRF,
    GREEN,
    HOST_NEXTHOP,
    HOST_VIF,
    RED,
    Rig,
    allow,
    deny,
    key,
    line,
    mac,
    packed,
    place,
)

ICMP = 1


@pytest.fixture
def rig() -> Rig:
    """VM 3 of blue has the floating IP 20.0.0.3 of red, VM 4 of red has 30.0.0.4 of green."""
    made = Rig()
    made.vm(3, BLUE, "10.1.0.3", "blue")
    made.vm(4, RED, "20.0.0.4", "red")
    made.tunnel(22, "10.0.0.2")
    made.route(RED, "20.0.0.3/32", 30, made.meta("red"))
    made.route(RED, "20.0.0.0/24", 22)
    made.route(RED, "0.0.0.0/0", 22)
    made.change_port(3, floating=(floating(made),))
    return made


def floating(rig: Rig, **changes: object) -> Floating:
    one = Floating(packed("20.0.0.3"), packed("10.1.0.3"), RED, meta=rig.meta("red"))
    return one._replace(**changes)


# Source NAT


def test_out_of_a_floating_ip(rig: Rig) -> None:
    decision = check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8", UDP, 1000, 53))
    forward, reverse = decision.forward, decision.reverse
    assert forward.key == key(30, "10.1.0.3", "8.8.8.8", UDP, 1000, 53)
    assert reverse.key == key(30, "8.8.8.8", "20.0.0.3", UDP, 53, 1000)
    assert (forward.action, reverse.action) == (NAT, NAT)
    assert forward.flags == ACTIVE | SNAT | VRFT
    assert reverse.flags == ACTIVE | DNAT | VRFT
    assert (forward.vrf, forward.dvrf) == (BLUE, RED)
    assert (reverse.vrf, reverse.dvrf) == (BLUE, BLUE)
    assert (forward.source_nexthop, reverse.source_nexthop) == (30, 22)
    assert decision.flags == PAIR_INGRESS | PAIR_NAT


def test_its_own_network_comes_first_when_it_knows_as_much(rig: Rig) -> None:
    rig.route(BLUE, "0.0.0.0/0", 22)
    assert check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8")).forward.action == FORWARD
    assert check(rig, rig.sent(3, "10.1.0.3", "20.0.0.9")).forward.action == NAT


def test_only_the_fixed_address_is_translated(rig: Rig) -> None:
    rig.route(BLUE, "10.1.0.33/32", 30)
    assert short(rig, rig.sent(3, "10.1.0.33", "8.8.8.8")) == 5
    rig.change_port(3, floating=(floating(rig, fixed=b""),))
    assert check(rig, rig.sent(3, "10.1.0.33", "8.8.8.8")).forward.action == NAT


def test_a_floating_ip_for_arrivals_only(rig: Rig) -> None:
    rig.change_port(3, floating=(floating(rig, outbound=False),))
    assert short(rig, rig.sent(3, "10.1.0.3", "8.8.8.8")) == 5
    assert check(rig, rig.received(3, "8.8.8.8", "20.0.0.3")).forward.action == NAT


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ((("0.0.0.0/0", "0.0.0.0/0")), "40.0.0.3"),  # the lower VRF name: green
        ((("8.0.0.0/8", "0.0.0.0/0")), "20.0.0.3"),  # the longer prefix: red
    ],
)
def test_which_of_several_floating_ips(rig: Rig, routes: tuple[str, str], expected: str) -> None:
    green = floating(rig, address=packed("40.0.0.3"), vrf=GREEN, meta=rig.meta("green"))
    rig.change_port(3, floating=(floating(rig), green))
    rig.route(RED, routes[0], 22)
    rig.route(GREEN, routes[1], 22)
    decision = check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8", UDP, 1, 2))
    assert decision.reverse.key == key(30, "8.8.8.8", expected, UDP, 2, 1)


@pytest.mark.parametrize("swapped", [False, True])
def test_of_one_vrf_the_lower_floating_ip(rig: Rig, swapped: bool) -> None:
    both = [floating(rig), floating(rig, address=packed("20.0.0.200"))]
    rig.change_port(3, floating=tuple(both[::-1] if swapped else both))
    decision = check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8", UDP, 1, 2))
    assert decision.reverse.key == key(30, "8.8.8.8", "20.0.0.3", UDP, 2, 1)


def test_icmp_through_a_floating_ip(rig: Rig) -> None:
    decision = check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8", ICMP, 77, 0))
    assert decision.reverse.key == key(30, "8.8.8.8", "20.0.0.3", ICMP, 77, 0)
    assert decision.forward.flags == ACTIVE | SNAT | VRFT


def test_a_floating_ip_of_a_vrf_that_is_gone(rig: Rig) -> None:
    rig.drop_vrf(RED)
    assert short(rig, rig.sent(3, "10.1.0.3", "8.8.8.8")) == 5


# Destination NAT


def test_into_a_floating_ip(rig: Rig) -> None:
    decision = check(rig, rig.received(3, "8.8.8.8", "20.0.0.3", TCP, 1000, 80))
    forward, reverse = decision.forward, decision.reverse
    assert forward.key == key(30, "8.8.8.8", "20.0.0.3", TCP, 1000, 80)
    assert reverse.key == key(30, "10.1.0.3", "8.8.8.8", TCP, 80, 1000)
    assert forward.flags == ACTIVE | DNAT | VRFT
    assert reverse.flags == ACTIVE | SNAT | VRFT
    assert (forward.dvrf, reverse.dvrf) == (BLUE, RED)
    assert (forward.source_nexthop, reverse.source_nexthop) == (22, 30)
    assert decision.flags == PAIR_NAT


def test_its_own_address_is_not_translated(rig: Rig) -> None:
    rig.route(BLUE, "8.8.8.8/32", 22)
    decision = check(rig, rig.received(3, "8.8.8.8", "10.1.0.3"))
    assert decision.forward.action == FORWARD


def test_a_floating_ip_for_departures_only(rig: Rig) -> None:
    rig.change_port(3, floating=(floating(rig, inbound=False),))
    rig.route(BLUE, "8.8.8.8/32", 22)
    assert short(rig, rig.received(3, "8.8.8.8", "20.0.0.3")) == 5
    assert check(rig, rig.sent(3, "10.1.0.3", "8.8.4.4")).forward.action == NAT


def test_from_a_port_of_the_host_into_a_floating_ip(rig: Rig) -> None:
    decision = check(rig, rig.sent(4, "20.0.0.4", "20.0.0.3", TCP, 1000, 80))
    assert decision.reverse.key == key(30, "10.1.0.3", "20.0.0.4", TCP, 80, 1000)
    assert decision.forward.flags == ACTIVE | DNAT | VRFT
    assert (decision.forward.vrf, decision.forward.dvrf) == (RED, BLUE)
    assert (decision.reverse.vrf, decision.reverse.dvrf) == (BLUE, RED)
    assert (decision.forward.source_nexthop, decision.reverse.source_nexthop) == (40, 30)
    assert decision.flags == PAIR_INGRESS | PAIR_LOCAL | PAIR_NAT


def test_from_floating_ip_to_floating_ip(rig: Rig) -> None:
    rig.change_port(
        4, floating=(Floating(packed("20.0.0.44"), packed("20.0.0.4"), RED, meta=rig.meta("red")),)
    )
    rig.route(RED, "20.0.0.44/32", 40)
    decision = check(rig, rig.sent(3, "10.1.0.3", "20.0.0.44", TCP, 1000, 80))
    assert decision.reverse.key == key(40, "20.0.0.4", "20.0.0.3", TCP, 80, 1000)
    assert decision.forward.flags == ACTIVE | SNAT | DNAT | VRFT
    assert decision.reverse.flags == ACTIVE | SNAT | DNAT | VRFT
    assert (decision.forward.dvrf, decision.reverse.dvrf) == (RED, BLUE)


# Port mappings


def test_port_mappings(rig: Rig) -> None:
    rig.change_port(3, floating=(floating(rig, mappings=((TCP, 8080, 80),)),))
    decision = check(rig, rig.received(3, "8.8.8.8", "20.0.0.3", TCP, 1000, 8080))
    assert decision.reverse.key == key(30, "10.1.0.3", "8.8.8.8", TCP, 80, 1000)
    assert decision.forward.flags == ACTIVE | DNAT | DPAT | VRFT
    assert decision.reverse.flags == ACTIVE | SNAT | SPAT | VRFT
    decision = check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8", TCP, 80, 1000))
    assert decision.reverse.key == key(30, "8.8.8.8", "20.0.0.3", TCP, 1000, 8080)
    assert decision.forward.flags == ACTIVE | SNAT | SPAT | VRFT
    assert short(rig, rig.received(3, "8.8.8.8", "20.0.0.3", TCP, 1000, 80)) == 18
    assert short(rig, rig.received(3, "8.8.8.8", "20.0.0.3", UDP, 1000, 8080)) == 18
    assert short(rig, rig.sent(3, "10.1.0.3", "8.8.8.8", ICMP, 1, 0)) == 18


def test_hidden_addresses_and_nat_do_not_go_together(rig: Rig) -> None:
    rig.change_port(3, fat_flows=(FatFlow(UDP, 53, 2), FatFlow(UDP, 54)))
    assert short(rig, rig.sent(3, "10.1.0.3", "8.8.8.8", UDP, 1, 53)) == 20
    assert check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8", UDP, 1, 54)).forward.action == NAT


# Alias IPs


@pytest.fixture
def aliased(rig: Rig) -> Rig:
    """VM 3 of blue has the alias IP 20.0.0.33 of red."""
    rig.change_port(3, floating=(), aliases=(Alias(packed("20.0.0.33"), RED, rig.meta("red")),))
    rig.route(RED, "20.0.0.33/32", 30)
    return rig


def test_out_of_an_alias_ip(aliased: Rig) -> None:
    decision = check(aliased, aliased.sent(3, "20.0.0.33", "8.8.8.8"))
    assert decision.forward.action == FORWARD
    assert decision.forward.flags == ACTIVE | VRFT
    assert (decision.forward.vrf, decision.forward.dvrf) == (BLUE, RED)
    assert decision.reverse.flags == ACTIVE


def test_into_an_alias_ip(aliased: Rig) -> None:
    decision = check(aliased, aliased.received(3, "8.8.8.8", "20.0.0.33"))
    assert decision.forward.action == FORWARD
    assert decision.reverse.flags == ACTIVE | VRFT
    assert (decision.reverse.vrf, decision.reverse.dvrf) == (BLUE, RED)


def test_between_an_alias_ip_and_a_port_of_the_host(aliased: Rig) -> None:
    decision = check(aliased, aliased.sent(4, "20.0.0.4", "20.0.0.33", UDP, 1, 2))
    assert decision.reverse.key == key(30, "20.0.0.33", "20.0.0.4", UDP, 2, 1)
    assert decision.reverse.flags == ACTIVE | VRFT
    assert decision.reverse.dvrf == RED
    assert decision.forward.flags == ACTIVE


# VRF-assign rules


def assign(number: int, vrf: int | None, **fields: object) -> object:
    return line(number, Action.PASS | Action.VRF, vrf=vrf, **fields)


def test_a_rule_of_the_port_leads_into_another_vrf(rig: Rig) -> None:
    rig.route(BLUE, "10.9.0.0/16", 22)
    rig.tunnel(23, "10.0.0.3")
    rig.route(GREEN, "10.9.0.0/16", 23)
    rig.lists(1, assign(1, GREEN, dst=place("10.9.0.0/16")))
    rig.change_port(3, floating=(), vrf_assign_lists=(1,))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.9.0.9"))
    assert decision.forward.flags == ACTIVE | VRFT
    assert (decision.forward.vrf, decision.forward.dvrf) == (BLUE, GREEN)
    assert decision.reverse.source_nexthop == 23
    assert decision.reverse.flags == ACTIVE
    rig.route(BLUE, "10.8.0.0/16", 22)
    assert check(rig, rig.sent(3, "10.1.0.3", "10.8.0.9")).forward.flags == ACTIVE


def test_a_rule_of_the_network_does_so_too(rig: Rig) -> None:
    rig.route(BLUE, "10.9.0.0/16", 22)
    rig.route(GREEN, "10.9.0.0/16", 22)
    rig.lists(1, assign(1, GREEN))
    rig.change_port(3, floating=(), network_lists=(1,))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.9.0.9"))
    assert decision.forward.dvrf == GREEN
    assert decision.forward.policy_rule >= 8


def test_answers_go_by_the_vrf_that_arrivals_were_assigned(rig: Rig) -> None:
    rig.route(BLUE, "10.9.0.0/16", 22)
    rig.tunnel(23, "10.0.0.3")
    rig.route(GREEN, "10.9.0.0/16", 23)
    rig.lists(1, assign(1, GREEN))
    rig.change_port(3, floating=(), vrf_assign_lists=(1,))
    decision = check(rig, rig.received(3, "10.9.0.9", "10.1.0.3"))
    assert decision.forward.source_nexthop == 23
    assert decision.forward.flags == ACTIVE
    assert decision.reverse.flags == ACTIVE | VRFT
    assert decision.reverse.dvrf == GREEN


def test_a_vrf_that_is_not_there(rig: Rig) -> None:
    rig.route(BLUE, "10.9.0.0/16", 22)
    for vrf in (None, 77):
        rig.lists(1, assign(1, vrf))
        rig.change_port(3, floating=(), vrf_assign_lists=(1,))
        assert short(rig, rig.sent(3, "10.1.0.3", "10.9.0.9")) == 3


def test_a_rule_may_say_that_network_policy_is_not_asked(rig: Rig) -> None:
    rig.route(BLUE, "10.9.0.0/16", 22)
    rig.route(GREEN, "10.9.0.0/16", 22)
    rig.lists(1, assign(1, GREEN, ignore_acl=True))
    rig.lists(2, deny(2))
    rig.change_port(3, floating=(), vrf_assign_lists=(1,), network_lists=(2,), firewall_lists=(2,))
    assert check(rig, rig.sent(3, "10.1.0.3", "10.9.0.9")).forward.action == FORWARD
    rig.change_port(3, egress_lists=(2,), grouped=True)
    assert check(rig, rig.sent(3, "10.1.0.3", "10.9.0.9")).forward.reason == 24


# Link-local services


METADATA = LinkLocal(packed("169.254.169.254"), 80, (packed("10.0.0.1"),), 8097)
NTP = LinkLocal(packed("169.254.169.123"), 123, (packed("10.5.0.1"), packed("10.5.0.2")), 1123)


@pytest.fixture
def served(rig: Rig) -> Rig:
    rig.services(METADATA, NTP)
    return rig


def test_to_a_service_of_this_host(served: Rig) -> None:
    decision = check(served, served.sent(3, "10.1.0.3", "169.254.169.254", TCP, 1000, 80))
    forward, reverse = decision.forward, decision.reverse
    assert forward.key == key(30, "10.1.0.3", "169.254.169.254", TCP, 1000, 80)
    assert reverse.key == key(HOST_NEXTHOP, "10.0.0.1", "169.254.0.3", TCP, 8097, 1000)
    assert forward.flags == ACTIVE | SNAT | DNAT | DPAT | VRFT
    assert reverse.flags == ACTIVE | SNAT | DNAT | SPAT | VRFT
    assert (forward.vrf, forward.dvrf) == (BLUE, FABRIC_VRF)
    assert (reverse.vrf, reverse.dvrf) == (FABRIC_VRF, BLUE)
    assert (forward.source_nexthop, reverse.source_nexthop) == (30, 0)
    assert (forward.policy_rule, forward.group_rule) == (4, 4)
    assert decision.flags == PAIR_INGRESS | PAIR_NAT | PAIR_LINK_LOCAL
    assert decision.reads[:2] == (3, HOST_VIF)


def test_whatever_mac_address_it_was_sent_to(served: Rig) -> None:
    packet = served.sent(3, "10.1.0.3", "169.254.169.254", TCP, 1000, 80, destination_mac=mac(200))
    assert check(served, packet).forward.action == NAT


def test_to_a_service_elsewhere_takes_a_port_of_the_host(served: Rig) -> None:
    packet = served.sent(3, "10.1.0.3", "169.254.169.123", UDP, 1000, 123)
    assert short(served, packet) == 12
    served.give_port(UDP, 40000)
    assert served.world.free_ports(UDP) == 1
    decision = check(served, packet)
    assert decision.bound_port == 40000
    assert decision.flags & PAIR_BOUND_PORT
    server = decision.reverse.key[12:16]
    assert server in NTP.servers
    assert decision.reverse.key[16:20] == packed("10.0.0.1")
    assert int.from_bytes(decision.reverse.key[6:8], "big") == 40000
    assert decision.forward.flags == ACTIVE | SNAT | DNAT | SPAT | DPAT | VRFT
    assert decision.reverse.flags & LINK_LOCAL
    assert served.world.free_ports(UDP) == 0


def test_a_port_is_kept_and_returned(served: Rig) -> None:
    packet = served.sent(3, "10.1.0.3", "169.254.169.123", UDP, 1000, 123)
    served.give_port(UDP, 40000)
    first = check(served, packet)
    assert check(served, packet, first).bound_port == 40000
    assert served.decide(packet._replace(source_port=2)).forward.reason == 12
    served.services()
    assert not served.decide(packet, first).flags & PAIR_BOUND_PORT
    assert served.world.free_ports(UDP) == 0  # its keeper returns it
    served.world.return_port(UDP, 40000)
    served.world.return_port(UDP, 40000)
    assert served.world.free_ports(UDP) == 1


def test_a_short_flow_takes_no_port(served: Rig) -> None:
    served.give_port(UDP, 40000)
    served.drop_route(BLUE, "10.1.0.3/32")
    assert short(served, served.sent(3, "10.1.0.3", "169.254.169.123", UDP, 1, 123)) == 4
    assert served.world.free_ports(UDP) == 1


def test_ports_of_the_host_are_limited(served: Rig) -> None:
    for port in range(40000, 40005):
        served.world.give_port(UDP, port)
    served.world.set_limits(link_local_flows=3, vm_link_local_flows=2)
    served.vm(6, BLUE, "10.1.0.6")
    reasons = [
        served.decide(
            served.sent(vif, f"10.1.0.{vif}", "169.254.169.123", UDP, sport, 123)
        ).forward.reason
        for vif, sport in ((3, 1), (3, 2), (3, 3), (6, 1), (6, 2))
    ]
    assert reasons == [0, 0, 12, 0, 12]


def test_a_withdrawn_port_is_taken_no_more(served: Rig) -> None:
    world = served.world
    world.give_port(UDP, 40000)
    world.give_port(UDP, 40001)
    assert world.withdraw_port(UDP, 40001)
    packet = served.sent(3, "10.1.0.3", "169.254.169.123", UDP, 1000, 123)
    assert served.decide(packet).bound_port == 40000
    assert not world.withdraw_port(UDP, 40000)
    world.return_port(UDP, 40000)
    assert world.withdraw_port(UDP, 40000)
    assert world.free_ports(UDP) == 0


def test_explaining_takes_no_port(served: Rig) -> None:
    served.give_port(UDP, 40000)
    packet = served.sent(3, "10.1.0.3", "169.254.169.123", UDP, 1000, 123)
    decision, _ = served.world.explain(packet)
    assert decision.bound_port == 40000
    assert served.world.free_ports(UDP) == 1


def test_what_is_no_service(served: Rig) -> None:
    assert short(served, served.sent(3, "10.1.0.3", "169.254.169.254", TCP, 1000, 81)) == 4
    assert short(served, served.sent(3, "10.1.0.3", "169.254.169.254", ICMP, 1, 0)) == 4
    served.change_port(3, floating=())
    assert short(served, served.sent(3, "10.1.0.3", "169.254.1.1", TCP, 1000, 81)) == 5


def test_from_the_host_to_a_vm(served: Rig) -> None:
    packet = served.sent(HOST_VIF, "10.0.0.1", "169.254.0.3", TCP, 1000, 22)
    decision = check(served, packet)
    forward, reverse = decision.forward, decision.reverse
    assert forward.key == key(HOST_NEXTHOP, "10.0.0.1", "169.254.0.3", TCP, 1000, 22)
    assert reverse.key == key(30, "10.1.0.3", "169.254.169.254", TCP, 22, 1000)
    assert forward.flags == ACTIVE | SNAT | DNAT | VRFT
    assert (forward.vrf, forward.dvrf, reverse.vrf, reverse.dvrf) == (0, BLUE, BLUE, 0)
    assert (forward.source_nexthop, reverse.source_nexthop) == (0, 30)
    assert decision.flags & PAIR_LINK_LOCAL


def test_an_answer_of_the_host_keeps_the_address_of_the_service(served: Rig) -> None:
    packet = served.sent(HOST_VIF, "10.0.0.1", "169.254.0.3", TCP, 8097, 1000)
    decision = check(served, packet)
    assert decision.reverse.key == key(30, "10.1.0.3", "169.254.169.254", TCP, 1000, 80)
    assert decision.forward.flags == ACTIVE | SNAT | SPAT | DNAT | VRFT


def test_from_the_host_to_nobody(served: Rig) -> None:
    packet = served.sent(HOST_VIF, "10.0.0.1", "169.254.0.99", TCP, 1000, 22)
    assert short(served, packet) == 4
    served.drop_port(3)
    assert short(served, packet._replace(destination=packed("169.254.0.3"))) == 1


def test_policy_does_not_stop_link_local_services(served: Rig) -> None:
    served.lists(1, deny(1))
    served.change_port(3, network_lists=(1,), egress_lists=(1,), grouped=True)
    packet = served.sent(3, "10.1.0.3", "169.254.169.254", TCP, 1000, 80)
    assert check(served, packet).forward.action == NAT


# Policy of another network


def test_the_list_of_the_floating_ips_network_decides(rig: Rig) -> None:
    rig.lists(1, deny(1))
    rig.lists(2, allow(2, src=place(network="red")))
    rig.change_port(3, network_lists=(1,), floating=(floating(rig, network_list=2),))
    assert check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8")).forward.reason == 0
    assert check(rig, rig.received(3, "8.8.8.8", "20.0.0.3")).forward.action == DROP
    rig.change_port(3, floating=(floating(rig, network_list=None),))
    assert check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8")).forward.policy_rule == 1
