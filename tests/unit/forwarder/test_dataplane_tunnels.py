"""Packets in tunnels: what is put around them, taken off and refused, and what does not fit."""

from __future__ import annotations

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import GRE, IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from tests.unit.forwarder.dataplane_frames import (
    REMOTE_MAC,
    TRAP,
    checksum_is_right,
    ether,
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
    MAC2,
    ROUTER_MAC,
    TAP1,
    TAP2,
    Rig,
)

__all__ = ["rig"]  # the fixture

# --- tunnels


@pytest.mark.parametrize(("nh", "kind"), [(6, "udp"), (7, "vxlan"), (8, "gre")])
def test_bridged_frame_comes_back_the_same(rig: Rig, nh: int, kind: str) -> None:
    """What one router encapsulates, another one decapsulates to the same frame."""
    label = 100 if kind == "vxlan" else 17
    rig.dp.bridge_add(1, REMOTE_MAC, nh=nh, label=label, flags=2)
    frame = ether(MAC2, REMOTE_MAC, udp("15.0.0.4", "15.0.0.5", size=77))
    ((vif, out),) = rig.send(TAP2, frame)
    assert vif == FABRIC
    outer = Ether(out)
    assert (outer[IP].ttl, outer[IP].src, outer[IP].dst) == (64, "10.0.0.1", "10.0.0.2")
    assert checksum_is_right(out[14:34])
    if kind != "gre":
        assert outer[UDP].dport == (4789 if kind == "vxlan" else 6635)
        assert outer[UDP].chksum == 0
        assert outer[UDP].len == len(out) - 34
        assert 49152 <= outer[UDP].sport <= 65535
    far = Rig().build()
    far.dp.bridge_add(1, REMOTE_MAC, nh=1)
    assert far.send(FABRIC, swap_outer(out)) == [(TAP1, frame)]


def swap_outer(frame: bytes) -> bytes:
    """The frame as the other host's fabric would bring it: addresses exchanged."""
    ip = frame[14:26] + frame[30:34] + frame[26:30] + frame[34:]
    return bytes.fromhex("020000000101020000000102") + frame[12:14] + ip


def test_control_word_is_added_and_taken(rig: Rig) -> None:
    rig.dp.bridge_add(1, REMOTE_MAC, nh=6, label=17, flags=2 | 0x10)
    frame = ether(MAC2, REMOTE_MAC, udp("15.0.0.4", "15.0.0.5"))
    ((_, out),) = rig.send(TAP2, frame)
    assert out[42:50] == (17 << 12 | 0x100 | 64).to_bytes(4, "big") + bytes(4)
    assert rig.send(FABRIC, swap_outer(out)) == [(TAP1, frame)]


def test_gre_copies_the_id_of_an_ip_payload(rig: Rig) -> None:
    rig.route("15.0.0.5/32", 8, flags=1, label=41)
    ((_, out),) = rig.send(TAP1, routed("15.0.0.5", id=0x1234))
    assert (out[18:20], out[23], out[34:38]) == (b"\x124", 47, b"\0\0\x88G")
    assert out[38:42] == (41 << 12 | 0x100 | 63).to_bytes(4, "big")


def test_gre_with_options_is_understood(rig: Rig) -> None:
    inner = bytes(udp("15.0.0.9", "15.0.0.3"))
    shim = MPLS(label=16, s=1, ttl=9) / Raw(inner)
    frame = underlay(GRE(proto=0x8847, key_present=1, key=5, seqnum_present=1) / shim)
    ((vif, out),) = rig.send(FABRIC, frame)
    assert (vif, out[14:]) == (TAP1, inner)


