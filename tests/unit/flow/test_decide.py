"""Decisions by routes: ports, VRFs, ECMP, RPF, keys. Each agrees with the oracle as well."""

from __future__ import annotations

import pytest

from agent._fast.flow_world import Decision, FatFlow, Packet, PortKind
from tests.reference.flow_decide import (
    ACTIVE,
    PAIR_ECMP,
    PAIR_FAT,
    PAIR_INGRESS,
    PAIR_L2,
    PAIR_LOCAL,
    PAIR_MULTICAST,
    PAIR_SHORT,
    VRFT,
    matches,
)
from tests.unit.flow.world_rig import BLUE, GREEN, RED, ROUTER_MAC, Rig, key, mac, packed

DROP, FORWARD, NAT = 0, 2, 3
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58


def check(rig: Rig, packet: Packet, before: Decision | None = None) -> Decision:
    """The decision, which the oracle shares."""
    answer = rig.oracle(packet, before)
    decision = rig.decide(packet, before)
    assert matches(decision, answer), f"{decision}\n{answer}"
    return decision


def short(rig: Rig, packet: Packet) -> int:
    """The reason of a short flow, the same on both sides."""
    decision = check(rig, packet)
    assert decision.flags & PAIR_SHORT
    assert decision.forward.action == decision.reverse.action == DROP
    assert decision.forward.reason == decision.reverse.reason
    return decision.forward.reason


@pytest.fixture
def rig() -> Rig:
    """Two VMs in blue, one in red; 10.1.0.9 of blue is on another host."""
    made = Rig()
    made.vm(3, BLUE, "10.1.0.3", "blue")
    made.vm(4, BLUE, "10.1.0.4", "blue")
    made.vm(5, RED, "10.2.0.5", "red")
    made.tunnel(22, "10.0.0.2")
    made.tunnel(23, "10.0.0.3")
    made.route(BLUE, "10.1.0.9/32", 22)
    return made


def test_to_another_host(rig: Rig) -> None:
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", UDP, 1000, 2000))
    forward, reverse = decision.forward, decision.reverse
    assert forward.key == key(30, "10.1.0.3", "10.1.0.9", UDP, 1000, 2000)
    assert reverse.key == key(30, "10.1.0.9", "10.1.0.3", UDP, 2000, 1000)
    assert (forward.action, reverse.action) == (FORWARD, FORWARD)
    assert (forward.source_nexthop, reverse.source_nexthop) == (30, 22)
    assert (forward.flags, reverse.flags) == (ACTIVE, ACTIVE)
    assert (forward.vrf, forward.ecmp, forward.qos, forward.mirror) == (BLUE, -1, -1, 255)
    assert decision.flags == PAIR_INGRESS
    vif, out, source, target, _ = decision.reads
    assert (vif, out) == (3, None)
    assert None not in (source, target)
    assert source != target


def test_from_another_host(rig: Rig) -> None:
    decision = check(rig, rig.received(3, "10.1.0.9", "10.1.0.3", UDP, 2000, 1000))
    assert decision.forward.key == key(30, "10.1.0.9", "10.1.0.3", UDP, 2000, 1000)
    assert decision.reverse.key == key(30, "10.1.0.3", "10.1.0.9", UDP, 1000, 2000)
    assert (decision.forward.source_nexthop, decision.reverse.source_nexthop) == (22, 30)
    assert decision.flags == 0
    assert decision.reads[1] == 3


def test_between_two_ports_of_the_host(rig: Rig) -> None:
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.4", TCP, 1000, 80))
    assert decision.reverse.key == key(40, "10.1.0.4", "10.1.0.3", TCP, 80, 1000)
    assert (decision.forward.source_nexthop, decision.reverse.source_nexthop) == (30, 40)
    assert decision.flags == PAIR_INGRESS | PAIR_LOCAL
    assert decision.reads[:2] == (3, 4)


def test_ipv6() -> None:
    rig = Rig()
    rig.vm(3, BLUE, "fd00::3", "blue")
    rig.tunnel(22, "10.0.0.2")
    rig.route(BLUE, "fd00:9::/32", 22)
    decision = check(rig, rig.sent(3, "fd00::3", "fd00:9::9", TCP, 1000, 80))
    assert decision.forward.key == key(30, "fd00::3", "fd00:9::9", TCP, 1000, 80)
    assert decision.reverse.key == key(30, "fd00:9::9", "fd00::3", TCP, 80, 1000)
    assert decision.forward.action == FORWARD


