"""Copies of broadcast and multicast, and flows over several nexthops."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from tests.unit.forwarder.dataplane_frames import (
    FRAME,
    REMOTE_MAC,
    checksum_is_right,
    ether,
    fabric_copy,
    mpls_udp,
    rig,
    routed,
    trapped,
    udp,
    underlay,
)
from tests.unit.forwarder.dataplane_rig import (
    BROADCAST,
    FABRIC,
    MAC1,
    ROUTER_MAC,
    TAP1,
    TAP2,
    Rig,
)

__all__ = ["rig"]  # the fixture

# --- replication


@pytest.fixture
def tree() -> Rig:
    """A tree with every part: guests, a fabric peer, an EVPN peer, a ToR."""
    rig = Rig().build()
    rig.tunnel(50, 0x40, "10.0.0.50")
    rig.tunnel(51, 0x40, "10.0.0.51")
    rig.tunnel(52, 0x80, "10.0.0.52")
    rig.composite(22, 0x0201, [50], [2000])
    rig.composite(23, 0x1001, [51], [61])
    rig.composite(24, 0x4001, [52], [100])
    rig.composite(20, 0x21, [21, 22, 23, 24])
    rig.dp.bridge_add(1, BROADCAST, nh=20, label=100, flags=2)
    rig.dp.label_set(60, 20)
    rig.dp.label_set(2001, 20)
    return rig


def destinations(sent: list[tuple[int, bytes]]) -> list[Any]:
    return [vif if vif != FABRIC else frame[33] for vif, frame in sent]


def test_guest_broadcast_reaches_all(tree: Rig) -> None:
    sent = tree.send(TAP1, FRAME)
    assert destinations(sent) == [TAP2, 50, 51, 52]
    fabric, evpn, tor = (frame for _, frame in sent[1:])
    assert fabric[42:46] == (2000 << 12 | 0x100 | 64).to_bytes(4, "big")
    assert fabric[46:50] == bytes(4)
    inner = IP(fabric[50:])
    assert (inner[UDP].dport, inner[VXLAN].vni, len(inner)) == (4789, 100, len(FRAME) + 36)
    assert checksum_is_right(fabric[50:70])
    assert fabric[86:] == FRAME
    assert evpn[42:46] == (61 << 12 | 0x100 | 64).to_bytes(4, "big")
    assert evpn[46:] == FRAME
    assert tor[42:50] == b"\x08\0\0\0" + (100 << 8).to_bytes(4, "big")
    assert tor[50:] == FRAME
    assert tree.drops() == {"cloned_original": 1}
    counters = tree.vrf_counters()
    assert {name: counters[name] for name in counters if "composites" in name} == {
        "l2_mcast_composites": 1,
        "encap_composites": 1,
        "fabric_composites": 1,
        "evpn_composites": 1,
    }


@pytest.mark.parametrize(
    ("frame", "out"),
    [
        (mpls_udp(60, FRAME, src="10.0.0.51"), [TAP1, TAP2, 52]),
        (fabric_copy(FRAME, 2001, "10.0.0.50"), [TAP1, TAP2, 52]),
        (fabric_copy(FRAME, 2001, "10.0.0.77"), [TAP1, TAP2, 50, 52]),
        (
            underlay(UDP(dport=4789, chksum=0) / VXLAN(vni=100) / Raw(FRAME), src="10.0.0.52"),
            [TAP1, TAP2, 50, 51],
        ),
        (
            underlay(UDP(dport=4789, chksum=0) / VXLAN(vni=100) / Raw(FRAME), src="10.0.0.51"),
            [TAP1, TAP2, 52],
        ),
        (
            underlay(UDP(dport=4789, chksum=0) / VXLAN(vni=100) / Raw(FRAME), src="10.0.0.78"),
            [TAP1, TAP2, 52],
        ),
    ],
    ids=["evpn", "fabric peer", "fabric elsewhere", "tor", "evpn by vxlan", "stranger"],
)
def test_broadcast_from_the_fabric(tree: Rig, frame: bytes, out: list[int]) -> None:
    sent = tree.send(FABRIC, frame)
    assert destinations(sent) == out
    assert sent[0][1] == FRAME


@pytest.mark.parametrize(
    "frame",
    [mpls_udp(60, FRAME, src="10.0.0.78"), fabric_copy(FRAME, 2001, "10.0.0.78")],
    ids=["evpn", "fabric"],
)
def test_strangers_are_refused_where_sources_are_validated(tree: Rig, frame: bytes) -> None:
    tree.composite(20, 0x8000021, [21, 22, 23, 24])
    assert tree.send(FABRIC, frame) == []
    assert tree.drops() == {"invalid_mcast_source": 1}


def test_macs_behind_tunnels_are_learnt_when_the_nexthop_asks(tree: Rig) -> None:
    stranger = bytes.fromhex("020000000099")
    tree.dp.nexthop_set(12, type=7, family=7, flags=1 | 0x100000, vrf=1)
    frame = ether(stranger, MAC1, udp("15.0.0.9", "15.0.0.3"))
    vxlan = underlay(UDP(dport=4789, chksum=0) / VXLAN(vni=100) / Raw(frame), src="10.0.0.52")
    sent = tree.send(FABRIC, vxlan)
    assert trapped(sent) == [17]
    assert sent[1:] == [(TAP1, frame)]
    tree.dp.bridge_add(1, stranger, nh=51, label=61, flags=2)
    assert trapped(tree.send(FABRIC, vxlan)) == [18]
    assert trapped(tree.send(FABRIC, vxlan)) == []


def test_tree_label_with_another_format(tree: Rig) -> None:
    assert tree.send(FABRIC, mpls_udp(2001, FRAME)) == []
    assert tree.drops() == {"invalid_packet": 1}


def test_many_guests_get_one_copy_each() -> None:
    rig = Rig().build()
    parts = []
    for number in range(200):
        rig.dp.vif_set(100 + number, type=3, flags=0x1C0, vrf=1)
        rig.encap(1000 + number, 100 + number, bytes((2, 0, 0, 0, 9, number)), family=7)
        parts.append(1000 + number)
    rig.composite(21, 0x2001, parts)
    sent = rig.send(TAP1, FRAME)
    assert sent == [(100 + number, FRAME) for number in range(200)]


# --- ECMP


def test_ecmp_spreads_flows_and_keeps_each(rig: Rig) -> None:
    for number in range(4):
        rig.tunnel(60 + number, 0x40, f"10.0.0.{60 + number}")
    rig.composite(70, 0x401, [60, 61, 62, 63], [30, 31, 32, 33], family=2)
    rig.route("15.0.1.0/24", 70, flags=1, label=9)
    counts: dict[tuple[int, int], int] = {}
    for port in range(1000, 1400):
        packet = IP(src="15.0.0.3", dst="15.0.1.1") / TCP(sport=port, dport=80)
        frame = ether(MAC1, ROUTER_MAC, packet)
        (first,), (second,) = rig.send(TAP1, frame), rig.send(TAP1, frame)
        assert first[1][30:34] == second[1][30:34]
        label = int.from_bytes(first[1][42:46], "big") >> 12
        counts[first[1][33], label] = counts.get((first[1][33], label), 0) + 1
    assert set(counts) == {(60 + number, 30 + number) for number in range(4)}
    assert min(counts.values()) > 50


def test_ecmp_hash_fields_are_chosen(rig: Rig) -> None:
    for number in range(4):
        rig.tunnel(60 + number, 0x40, f"10.0.0.{60 + number}")
    rig.composite(70, 0x401, [60, 61, 62, 63], [30, 31, 32, 33], family=2, ecmp_config_hash=2)
    rig.route("15.0.1.0/24", 70)
    chosen = set()
    for port in range(50):
        packet = IP(src="15.0.0.3", dst="15.0.1.1") / TCP(sport=port, dport=80)
        chosen.add(rig.send(TAP1, ether(MAC1, ROUTER_MAC, packet))[0][1][33])
    assert len(chosen) == 1


def test_ecmp_empty_slot_goes_to_the_others(rig: Rig) -> None:
    rig.composite(70, 0x401, [-1, 5, 999, -1], [-1, -1, -1, -1], family=2)
    rig.route("15.0.1.0/24", 70)
    for port in range(20):
        packet = IP(src="15.0.0.3", dst="15.0.1.1") / UDP(sport=port, dport=80)
        assert [vif for vif, _ in rig.send(TAP1, ether(MAC1, ROUTER_MAC, packet))] == [TAP2]
    assert rig.dp.nexthop_set(71, type=3, flags=0x40) == 0  # without its valid flag
    rig.composite(70, 0x401, [71, 5, 71], [30, -1, 31], family=2)
    for port in range(20):
        packet = IP(src="15.0.0.3", dst="15.0.1.1") / UDP(sport=port, dport=80)
        assert [vif for vif, _ in rig.send(TAP1, ether(MAC1, ROUTER_MAC, packet))] == [TAP2]
    rig.composite(70, 0x401, [-1], [-1], family=2)
    assert rig.send(TAP1, routed("15.0.1.1")) == []
    assert rig.drops() == {"discard": 1}


@pytest.mark.parametrize("label", [70, 2000])
def test_ecmp_of_frames_behind_a_label(rig: Rig, label: int) -> None:
    rig.composite(70, 0x401, [-1, 1], [-1, -1], family=7)
    rig.dp.label_set(label, 70)
    frame = ether(REMOTE_MAC, MAC1, udp("15.0.0.9", "15.0.0.3"))
    assert rig.send(FABRIC, mpls_udp(label, frame)) == [(TAP1, frame)]


def test_lu_ecmp_keeps_the_routes_label(rig: Rig) -> None:
    rig.composite(70, 0x801, [6], [30], family=2)
    rig.route("15.0.1.0/24", 70, flags=1, label=99)
    ((_, out),) = rig.send(TAP1, routed("15.0.1.1"))
    assert int.from_bytes(out[42:46], "big") >> 12 == 99
