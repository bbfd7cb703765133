"""Checksums, segmentation and MSS against what scapy computes."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from agent._fast.forwarding import checksum
from tests.unit.forwarder.dataplane_rig import FABRIC, MAC1, MAC2, ROUTER_MAC, TAP1, TAP2, Rig

REMOTE_MAC = bytes.fromhex("023333333333")
NEEDS_CSUM, TCP4, TCP6, UDP_L4, UFO = 1, 1, 4, 5, 3
FIN_PSH_ACK = 0x19


@pytest.fixture
def rig() -> Rig:
    rig = Rig().build()
    rig.route("15.0.0.5/32", 6, flags=1, label=41)
    rig.dp.bridge_add(1, REMOTE_MAC, nh=6, label=17, flags=2)
    rig.dp.route_add(1, 10, bytes.fromhex("fd" + "0" * 29 + "5"), 128, nh=6, label=41, flags=1)
    return rig


def vnet(start: int, offset: int, *, gso: int = 0, size: int = 0, headers: int = 0) -> bytes:
    return struct.pack("<BBHHHH", NEEDS_CSUM, gso, headers, size, start, offset)


def pseudo_only(frame: bytes, start: int, offset: int) -> bytes:
    """The frame as a guest hands it over: the checksum field holds the pseudo header's sum."""
    at = start + offset
    proto = 6 if offset == 16 else 17
    ip = frame[14:start]
    addresses = ip[12:20] if ip[0] >> 4 == 4 else ip[8:40]
    length = len(frame) - start
    words = addresses + struct.pack(">HH", proto, length & 0xFFFF)
    partial = ~checksum(words, length >> 16) & 0xFFFF
    return frame[:at] + partial.to_bytes(2, "big") + frame[at + 2 :]


def guest_frame(dst: bytes, packet: Any) -> bytes:
    return bytes(Ether(src=MAC1.hex(":"), dst=dst.hex(":")) / packet)


def whole(packet: Any) -> bytes:
    """The packet with every length and checksum computed anew."""
    for layer in (TCP, UDP, IP):
        if layer in packet:
            del packet[layer].chksum
    return bytes(packet.__class__(bytes(packet)))


TCP_PACKET = IP(src="15.0.0.3", dst="15.0.0.5") / TCP(sport=1000, dport=80, flags="A")
UDP_PACKET = IP(src="15.0.0.3", dst="15.0.0.5") / UDP(sport=1000, dport=80)
TCP6_PACKET = IPv6(src="fd00::3", dst="fd00::5") / TCP(sport=1000, dport=80, flags="A")


@pytest.mark.parametrize(
    ("packet", "start", "offset"),
    [(TCP_PACKET, 34, 16), (UDP_PACKET, 34, 6), (TCP6_PACKET, 54, 16)],
    ids=["tcp", "udp", "tcp over inet6"],
)
@pytest.mark.parametrize("size", [0, 1, 333])
def test_checksum_is_completed_in_a_tunnel(
    rig: Rig, packet: Any, start: int, offset: int, size: int
) -> None:
    payload = (bytes(range(256)) * 2)[:size]
    frame = guest_frame(REMOTE_MAC, packet / Raw(payload))
    sent = rig.send(TAP1, pseudo_only(frame, start, offset), vnet(start, offset))
    assert [(vif, out[46:]) for vif, out in sent] == [(FABRIC, frame)]


def test_checksum_that_comes_out_as_zero(rig: Rig) -> None:
    """UDP says 0xffff then, for 0 means none."""
    blank = bytes(UDP_PACKET / Raw(b"\0\0"))
    filler = blank[26:28]
    packet = UDP_PACKET / Raw(filler)
    segment = bytes(packet)[20:]
    words = bytes(packet)[12:20] + struct.pack(">HH", 17, len(segment))
    assert checksum(words + segment[:6] + b"\0\0" + segment[8:]) == 0
    frame = guest_frame(REMOTE_MAC, packet)
    ((_, out),) = rig.send(TAP1, pseudo_only(frame, 34, 6), vnet(34, 6))
    assert out[46 + 40 : 46 + 42] == b"\xff\xff"


def test_offload_passes_unchanged_between_guests(rig: Rig) -> None:
    packet = IP(src="15.0.0.3", dst="15.0.0.4") / TCP(flags=FIN_PSH_ACK) / Raw(b"x" * 5000)
    header = vnet(34, 16, gso=TCP4, size=1448, headers=54)
    bridged = pseudo_only(guest_frame(MAC2, packet), 34, 16)
    assert rig.send_vnet(TAP1, bridged, header) == [(TAP2, bridged, header)]
    routed = pseudo_only(guest_frame(ROUTER_MAC, packet), 34, 16)
    ((vif, frame, out_header),) = rig.send_vnet(TAP1, routed, header)
    assert (vif, out_header, frame[:12]) == (TAP2, header, MAC2 + ROUTER_MAC)
    assert frame[34:] == routed[34:]