def test_icmp_keeps_its_identifier_in_place(rig: Rig) -> None:
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", ICMP, 7, 0))
    assert decision.reverse.key == key(30, "10.1.0.9", "10.1.0.3", ICMP, 7, 0)


def test_the_longest_prefix_of_its_vrf_counts(rig: Rig) -> None:
    rig.route(BLUE, "10.1.0.0/16", 23)
    rig.route(RED, "10.1.0.0/24", 22)
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.77"))
    assert decision.reverse.source_nexthop == 23


def test_a_route_into_another_vrf_goes_on_there(rig: Rig) -> None:
    rig.nexthop(500, 7, vrf=RED)
    rig.route(BLUE, "10.2.0.0/16", 500)
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.2.0.5"))
    assert decision.reverse.key == key(50, "10.2.0.5", "10.1.0.3", UDP, 2000, 1000)
    assert decision.flags & PAIR_LOCAL


def test_a_source_in_another_vrf_is_found_there(rig: Rig) -> None:
    rig.nexthop(500, 7, vrf=RED)
    rig.route(BLUE, "10.2.0.0/16", 500)
    rig.route(RED, "10.2.0.9/32", 22)
    decision = check(rig, rig.received(3, "10.2.0.9", "10.1.0.3"))
    assert decision.forward.source_nexthop == 22


def test_vrfs_that_lead_in_a_circle_end(rig: Rig) -> None:
    rig.nexthop(500, 7, vrf=RED)
    rig.nexthop(501, 7, vrf=BLUE)
    rig.route(BLUE, "10.9.0.0/16", 500)
    rig.route(RED, "10.9.0.0/16", 501)
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.9.0.5"))
    assert not decision.flags & PAIR_LOCAL


# Short flows


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ip4_active": False}, 1),
        ({"routed": False, "bridged": False}, 2),
    ],
)
def test_ports_that_cannot(rig: Rig, change: dict[str, bool], reason: int) -> None:
    rig.change_port(3, **change)
    assert short(rig, rig.sent(3, "10.1.0.3", "10.1.0.9")) == reason


def test_unknown_ports_and_vrfs(rig: Rig) -> None:
    sent = rig.sent(3, "10.1.0.3", "10.1.0.9")
    assert short(rig, sent._replace(vif=99)) == 1
    assert short(rig, sent._replace(vrf=77)) == 3
    assert short(rig, rig.received(3, "10.1.0.9", "10.1.0.3", label=999)) == 4


def test_no_route(rig: Rig) -> None:
    assert short(rig, rig.sent(3, "10.8.0.3", "10.1.0.9")) == 4
    assert short(rig, rig.sent(3, "10.1.0.3", "10.8.0.9")) == 5


def test_nobody_gets_packets_past_a_port_that_is_not_known_yet(rig: Rig) -> None:
    rig.drop_port(4)
    assert short(rig, rig.sent(3, "10.1.0.3", "10.1.0.4")) == 1
    assert rig.decide(rig.sent(3, "10.1.0.3", "10.1.0.4")).reads[1] == 4


def test_a_flow_to_itself_has_no_reverse(rig: Rig) -> None:
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.3", UDP, 5, 5))
    assert decision.forward.reason == 17
    assert decision.reverse.key == bytes(44)


# RPF


def test_rpf_can_be_off(rig: Rig) -> None:
    rig.change_port(3, rpf=False)
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.4"))
    assert (decision.forward.source_nexthop, decision.reverse.source_nexthop) == (0, 40)
    decision = check(rig, rig.received(3, "10.1.0.9", "10.1.0.3"))
    assert (decision.forward.source_nexthop, decision.reverse.source_nexthop) == (0, 0)


def test_a_source_of_another_port_is_told_as_such(rig: Rig) -> None:
    decision = check(rig, rig.sent(3, "10.1.0.4", "10.1.0.9"))
    assert decision.forward.source_nexthop == 40


# ECMP


def test_ecmp_over_tunnels(rig: Rig) -> None:
    rig.ecmp(60, 22, 23)
    rig.route(BLUE, "10.7.0.0/16", 60)
    seen = set()
    for sport in range(64):
        decision = check(rig, rig.sent(3, "10.1.0.3", "10.7.0.1", UDP, sport, 2000))
        assert decision.flags & PAIR_ECMP
        assert decision.reverse.source_nexthop == 60
        assert decision.reverse.ecmp == -1
        seen.add(decision.forward.ecmp)
    assert seen == {0, 1}