def test_tunnel_back_to_the_sender_is_a_loop(rig: Rig) -> None:
    rig.dp.nexthop_set(42, type=7, family=2, flags=1, vrf=1)
    rig.dp.label_set(50, 42)
    rig.route("15.0.0.5/32", 6, flags=1, label=41)
    assert rig.send(FABRIC, mpls_udp(50, bytes(udp("15.0.0.9", "15.0.0.5")))) == []
    assert rig.drops() == {"pkt_loop": 1}


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (mpls_udp(4000, bytes(udp("1.1.1.1", "15.0.0.3"))), "invalid_label"),
        (mpls_udp(900_000, bytes(udp("1.1.1.1", "15.0.0.3"))), "invalid_label"),
        (underlay(UDP(dport=6635, chksum=0) / MPLS(label=16, s=0, ttl=9)), "invalid_label"),
        (underlay(UDP(dport=6635, chksum=0) / Raw(b"\0\1")), "pull"),
        (underlay(UDP(dport=4789, chksum=0) / VXLAN(vni=99, flags=8)), "invalid_vnid"),
        (underlay(UDP(dport=4789, chksum=0) / VXLAN(vni=100, flags=0)), "invalid_vnid"),
        (underlay(UDP(dport=4789, chksum=0) / Raw(b"\x08")), "pull"),
        (underlay(UDP(dport=4789, chksum=0, len=200) / VXLAN(vni=100)), "invalid_packet"),
        (underlay(UDP(dport=6635, chksum=0x1234) / Raw(b"x" * 20)), "cksum_err"),
        (underlay(UDP(dport=6635, chksum=0) / Raw(b"x" * 20), flags="MF"), "fragments"),
        (mpls_udp(16, b""), "pull"),
        (mpls_udp(16, b"\x45\0\0"), "pull"),
        (mpls_udp(17, b"\x45\0\0"), "pull"),
    ],
)
def test_bad_tunnel_packets(rig: Rig, frame: bytes, reason: str) -> None:
    assert rig.send(FABRIC, frame) == []
    assert rig.drops() == {reason: 1}


def test_tunnel_packet_with_a_right_udp_checksum(rig: Rig) -> None:
    shim = MPLS(label=16, s=1, ttl=64) / Raw(bytes(udp("15.0.0.9", "15.0.0.3")))
    assert [vif for vif, _ in rig.send(FABRIC, underlay(UDP(sport=50000, dport=6635) / shim))] == [
        TAP1
    ]


def test_what_follows_the_outer_udp_is_not_part_of_the_frame(rig: Rig) -> None:
    frame = ether(REMOTE_MAC, MAC1, udp("15.0.0.9", "15.0.0.3"))
    vxlan = UDP(sport=5, dport=4789, chksum=0, len=16 + len(frame)) / VXLAN(vni=100) / Raw(frame)
    assert rig.send(FABRIC, underlay(Raw(bytes(vxlan) + b"behind"), proto=17)) == [(TAP1, frame)]


def test_router_alert_is_trapped_whole(rig: Rig) -> None:
    frame = underlay(UDP(dport=4789, chksum=0) / VXLAN(vni=100, flags=9) / Raw(b"x" * 60))
    sent = rig.send(FABRIC, frame)
    assert trapped(sent) == [TRAP["ra"]]
    assert sent[0][1][44:] == frame


def test_tunnel_without_a_label(rig: Rig) -> None:
    rig.dp.bridge_add(1, REMOTE_MAC, nh=6)
    assert rig.send(TAP1, ether(MAC1, REMOTE_MAC, udp("15.0.0.3", "15.0.0.5"))) == []
    assert rig.drops() == {"invalid_label": 1}


def test_source_port_follows_the_flow(rig: Rig) -> None:
    rig.dp.bridge_add(1, REMOTE_MAC, nh=6, label=17, flags=2)
    ports = set()
    for source in range(1000, 1100):
        packet = IP(src="15.0.0.3", dst="15.0.0.5") / UDP(sport=source, dport=9)
        frame = ether(MAC1, REMOTE_MAC, packet)
        first, second = rig.send(TAP1, frame) + rig.send(TAP1, frame)
        assert first[1][34:36] == second[1][34:36]
        ports.add(first[1][34:36])
    assert len(ports) > 90