def test_offload_survives_a_pushed_tag(rig: Rig) -> None:
    rig.dp.vif_set(5, type=6, flags=0x1C0, vrf=1, parent=TAP2, vlan_id=10, ovlan_id=10)
    rig.encap(3, 5, MAC2, family=7)
    packet = IP(src="15.0.0.3", dst="15.0.0.4") / TCP(flags="A") / Raw(b"x" * 5000)
    frame = pseudo_only(guest_frame(MAC2, packet), 34, 16)
    header = vnet(34, 16, gso=TCP4, size=1448, headers=54)
    ((_, out, out_header),) = rig.send_vnet(TAP1, frame, header)
    assert out[12:16] == b"\x81\0\0\x0a"
    assert out_header == vnet(38, 16, gso=TCP4, size=1448, headers=58)


def test_header_that_does_not_fit_is_ignored(rig: Rig) -> None:
    frame = guest_frame(MAC2, UDP_PACKET)
    for header in (vnet(4000, 6), vnet(34, 4000), vnet(60000, 60000, gso=TCP4, size=9)):
        assert rig.send_vnet(TAP1, frame, header) == [(TAP2, frame, bytes(10))]


@settings(max_examples=20, deadline=None)
@given(
    size=st.one_of(st.integers(1, 9_000), st.just(60_000)),
    piece=st.integers(200, 1382),  # with all headers it fits the fabric
    l2=st.booleans(),
    inet6=st.booleans(),
    flags=st.sampled_from([0x10, FIN_PSH_ACK, 0x90]),
)
def test_tcp_is_cut_into_right_segments(
    size: int, piece: int, l2: bool, inet6: bool, flags: int
) -> None:
    rig = Rig().build()
    rig.route("15.0.0.5/32", 6, flags=1, label=41)
    rig.dp.bridge_add(1, REMOTE_MAC, nh=6, label=17, flags=2)
    rig.dp.route_add(1, 10, bytes.fromhex("fd" + "0" * 29 + "5"), 128, nh=6, label=41, flags=1)
    payload = (bytes(range(251)) * 260)[:size]
    tcp = TCP(sport=5, dport=6, seq=0xFFFFFF00, ack=7, flags=flags, options=[("Timestamp", (1, 2))])
    outer = (
        IPv6(src="fd00::3", dst="fd00::5")
        if inet6
        else IP(src="15.0.0.3", dst="15.0.0.5", id=65530)
    )
    start = 54 if inet6 else 34
    frame = guest_frame(REMOTE_MAC if l2 else ROUTER_MAC, outer / tcp / Raw(payload))
    header = vnet(start, 16, gso=TCP6 if inet6 else TCP4, size=piece, headers=start + 32)
    sent = rig.send(TAP1, pseudo_only(frame, start, 16), header)
    assert rig.drops() == {}
    kind = IPv6 if inet6 else IP
    packets = [kind(out[46 + (14 if l2 else 0) :]) for _, out in sent]
    check_segments(packets, payload, piece, flags)