def test_ecmp_by_address_only(rig: Rig) -> None:
    rig.ecmp(60, 22, 23, 22, 23, hash_fields=2 | 8)
    rig.route(BLUE, "10.7.0.0/16", 60)
    chosen = {
        check(rig, rig.sent(3, "10.1.0.3", "10.7.0.1", UDP, sport, 2000)).forward.ecmp
        for sport in range(32)
    }
    assert len(chosen) == 1


def test_a_choice_is_kept_while_it_holds(rig: Rig) -> None:
    rig.ecmp(60, 22, 23)
    rig.route(BLUE, "10.7.0.0/16", 60)
    packet = rig.sent(3, "10.1.0.3", "10.7.0.1")
    first = check(rig, packet)
    rig.ecmp(60, 22, 23, 22, 23, 22, 23, 22)
    assert check(rig, packet, first).forward.ecmp == first.forward.ecmp
    holes = [22, 23]
    holes[first.forward.ecmp] = -1
    rig.ecmp(60, *holes)
    assert check(rig, packet, first).forward.ecmp == 1 - first.forward.ecmp


def test_a_flow_that_becomes_ecmp_stays_with_the_first_member(rig: Rig) -> None:
    rig.route(BLUE, "10.7.0.0/16", 22)
    packet = rig.sent(3, "10.1.0.3", "10.7.0.1")
    first = check(rig, packet)
    rig.ecmp(60, 22, 23)
    rig.route(BLUE, "10.7.0.0/16", 60)
    assert check(rig, packet, first).forward.ecmp == 0


def test_ecmp_without_any_member_goes_nowhere(rig: Rig) -> None:
    rig.ecmp(60, -1, 999)
    rig.route(BLUE, "10.7.0.0/16", 60)
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.7.0.1"))
    assert decision.forward.ecmp == -1


def test_ecmp_to_ports_of_the_host(rig: Rig) -> None:
    rig.vm(6, BLUE, "10.1.0.6", "blue")
    rig.ecmp(62, 40, 60, 22)
    rig.route(BLUE, "10.1.0.100/32", 62)
    keys = {0: 40, 1: 60, 2: 30}
    for sport in range(32):
        decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.100", UDP, sport, 1))
        expected = keys[decision.forward.ecmp]
        assert int.from_bytes(decision.reverse.key[8:12], "little") == expected


def test_the_reverse_flow_goes_to_the_member_that_the_packet_came_from(rig: Rig) -> None:
    rig.ecmp(61, 30, 40)
    rig.route(BLUE, "10.1.0.100/32", 61)
    decision = check(rig, rig.sent(4, "10.1.0.100", "10.1.0.9"))
    assert decision.reverse.ecmp == 1
    assert decision.forward.source_nexthop == 40
    assert int.from_bytes(decision.reverse.key[8:12], "little") == 61


def test_of_a_mixed_choice_the_label_of_the_local_part_names_the_answers(rig: Rig) -> None:
    rig.ecmp(61, 30, 40)
    rig.ecmp(62, 22, 40, 30)
    rig.route(BLUE, "10.1.0.100/32", 62)
    decision = check(rig, rig.sent(4, "10.1.0.100", "10.1.0.9"))
    assert decision.reverse.ecmp == 1
    assert int.from_bytes(decision.reverse.key[8:12], "little") == 61


def test_from_the_fabric_to_a_choice_of_ports(rig: Rig) -> None:
    rig.ecmp(61, 22, 30, 40)
    rig.label(500, 61)
    rig.route(BLUE, "10.1.0.100/32", 61)
    seen = set()
    for sport in range(32):
        packet = rig.received(3, "10.1.0.9", "10.1.0.100", UDP, sport, 1, label=500)
        decision = check(rig, packet._replace(key_nexthop=61))
        assert int.from_bytes(decision.forward.key[8:12], "little") == 61
        seen.add((decision.forward.ecmp, int.from_bytes(decision.reverse.key[8:12], "little")))
    assert seen == {(1, 30), (2, 40)}


def test_from_the_fabric_by_a_member_of_a_choice(rig: Rig) -> None:
    rig.ecmp(61, 22, 23)
    rig.route(BLUE, "10.7.0.0/16", 61)
    packet = rig.received(3, "10.7.0.9", "10.1.0.3", tunnel_source="10.0.0.3")
    decision = check(rig, packet)
    assert decision.reverse.ecmp == 1
    assert decision.forward.source_nexthop == 61