# --- sizes


def remote(rig: Rig) -> None:
    rig.route("15.0.0.5/32", 6, flags=1, label=41)
    rig.dp.bridge_add(1, REMOTE_MAC, nh=6, label=17, flags=2)


@pytest.mark.parametrize(("l2", "mtu"), [(False, 1468), (True, 1454)])
def test_df_packet_too_big_for_the_tunnel(rig: Rig, l2: bool, mtu: int) -> None:
    remote(rig)
    room = udp("15.0.0.3", "15.0.0.5", size=mtu - 28, flags="DF")
    dst = REMOTE_MAC if l2 else ROUTER_MAC
    assert [vif for vif, _ in rig.send(TAP1, ether(MAC1, dst, room))] == [FABRIC]
    over = udp("15.0.0.3", "15.0.0.5", size=mtu - 27, flags="DF")
    sent = rig.send(TAP1, ether(MAC1, dst, over))
    assert trapped(sent) == [TRAP["df"]]
    assert sent[0][1][20:28] == mtu.to_bytes(4, "big") + b"\xff" * 4
    assert len(sent[0][1]) == 44 + 190


def test_routed_packets_in_vxlan_get_a_frame_between_routers(rig: Rig) -> None:
    far = bytes.fromhex("020000000777")
    rig.tunnel(53, 0x80 | 0x2000000, rw_dst_mac=far)
    rig.route("15.0.0.5/32", 53, flags=1, label=7)
    ((_, out),) = rig.send(TAP1, routed("15.0.0.5"))
    assert (out[46:49], out[50:64]) == (b"\0\0\x07", far + ROUTER_MAC + b"\x08\0")
    assert IP(out[64:]).ttl == 63
    over = routed("15.0.0.5", size=1451 - 28, flags="DF")
    sent = rig.send(TAP1, over)
    assert trapped(sent) == [TRAP["df"]]
    assert int.from_bytes(sent[0][1][20:24], "big") == 1450
    assert sent[0][1][44:58] == over[:14]
    rig.tunnel(53, 0x80)
    assert rig.send(TAP1, routed("15.0.0.5")) == []
    assert rig.drops() == {"rewrite_fail": 1}


@pytest.mark.parametrize("l2", [False, True])
def test_big_packet_without_df_is_cut(rig: Rig, l2: bool) -> None:
    remote(rig)
    payload = bytes(range(256)) * 8
    packet = IP(src="15.0.0.3", dst="15.0.0.5", id=77) / UDP(sport=5, dport=6) / Raw(payload)
    sent = rig.send(TAP1, ether(MAC1, REMOTE_MAC if l2 else ROUTER_MAC, packet))
    assert [vif for vif, _ in sent] == [FABRIC, FABRIC]
    inner = [IP(frame[46 + (14 if l2 else 0) :]) for _, frame in sent]
    assert all(len(frame) <= 1514 for _, frame in sent)
    assert [piece.flags.MF for piece in inner] == [True, False]
    assert {piece.id for piece in inner} == {77}
    assert all(checksum_is_right(bytes(piece)[:20]) for piece in inner)
    rebuilt = b"".join(bytes(piece)[20:] for piece in inner)
    assert inner[1].frag * 8 == len(bytes(inner[0])) - 20
    assert rebuilt[8:] == payload


def test_big_multicast_with_df_is_dropped(rig: Rig) -> None:
    rig.composite(22, 0x1001, [6], [60])
    rig.composite(20, 0x21, [21, 22])
    frame = ether(MAC1, BROADCAST, udp("15.0.0.3", "15.0.0.255", size=1460, flags="DF"))
    assert rig.send(TAP1, frame) == [(TAP2, frame)]
    assert rig.drops() == {"mcast_df_bit": 1, "cloned_original": 1}