def check_segments(packets: list[Any], payload: bytes, piece: int, flags: int) -> None:
    assert len(packets) == -(-len(payload) // piece)
    assert b"".join(bytes(packet[TCP].payload) for packet in packets) == payload
    for number, packet in enumerate(packets):
        last = number == len(packets) - 1
        assert packet[TCP].seq == (0xFFFFFF00 + number * piece) % 2**32
        expected = flags if last else flags & ~0x09
        assert int(packet[TCP].flags) == (expected if number == 0 else expected & ~0x80)
        assert bytes(packet) == whole(packet)
        if IP in packet:
            assert packet[IP].id == (65530 + number) % 65536


def test_udp_segments_have_their_lengths(rig: Rig) -> None:
    payload = bytes(range(200)) * 20
    frame = guest_frame(ROUTER_MAC, UDP_PACKET / Raw(payload))
    header = vnet(34, 6, gso=UDP_L4, size=1200, headers=42)
    sent = rig.send(TAP1, pseudo_only(frame, 34, 6), header)
    packets = [IP(out[46:]) for _, out in sent]
    assert [len(packet[UDP].payload) for packet in packets] == [1200, 1200, 1200, 400]
    assert b"".join(bytes(packet[UDP].payload) for packet in packets) == payload
    assert all(bytes(packet) == whole(packet) for packet in packets)


def test_ufo_becomes_ip_fragments(rig: Rig) -> None:
    payload = bytes(range(200)) * 20
    frame = guest_frame(ROUTER_MAC, UDP_PACKET / Raw(payload))
    header = vnet(34, 6, gso=UFO, size=1480, headers=42)
    sent = rig.send(TAP1, pseudo_only(frame, 34, 6), header)
    fragments = [IP(out[46:]) for _, out in sent]
    assert [fragment.flags.MF for fragment in fragments] == [True, True, False]
    data = b"".join(bytes(fragment)[20:] for fragment in fragments)
    whole_packet = IP(frame[14:])
    assert data == bytes(whole_packet)[20:]


@pytest.mark.parametrize(
    "header",
    [
        vnet(34, 16, gso=9, size=100),
        vnet(15, 16, gso=TCP4, size=100),
        vnet(70, 16, gso=TCP4, size=100),
    ],
    ids=["kind", "before the header", "behind the header"],
)
def test_segmentation_that_cannot_be_done(rig: Rig, header: bytes) -> None:
    frame = guest_frame(ROUTER_MAC, TCP_PACKET / Raw(b"\xff" * 50))
    assert rig.send(TAP1, frame, header) == []
    assert rig.drops() == {"invalid_packet": 1}


def test_broadcast_segments_reach_every_part() -> None:
    """Offload as it came for the guests here, cut and complete in the tunnels."""
    rig = Rig().build()
    rig.tunnel(50, 0x40, "10.0.0.50")
    rig.tunnel(51, 0x40, "10.0.0.51")
    rig.composite(22, 0x0201, [50], [2000])
    rig.composite(23, 0x1001, [51], [61])
    rig.composite(20, 0x21, [21, 22, 23])
    packet = IP(src="15.0.0.3", dst="15.0.0.255") / UDP(sport=1, dport=2) / Raw(b"x" * 3000)
    frame = guest_frame(b"\xff" * 6, packet)
    sent = rig.send_vnet(TAP1, pseudo_only(frame, 34, 6), vnet(34, 6, gso=UDP_L4, size=1000))
    assert [vif for vif, _, _ in sent] == [TAP2] + [FABRIC] * 6
    for _, out, _ in sent[1:4]:
        inner = Ether(out[86:])
        assert bytes(inner[IP]) == whole(inner[IP])
        assert IP(out[50:]).len == len(out) - 50
    for _, out, _ in sent[4:]:
        inner = Ether(out[46:])
        assert bytes(inner[IP]) == whole(inner[IP])


def test_trap_has_a_complete_checksum(rig: Rig) -> None:
    frame = guest_frame(
        ROUTER_MAC, IP(src="15.0.0.3", dst="15.0.0.1") / UDP(sport=9, dport=53) / Raw(b"abc")
    )
    ((_, out),) = rig.send(TAP1, pseudo_only(frame, 34, 6), vnet(34, 6))
    assert out[44:] == frame


# --- MSS


def syn(dst_mac: bytes, dst: str, mss: int, *, pad: bool = False) -> bytes:
    options: list[Any] = [("NOP", None)] if pad else []
    tcp = TCP(sport=5, dport=6, flags="S", options=[*options, ("MSS", mss)])
    return guest_frame(dst_mac, IP(src="15.0.0.3", dst=dst) / tcp)


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize(
    ("dst_mac", "dst", "expected"),
    [(ROUTER_MAC, "15.0.0.4", 1420), (MAC2, "15.0.0.4", 1398)],
    ids=["routed", "bridged"],
)
def test_mss_is_lowered(rig: Rig, dst_mac: bytes, dst: str, expected: int, pad: bool) -> None:
    ((_, out),) = rig.send(TAP1, syn(dst_mac, dst, 1460, pad=pad))
    packet = IP(out[14:])
    assert dict(packet[TCP].options)["MSS"] == expected
    assert bytes(packet) == whole(packet)


def test_small_mss_and_other_segments_are_left(rig: Rig) -> None:
    small = syn(MAC2, "15.0.0.4", 1000)
    assert rig.send(TAP1, small) == [(TAP2, small)]
    data = guest_frame(
        MAC2, IP(src="15.0.0.3", dst="15.0.0.4") / TCP(flags="A", options=[("MSS", 1460)])
    )
    assert rig.send(TAP1, data) == [(TAP2, data)]
    quiet = Rig(mss_adjust=False).build()
    large = syn(MAC2, "15.0.0.4", 1460)
    assert quiet.send(TAP1, large) == [(TAP2, large)]


def test_mss_with_a_partial_checksum_stays_partial(rig: Rig) -> None:
    frame = pseudo_only(syn(MAC2, "15.0.0.4", 1460), 34, 16)
    ((_, out, header),) = rig.send_vnet(TAP1, frame, vnet(34, 16))
    assert out[50:52] == frame[50:52]
    assert header == vnet(34, 16)


@pytest.mark.parametrize("options", [b"\x02\x04", b"\x02\x00\x05\xb4", b"\x03", b"\x02\xff\0\0"])
def test_bad_tcp_options_are_left(rig: Rig, options: bytes) -> None:
    head = bytearray(bytes(TCP(sport=1, dport=2, flags="S")) + options + bytes(-len(options) % 4))
    head[12] = (len(head) // 4) << 4
    frame = guest_frame(MAC2, IP(src="15.0.0.3", dst="15.0.0.4", proto=6) / Raw(bytes(head)))
    assert rig.send(TAP1, frame) == [(TAP2, frame)]


# --- the checksum itself


@given(st.binary(max_size=300), st.integers(0, 2**20))
def test_checksum_is_rfc_1071(data: bytes, initial: int) -> None:
    total = initial + sum(
        int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2)
    )
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert checksum(data, initial) == ~total & 0xFFFF