# By MAC address


def test_bridged_between_ports(rig: Rig) -> None:
    packet = rig.sent(3, "10.1.0.3", "10.1.0.4", destination_mac=mac(4))
    decision = check(rig, packet)
    assert decision.flags == PAIR_INGRESS | PAIR_LOCAL | PAIR_L2
    assert decision.reverse.key == key(40, "10.1.0.4", "10.1.0.3", UDP, 2000, 1000)
    assert (decision.forward.source_nexthop, decision.reverse.source_nexthop) == (30, 41)


def test_bridged_from_the_fabric(rig: Rig) -> None:
    rig.bridge(BLUE, mac(9), 22)
    by_label = rig.received(
        3, "10.1.0.9", "10.1.0.3", label=2003, is_l2=True, source_mac=mac(9), destination_mac=mac(3)
    )
    rig.nexthop(70, 7, family=7, vrf=BLUE)
    rig.vni(5000, 70)
    for packet in (by_label, by_label._replace(tunnel=3, label=5000)):
        decision = check(rig, packet)
        assert decision.flags == PAIR_L2
        assert decision.reads[1] == 3
        assert decision.forward.source_nexthop == 22


def test_vxlan_to_the_router_is_routed(rig: Rig) -> None:
    rig.nexthop(70, 7, family=7, vrf=BLUE)
    rig.vni(5000, 70)
    packet = rig.received(3, "10.1.0.9", "10.1.0.3", tunnel=3, label=5000, is_l2=True)
    decision = check(rig, packet._replace(destination_mac=ROUTER_MAC))
    assert decision.flags == 0
    assert decision.reads[1] == 3


def test_bridged_to_an_unknown_mac_address(rig: Rig) -> None:
    packet = rig.sent(3, "10.1.0.3", "10.1.0.44", destination_mac=mac(44))
    assert short(rig, packet) == 5
    rig.change_port(3, flood=True)
    decision = check(rig, packet)
    assert decision.forward.action == FORWARD
    assert decision.reverse.source_nexthop == 0


def test_from_an_unknown_mac_address_of_a_flooding_network(rig: Rig) -> None:
    packet = rig.received(
        3, "10.1.0.9", "10.1.0.3", tunnel=3, label=5000, is_l2=True, source_mac=mac(77),
        destination_mac=mac(3),
    )  # fmt: skip
    rig.nexthop(70, 7, family=7, vrf=BLUE)
    rig.vni(5000, 70)
    assert short(rig, packet) == 4
    rig.nexthop(70, 7, family=7, vrf=BLUE, flags=0x10001)
    assert check(rig, packet).forward.action == FORWARD


def test_bridged_with_a_source_address_of_nobody(rig: Rig) -> None:
    packet = rig.sent(3, "10.8.0.3", "10.1.0.4", destination_mac=mac(4))
    assert short(rig, packet) == 19
    rig.change_port(3, rpf=False)
    assert check(rig, packet).forward.action == FORWARD


def test_neighbours_talk_by_their_link_local_addresses(rig: Rig) -> None:
    packet = rig.sent(3, "fe80::3", "fe80::4", destination_mac=mac(4))
    decision = check(rig, packet)
    assert decision.forward.action == FORWARD
    assert decision.forward.source_nexthop == 31


def test_multicast(rig: Rig) -> None:
    rig.nexthop(80, 6, family=7, flags=0x21)
    rig.bridge(BLUE, b"\xff" * 6, 80)
    packet = rig.sent(3, "10.1.0.3", "224.0.0.9", destination_mac=bytes.fromhex("01005e000009"))
    decision = check(rig, packet)
    assert decision.flags & PAIR_MULTICAST
    assert decision.forward.policy_rule == 5
    assert int.from_bytes(decision.reverse.key[8:12], "little") == 80


def test_a_group_mac_address_opens_no_way_to_one_host(rig: Rig) -> None:
    rig.nexthop(80, 6, family=7, flags=0x21)
    rig.bridge(BLUE, b"\xff" * 6, 80)
    rig.lists(
        1,
    )
    rig.change_port(3, egress_lists=(1,), grouped=True)
    packet = rig.sent(3, "10.1.0.3", "10.1.0.4", destination_mac=b"\xff" * 6)
    assert check(rig, packet).forward.reason == 24


# The host


