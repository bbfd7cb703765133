"""Which packets have flows, what the first one makes, and what the agent is told."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from tests.unit.forwarder.dataplane_rig import BROADCAST
from tests.unit.forwarder.flow_rig import (
    ACTIVE,
    AGENT,
    ANSWER,
    DROP,
    FABRIC,
    FLOW_HOLD,
    FLOW_MISS,
    FORWARD,
    GUEST1_NH,
    GUEST2_NH,
    HOLD,
    KEY,
    LOCAL,
    MAC1,
    MAC2,
    PACKET,
    ROUTER_MAC,
    TAP1,
    TAP2,
    TCP_PROTO,
    UDP_PROTO,
    VHOST,
    FlowRig,
    Key,
    from_fabric,
    guest_frame,
    others,
    traps,
    udp,
)


@pytest.fixture
def rig() -> FlowRig:
    return FlowRig().build()


# --- the first packet


def test_first_packet_makes_a_hold_entry_and_is_trapped(rig: FlowRig) -> None:
    frame = guest_frame(PACKET)
    sent = rig.send(TAP1, frame)
    (trap,) = traps(sent)
    assert others(sent) == []
    entry = rig.found(KEY)
    assert (trap.vif, trap.vrf, trap.reason, trap.frame) == (TAP1, 1, FLOW_MISS, frame)
    assert trap.params == (entry.index, GUEST1_NH, 0, 0, 0)
    assert (trap.gen_id, entry.gen_id) == (1, 1)
    assert (entry.action, entry.flags, entry.vrf) == (HOLD, ACTIVE, 1)
    assert (entry.packets, entry.bytes) == (1, len(frame))
    assert rig.dp.flow_table_stats().hold_entries == 1


def test_decision_lets_held_packets_go_in_order(rig: FlowRig) -> None:
    frames = [guest_frame(udp("15.0.0.3", "15.0.0.4", size=size)) for size in (1, 2, 3)]
    rig.route("15.0.0.4/32", GUEST2_NH)
    sent = [row for frame in frames for row in rig.send(TAP1, frame)]
    assert [trap.reason for trap in traps(sent)] == [FLOW_MISS]
    index = rig.found(LOCAL).index
    rig.change(LOCAL, index)
    released = rig.dp.captured()
    assert [(vif, len(frame)) for vif, frame, _ in released] == [
        (TAP2, len(frame)) for frame in frames
    ]
    entry = rig.found(LOCAL)
    assert (entry.action, entry.packets) == (FORWARD, 3)
    stats = rig.dp.flow_table_stats()
    assert (stats.created, stats.processed, stats.hold_entries) == (1, 1, 0)


def test_three_packets_wait_and_no_more(rig: FlowRig) -> None:
    sent = [row for _ in range(5) for row in rig.send(TAP1, guest_frame(PACKET))]
    assert len(sent) == 1
    assert rig.drops() == {"flow_queue_limit_exceeded": 2}
    rig.change(KEY, rig.found(KEY).index)
    assert [vif for vif, _, _ in rig.dp.captured()] == [FABRIC] * 3
    assert rig.found(KEY).packets == 5


def test_held_packets_of_a_drop_decision_are_dropped(rig: FlowRig) -> None:
    for _ in range(2):
        rig.send(TAP1, guest_frame(PACKET))
    rig.change(KEY, rig.found(KEY).index, action=DROP, drop_reason=21)
    assert rig.dp.captured() == []
    assert rig.drops() == {"flow_action_drop": 2}


def test_held_packets_go_with_their_entry(rig: FlowRig) -> None:
    rig.send(TAP1, guest_frame(PACKET))
    index = rig.found(KEY).index
    assert rig.set(KEY, index=index, flags=0).code == 0
    assert rig.dp.captured() == []
    assert sum(rig.drops().values()) == 1
    assert rig.dp.flow_table_stats().hold_entries == 0


def test_held_packet_whose_vif_went_away_is_dropped(rig: FlowRig) -> None:
    rig.send(TAP1, guest_frame(PACKET))
    rig.dp.vif_delete(TAP1)
    rig.change(KEY, rig.found(KEY).index)
    assert rig.dp.captured() == []
    assert sum(rig.drops().values()) == 1


def test_packets_of_a_known_flow_are_forwarded_and_counted(rig: FlowRig) -> None:
    index = rig.add(KEY)
    frame = guest_frame(PACKET)
    for _ in range(2):
        assert [vif for vif, _ in rig.send(TAP1, frame)] == [FABRIC]
    entry = rig.entry(index)
    assert (entry.packets, entry.bytes, entry.src_info) == (2, 2 * len(frame), TAP1)


def test_dropped_flow_counts_its_packets(rig: FlowRig) -> None:
    index = rig.add(KEY, action=DROP)
    assert rig.send(TAP1, guest_frame(PACKET)) == []
    assert rig.entry(index).packets == 1
    assert rig.drops() == {"flow_action_drop": 1}


def test_unknown_action_drops(rig: FlowRig) -> None:
    rig.add(KEY, action=7)
    assert rig.send(TAP1, guest_frame(PACKET)) == []
    assert rig.drops() == {"flow_action_invalid": 1}


def test_entry_set_back_to_hold_is_told_again(rig: FlowRig) -> None:
    index = rig.add(KEY)
    rig.change(KEY, index, action=HOLD)
    sent = [row for _ in range(2) for row in rig.send(TAP1, guest_frame(PACKET))]
    (trap,) = traps(sent)
    assert (trap.reason, trap.index, trap.gen_id) == (FLOW_HOLD, index, 1)
    rig.change(KEY, index)
    assert [vif for vif, _, _ in rig.dp.captured()] == [FABRIC] * 2
    assert rig.dp.flow_table_stats().hold_entries == 0


def test_counters_carry_into_their_overflow_fields(rig: FlowRig) -> None:
    index = rig.add(KEY)
    start = index * 256
    rig.table[start + 104 : start + 112] = b"\xff" * 8
    frame = guest_frame(PACKET)
    rig.send(TAP1, frame)
    entry = rig.entry(index)
    assert entry.packets == 1 << 32
    assert entry.bytes == (1 << 32) - 1 + len(frame)


# --- limits


def test_hold_limit(rig: FlowRig) -> None:
    rig = FlowRig(hold_limit=2).build()
    for port in range(5):
        rig.send(TAP1, guest_frame(udp("15.0.0.3", "15.0.0.9", sport=port)))
    assert rig.dp.flow_table_stats().hold_entries == 2
    assert rig.drops() == {"flow_unusable": 3}
    first = rig.entries()[0]
    key = Key(GUEST1_NH, "15.0.0.3", "15.0.0.9", UDP_PROTO, *ports_of(first.key))
    rig.change(key, first.index)
    rig.dp.captured()
    assert traps(rig.send(TAP1, guest_frame(udp("15.0.0.3", "15.0.0.9", sport=77))))


def ports_of(key: bytes) -> tuple[int, int]:
    return int.from_bytes(key[4:6], "big"), int.from_bytes(key[6:8], "big")


def test_vif_that_takes_no_new_flows(rig: FlowRig) -> None:
    rig.add(KEY)
    rig.policy(TAP1, GUEST1_NH, 0x40000)
    assert rig.send(TAP1, guest_frame(udp("15.0.0.3", "15.0.0.9", 7, 7))) == []
    assert rig.drops() == {"new_flows": 1}
    assert len(rig.send(TAP1, guest_frame(PACKET))) == 1, "a known flow goes on"
    assert rig.send(FABRIC, from_fabric(udp("15.0.0.9", "15.0.0.3", 7, 7))) == []
    assert rig.drops() == {"new_flows": 2}


def test_full_table() -> None:
    rig = FlowRig(hold_limit=1 << 20).build()
    dropped = 0
    for port in range(2500):
        rig.send(TAP1, guest_frame(udp("15.0.0.3", "15.0.0.9", sport=port, size=0)))
    dropped = rig.drops()["flow_table_full"]
    assert dropped == 2500 - rig.dp.flow_table_stats().hold_entries > 0


def test_no_agent_no_entry() -> None:
    rig = FlowRig().build()
    rig.dp.vif_delete(AGENT)
    assert rig.send(TAP1, guest_frame(PACKET)) == []
    assert rig.drops() == {"trap_no_if": 1}
    assert rig.entries() == []


# --- keys


def icmp_key(proto: int, sport: int, dport: int, *, v6: bool = False) -> Key:
    ends = ("fd00::3", "fd00::9") if v6 else ("15.0.0.3", "15.0.0.9")
    return Key(GUEST1_NH, *ends, proto, sport, dport)


V4, V6 = {"src": "15.0.0.3", "dst": "15.0.0.9"}, {"src": "fd00::3", "dst": "fd00::9"}


@pytest.mark.parametrize(
    ("packet", "key"),
    [
        (IP(**V4) / TCP(sport=5, dport=80), icmp_key(6, 5, 80)),
        (IP(**V4) / Raw(b"\0\x05\0\x50" + bytes(8)), icmp_key(0, 0, 0)),
        (IP(**V4, proto=132) / Raw(b"\0\x05\0\x50" + bytes(8)), icmp_key(132, 5, 80)),
        (IP(**V4) / GRE() / Raw(bytes(20)), icmp_key(47, 0, 0)),
        (IP(**V4) / ICMP(type=8, id=0x1234), icmp_key(1, 0x1234, 0)),
        (IP(**V4) / ICMP(type=0, id=0x1234), icmp_key(1, 0x1234, 0)),
        (IP(**V4) / ICMP(type=13), icmp_key(1, 0, 13 << 8)),
        (IPv6(**V6) / UDP(sport=5, dport=80), icmp_key(17, 5, 80, v6=True)),
        (IPv6(**V6) / ICMPv6EchoRequest(id=0x1234), icmp_key(58, 0x1234, 129, v6=True)),
        (IPv6(**V6) / ICMPv6EchoReply(id=0x1234), icmp_key(58, 0x1234, 129, v6=True)),
        (IPv6(**V6, nh=58) / Raw(b"\x90" + bytes(7)), icmp_key(58, 0, 0x90 << 8, v6=True)),
        (
            IPv6(**V6) / IPv6ExtHdrFragment(nh=17, m=0) / UDP(sport=5, dport=80),
            icmp_key(17, 5, 80, v6=True),
        ),
        (
            IPv6(**V6) / IPv6ExtHdrHopByHop() / UDP(sport=5, dport=80),
            icmp_key(0, 0, 0, v6=True),
        ),
    ],
)
def test_key_of_a_packet(rig: FlowRig, packet: Any, key: Key) -> None:
    (trap,) = traps(rig.send(TAP1, guest_frame(packet)))
    (entry,) = rig.entries()
    assert entry.key == key.raw()
    assert trap.index == entry.index


QUOTED4 = bytes(IP(src="15.0.0.9", dst="15.0.0.3") / UDP(sport=2222, dport=1111))
QUOTED6 = bytes(IPv6(src="fd00::9", dst="fd00::3") / UDP(sport=2222, dport=1111))
ECHO4 = bytes(IP(src="15.0.0.9", dst="15.0.0.3") / ICMP(type=8, id=0x77))
ERROR4 = bytes(IP(src="15.0.0.9", dst="15.0.0.3") / ICMP(type=3) / Raw(QUOTED4))


def error4(quoted: bytes, kind: int = 3) -> Any:
    return IP(src="15.0.0.77", dst="15.0.0.9", proto=1) / Raw(bytes([kind, 1]) + bytes(6) + quoted)


def error6(quoted: bytes, kind: int = 1) -> Any:
    return IPv6(src="fd00::77", dst="fd00::9", nh=58) / Raw(bytes([kind, 1]) + bytes(6) + quoted)


@pytest.mark.parametrize(
    ("packet", "key"),
    [
        (error4(QUOTED4), icmp_key(17, 1111, 2222)),
        (error4(QUOTED4, 11), icmp_key(17, 1111, 2222)),
        (error4(QUOTED4[:28]), icmp_key(17, 1111, 2222)),
        (error4(ECHO4), icmp_key(1, 0x77, 0)),
        (error6(QUOTED6), icmp_key(17, 1111, 2222, v6=True)),
        (error6(QUOTED6, 2), icmp_key(17, 1111, 2222, v6=True)),
    ],
)
def test_icmp_error_belongs_to_the_flow_that_it_quotes(rig: FlowRig, packet: Any, key: Key) -> None:
    index = rig.add(key)
    assert len(rig.send(TAP1, guest_frame(packet))) == 1
    assert rig.entry(index).packets == 1
    assert rig.drops() == {}


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (error4(ERROR4), "icmp_error"),
        (error4(QUOTED4[:27]), "icmp_error"),
        (error4(QUOTED4[:19]), "icmp_error"),
        (error4(b""), "icmp_error"),
        (error4(b"\x65" + QUOTED4[1:]), "icmp_error"),
        (error4(b"\x44" + QUOTED4[1:]), "icmp_error"),
        (error6(QUOTED6[:47]), "icmp_error"),
        (error6(QUOTED4), "icmp_error"),
        (IP(**V4, proto=58) / Raw(bytes(8)), "flow_invalid_protocol"),
        (IPv6(**V6, nh=1) / Raw(bytes(8)), "flow_invalid_protocol"),
        (IPv6(**V6, nh=44) / Raw(bytes(7)), "pull"),
        (IP(**V4, proto=6) / Raw(bytes(19)), "pull"),
        (IP(**V4, proto=17) / Raw(bytes(7)), "pull"),
        (IP(**V4, proto=1) / Raw(b"\x08" + bytes(6)), "pull"),
        (IP(**V4, proto=132) / Raw(bytes(11)), "pull"),
        (IP(**V4, len=400) / UDP(), "pull"),
        (IP(**V4, ihl=4) / UDP(), "invalid_packet"),
    ],
)
def test_packet_without_a_key_is_dropped(rig: FlowRig, packet: Any, reason: str) -> None:
    assert rig.send(TAP1, guest_frame(packet)) == []
    assert rig.drops() == {reason: 1}
    assert rig.entries() == []


def test_key_nexthop_of_a_service_vif_is_its_tags(rig: FlowRig) -> None:
    rig.policy(TAP1, GUEST1_NH, 0x4)
    assert rig.dp.vif_vrf_assign(TAP1, 20, 1, 77) == 0
    tagged = bytes(Ether(src=MAC1.hex(":"), dst=ROUTER_MAC.hex(":")) / Dot1Q(vlan=20) / PACKET)
    (trap,) = traps(rig.send(TAP1, tagged))
    assert trap.params[1] == 77


# --- which packets


def test_packet_from_the_fabric_is_keyed_by_its_guest(rig: FlowRig) -> None:
    frame = from_fabric(ANSWER)
    (trap,) = traps(rig.send(FABRIC, frame))
    key = KEY.reverse(GUEST1_NH)
    assert (trap.vif, trap.vrf, trap.frame) == (FABRIC, 1, frame)
    assert trap.params[:2] == (rig.found(key).index, GUEST1_NH)
    rig.change(key, rig.found(key).index)
    ((vif, delivered, _),) = rig.dp.captured()
    assert (vif, delivered[14:]) == (TAP1, bytes(ANSWER))


def test_pair_of_two_guests_is_looked_up_once_a_packet(rig: FlowRig) -> None:
    index, other = rig.pair(LOCAL, LOCAL.reverse(GUEST2_NH))
    assert [vif for vif, _ in rig.send(TAP1, guest_frame(udp("15.0.0.3", "15.0.0.4")))] == [TAP2]
    back = guest_frame(udp("15.0.0.4", "15.0.0.3", 2222, 1111), src=MAC2)
    assert [vif for vif, _ in rig.send(TAP2, back)] == [TAP1]
    assert (rig.entry(index).packets, rig.entry(other).packets) == (1, 1)
    assert len(rig.entries()) == 2


def test_bridged_packet_is_bridged_on_after_its_flow(rig: FlowRig) -> None:
    frame = guest_frame(udp("15.0.0.3", "15.0.0.4"), dst=MAC2)
    assert len(traps(rig.send(TAP1, frame))) == 1
    rig.change(LOCAL, rig.found(LOCAL).index)
    assert [(vif, data) for vif, data, _ in rig.dp.captured()] == [(TAP2, frame)]


@pytest.mark.parametrize(
    "frame",
    [
        guest_frame(PACKET, dst=BROADCAST),
        guest_frame(udp("15.0.0.3", "224.0.0.5")),
        guest_frame(udp("15.0.0.3", "255.255.255.255")),
        guest_frame(udp("fd00::3", "ff02::5")),
        guest_frame(ARP(psrc="15.0.0.3", pdst="15.0.0.4", hwsrc=MAC1.hex(":")), dst=BROADCAST),
        guest_frame(IPv6(src="fd00::3", dst="fd00::4", hlim=255) / ICMPv6ND_NS(tgt="fd00::4")),
        bytes(Ether(src=MAC1.hex(":"), dst=MAC2.hex(":")) / Dot1Q(vlan=3) / PACKET),
    ],
    ids=["broadcast", "group", "all-ones", "group6", "arp", "nd", "tagged"],
)
def test_frames_without_flows(rig: FlowRig, frame: bytes) -> None:
    rig.send(TAP1, frame)
    assert rig.entries() == []


def test_guest_without_policy_has_no_flows(rig: FlowRig) -> None:
    rig.dp.vif_set(TAP1, type=3, flags=0x1C0, vrf=1, nh_id=GUEST1_NH)
    assert [vif for vif, _ in rig.send(TAP1, guest_frame(PACKET))] == [FABRIC]
    assert rig.entries() == []


def test_guest_without_policy_meets_the_policy_of_its_peer(rig: FlowRig) -> None:
    rig.dp.vif_set(TAP1, type=3, flags=0x1C0, vrf=1, nh_id=GUEST1_NH)
    (trap,) = traps(rig.send(TAP1, guest_frame(udp("15.0.0.3", "15.0.0.4"))))
    assert rig.found(LOCAL).index == trap.index
    rig.change(LOCAL, trap.index)
    assert [vif for vif, _, _ in rig.dp.captured()] == [TAP2]


@pytest.mark.parametrize("flag", [0x100, 0x40000], ids=["relaxed-policy", "flow-lookup"])
@pytest.mark.parametrize("policy", [0, 2], ids=["alone", "with-policy"])
def test_relaxed_nexthop_forwards_without_a_flow(rig: FlowRig, flag: int, policy: int) -> None:
    """A flow that is there is followed all the same."""
    rig.encap(GUEST1_NH, TAP1, MAC1, flags=1 | policy | flag)
    assert [vif for vif, _ in rig.send(FABRIC, from_fabric(ANSWER))] == [TAP1]
    assert rig.entries() == []
    index = rig.add(KEY.reverse(GUEST1_NH), action=DROP)
    assert rig.send(FABRIC, from_fabric(ANSWER)) == []
    assert rig.entry(index).packets == 1


def test_own_tunnels_have_no_flows_but_what_they_carry_has(rig: FlowRig) -> None:
    assert rig.dp.vif_set(FABRIC, type=2, flags=0x41, vrf=0, nh_id=90) == 0
    assert rig.dp.nexthop_set(11, type=1, flags=3, vrf=0, encap_oif_id=[VHOST]) == 0
    rig.add(KEY.reverse(GUEST1_NH))
    assert [vif for vif, _ in rig.send(FABRIC, from_fabric(ANSWER))] == [TAP1]
    assert len(rig.entries()) == 1
    ssh = Ether(src="02:00:00:00:01:02", dst="02:00:00:00:01:01") / IP(
        src="10.0.0.2", dst="10.0.0.1"
    )
    frame = bytes(ssh / TCP(sport=9, dport=22))
    (trap,) = traps(rig.send(FABRIC, frame))
    key = Key(90, "10.0.0.2", "10.0.0.1", TCP_PROTO, 9, 22)
    assert (trap.index, trap.params[1]) == (rig.found(key).index, 90)
    rig.change(key, trap.index, vrf=0)
    assert [(vif, data) for vif, data, _ in rig.dp.captured()] == [(VHOST, frame)]


def test_agents_routed_frames_meet_flows_as_the_guests_do(rig: FlowRig) -> None:
    header = bytes(14) + TAP1.to_bytes(2) + (1).to_bytes(2) + (1).to_bytes(2) + bytes(24)
    (trap,) = traps(rig.send(AGENT, header + guest_frame(PACKET)))
    assert (trap.vif, trap.index) == (TAP1, rig.found(KEY).index)
    plain = bytes(14) + TAP1.to_bytes(2) + (1).to_bytes(2) + bytes(26)
    assert [vif for vif, _ in rig.send(AGENT, plain + guest_frame(PACKET))] == [TAP1]


def test_large_segment_is_cut_for_the_agent_but_held_whole(rig: FlowRig) -> None:
    segment = IP(src="15.0.0.3", dst="15.0.0.4") / TCP(sport=5, dport=80) / Raw(b"x" * 4000)
    frame = guest_frame(segment)
    vnet = bytes([1, 1]) + (54).to_bytes(2, "little") + (1000).to_bytes(2, "little")
    vnet += (34).to_bytes(2, "little") + (16).to_bytes(2, "little")
    ((_, trapped, _),) = rig.send_vnet(TAP1, frame, vnet)
    assert len(trapped) == 44 + 190
    key = Key(GUEST1_NH, "15.0.0.3", "15.0.0.4", TCP_PROTO, 5, 80)
    rig.change(key, rig.found(key).index)
    ((vif, delivered, header),) = rig.dp.captured()
    assert (vif, len(delivered), header[:2]) == (TAP2, len(frame), vnet[:2])