def test_to_the_gateway(rig: Rig) -> None:
    rig.route(BLUE, "10.1.0.1/32", 6)
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.1", UDP, 1000, 53))
    assert decision.reverse.key == key(30, "10.1.0.1", "10.1.0.3", UDP, 53, 1000)
    assert decision.forward.action == FORWARD
    assert decision.reverse.source_nexthop == 0


def test_from_the_fabric_to_the_host(rig: Rig) -> None:
    packet = Packet(0, 0, 5, TCP, packed("10.0.0.9"), packed("10.0.0.1"), 1000, 22)
    decision = check(rig, packet)
    assert decision.forward.action == FORWARD
    assert decision.reads[1] == 1


def test_a_simple_gateway_is_like_the_host(rig: Rig) -> None:
    rig.port(8, kind=PortKind.HOST, vrf=GREEN, key_nexthop=88)
    rig.nexthop(88, 2, vif=8)
    rig.route(BLUE, "0.0.0.0/0", 88)
    decision = check(rig, rig.sent(3, "10.1.0.3", "8.8.8.8"))
    assert int.from_bytes(decision.reverse.key[8:12], "little") == 88


# Fat flows


def test_a_fat_flow_forgets_the_port_of_clients(rig: Rig) -> None:
    rig.change_port(3, fat_flows=(FatFlow(UDP, 53),))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", UDP, 1000, 53))
    assert decision.flags & PAIR_FAT
    assert decision.forward.key == key(30, "10.1.0.3", "10.1.0.9", UDP, 0, 53)
    assert decision.reverse.key == key(30, "10.1.0.9", "10.1.0.3", UDP, 53, 0)
    decision = check(rig, rig.received(3, "10.1.0.9", "10.1.0.3", UDP, 53, 1000))
    assert decision.forward.key == key(30, "10.1.0.9", "10.1.0.3", UDP, 53, 0)
    assert not check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", TCP, 1000, 53)).flags & PAIR_FAT


@pytest.mark.parametrize(("sport", "dport", "kept"), [(53, 80, (53, 0)), (80, 53, (0, 53))])
def test_of_two_fat_ports_the_lower_is_kept(
    rig: Rig, sport: int, dport: int, kept: tuple[int, int]
) -> None:
    rig.change_port(3, fat_flows=(FatFlow(UDP, 80), FatFlow(UDP, 53)))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", UDP, sport, dport))
    assert decision.forward.key == key(30, "10.1.0.3", "10.1.0.9", UDP, *kept)


def test_equal_fat_ports_keep_their_place(rig: Rig) -> None:
    rig.change_port(3, fat_flows=(FatFlow(UDP, 53),))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", UDP, 53, 53))
    assert decision.forward.key == key(30, "10.1.0.3", "10.1.0.9", UDP, 0, 53)
    assert decision.reverse.key == key(30, "10.1.0.9", "10.1.0.3", UDP, 0, 53)


def test_fat_for_all_ports(rig: Rig) -> None:
    rig.change_port(3, fat_flows=(FatFlow(ICMP, 0), FatFlow(UDP, 0)))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9", UDP, 1, 2))
    assert decision.forward.key == key(30, "10.1.0.3", "10.1.0.9", UDP, 0, 0)


def test_fat_flows_ignore_or_aggregate_addresses(rig: Rig) -> None:
    rig.route(BLUE, "10.7.0.0/16", 22)
    rig.change_port(3, fat_flows=(FatFlow(UDP, 53, 2),))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.7.1.9", UDP, 1, 53))
    assert decision.forward.key == key(30, "10.1.0.3", "0.0.0.0", UDP, 0, 53)
    decision = check(rig, rig.received(3, "10.7.1.9", "10.1.0.3", UDP, 53, 1))
    assert decision.forward.key == key(30, "0.0.0.0", "10.1.0.3", UDP, 53, 0)
    prefix = (packed("10.7.0.0"), 16, 24)
    rig.change_port(3, fat_flows=(FatFlow(UDP, 0, 0, None, prefix),))
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.7.1.9", UDP, 1, 53))
    assert decision.forward.key == key(30, "10.1.0.3", "10.7.1.0", UDP, 0, 0)
    assert not check(rig, rig.sent(3, "10.1.0.3", "10.1.0.9")).flags & PAIR_FAT


def test_no_flag_without_cause(rig: Rig) -> None:
    decision = check(rig, rig.sent(3, "10.1.0.3", "10.1.0.4"))
    assert not (decision.forward.flags | decision.reverse.flags) & VRFT
