"""The compiled parser against the slow one, on damaged golden frames and on built ones."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.pkt import Module, Packet, TunnelKind
from tests.reference import packet_parse as oracle
from tests.reference.packet_agree import FABRIC, SILENT_VMI, VMI, agree, port_of
from tests.unit.pkt.pkt0_vectors import FRAMES, encapsulated


@pytest.mark.parametrize("interface", [VMI, SILENT_VMI, FABRIC], ids=["vmi", "silent", "fabric"])
@pytest.mark.parametrize("name", FRAMES)
def test_golden_frames_cut_anywhere(name: str, interface: oracle.Interface) -> None:
    frame = FRAMES[name]
    for length in range(len(frame) + 1):
        agree(frame[:length], True, interface)
        agree(frame[44:length], False, interface)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    frame = bytearray(FRAMES[draw(st.sampled_from(sorted(FRAMES)))])
    spot = st.tuples(st.integers(14, len(frame) + 14), st.integers(0, 255))
    for at, value in draw(st.lists(spot, max_size=6)):
        if at < len(frame):
            frame[at] = value
    if len(frame) > 20:
        frame[18:20] = draw(
            st.sampled_from([0, 2, 5, 6, 7, 8, 11, 12, 13, 15, 16, 17, 21])
        ).to_bytes(2)
    return bytes(frame[: draw(st.integers(0, len(frame)) | st.just(len(frame)))])


@settings(max_examples=400, deadline=None)
@given(damaged(), st.sampled_from([VMI, SILENT_VMI, FABRIC]))
def test_damaged_frames(frame: bytes, interface: oracle.Interface) -> None:
    agree(frame, True, interface)


ROUTER = int(IPv4Address("192.168.0.1")).to_bytes(4)
MACS = bytes.fromhex("020000000001020000000002")


def ipv4(proto: int, payload: bytes, dst: bytes = ROUTER) -> bytes:
    head = b"\x45\x00" + (20 + len(payload)).to_bytes(2) + bytes(4) + bytes([64, proto, 0, 0])
    return head + bytes([10, 0, 0, 2]) + dst + payload


def udp(dport: int, payload: bytes, sport: int = 50000) -> bytes:
    ports = sport.to_bytes(2) + dport.to_bytes(2)
    return ports + (8 + len(payload)).to_bytes(2) + b"\0\0" + payload


def label(value: int, bottom: bool = True) -> bytes:
    return (value << 12 | bottom << 8 | 64).to_bytes(4)


INNER_IP = ipv4(17, udp(53, b"question"), bytes([10, 1, 1, 4]))
INNER_ETHERNET = MACS + b"\x08\x00" + INNER_IP
TUNNELLED = {
    "mplsoudp-l3": ipv4(17, udp(6635, label(20) + INNER_IP)),
    "mplsoudp-from-a-dhcp-port": ipv4(17, udp(6635, label(20) + INNER_IP, sport=68)),
    "mplsoudp-old-port": ipv4(17, udp(51234, label(20) + INNER_IP)),
    "mplsoudp-l2": ipv4(17, udp(6635, label(21) + INNER_ETHERNET)),
    "mplsoudp-control-word": ipv4(17, udp(6635, label(22) + bytes(4) + INNER_ETHERNET)),
    "mplsoudp-bad-control-word": ipv4(17, udp(6635, label(22) + b"\1\0\0\0" + INNER_ETHERNET)),
    "mplsoudp-two-labels": ipv4(17, udp(6635, label(0xFFFFF, False) + label(20) + INNER_IP)),
    "mplsoudp-not-bottom": ipv4(17, udp(6635, label(20, False) + label(20) + INNER_IP)),
    "mplsoudp-unknown-label": ipv4(17, udp(6635, label(99) + INNER_IP)),
    "mplsogre": ipv4(47, b"\x00\x00\x88\x47" + label(20) + INNER_IP),
    "mplsogre-key": ipv4(47, b"\x20\x00\x88\x47" + bytes(4) + label(20) + INNER_IP),
    "gre-ip": ipv4(47, b"\x00\x00\x08\x00" + INNER_IP),
    "vxlan": ipv4(17, udp(4789, b"\x08\0\0\0" + (77 << 8).to_bytes(4) + INNER_ETHERNET)),
    "vxlan-no-vni": ipv4(17, udp(4789, bytes(8) + INNER_ETHERNET)),
    "not-for-us": ipv4(17, udp(6635, label(20) + INNER_IP), bytes([192, 168, 0, 9])),
}


@pytest.mark.parametrize("name", TUNNELLED)
def test_tunnels_cut_anywhere(name: str) -> None:
    frame = encapsulated(6, MACS + b"\x08\x00" + TUNNELLED[name])
    for length in range(len(frame) + 1):
        agree(frame[:length], True, FABRIC)


@pytest.mark.parametrize("name", ["mplsoudp-l3", "mplsoudp-from-a-dhcp-port"])
def test_what_comes_out_of_a_tunnel(name: str) -> None:
    packet = Packet()
    assert packet.open(encapsulated(6, MACS + b"\x08\x00" + TUNNELLED[name])) == 0
    assert packet.parse(port_of(FABRIC)) == 0
    assert packet.tunnel == (TunnelKind.MPLS_UDP, 20, 0x0A000002, 0xC0A80001)
    assert (packet.dst, packet.dport, packet.payload) == (bytes([10, 1, 1, 4]), 53, b"question")


def icmp_error(quoted: bytes) -> bytes:
    return MACS + b"\x08\x00" + ipv4(1, b"\x03\x01" + bytes(6) + quoted, bytes([10, 1, 1, 3]))


@given(st.sampled_from([1, 6, 17, 47, 132]), st.binary(max_size=24), st.integers(0, 30))
def test_quoted_packets(proto: int, payload: bytes, cut: int) -> None:
    frame = encapsulated(6, icmp_error(ipv4(proto, payload, bytes([10, 1, 1, 4]))))
    agree(frame[: len(frame) - cut], True, VMI)


def test_an_icmp_error_has_the_reversed_key_of_its_cause() -> None:
    packet = Packet()
    packet.open(encapsulated(6, icmp_error(ipv4(6, bytes.fromhex("c350005000000000")))))
    assert packet.parse(port_of(VMI)) == 0
    assert (packet.src, packet.dst, packet.proto) == (ROUTER, bytes([10, 0, 0, 2]), 6)
    assert (packet.sport, packet.dport, packet.icmp_error) == (80, 50000, True)


def test_l3_only_interfaces_say_ipv4_for_ipv6() -> None:
    inner = FRAMES["dhcpv6-solicit"][44:]
    disguised = encapsulated(7, inner[:12] + b"\x08\x00" + inner[14:])
    agree(disguised, True, VMI)
    packet = Packet()
    packet.open(disguised)
    assert packet.parse(port_of(VMI)) == 0
    assert packet.module == Module.DHCPV6


def test_pbb_shows_the_inner_macs() -> None:
    customer = bytes.fromhex("0a0000000001") + bytes.fromhex("0a0000000002")
    arp = FRAMES["arp-request"][58:]
    frame = encapsulated(2, MACS + b"\x88\xe7\x00\x01\x02\x03" + customer + b"\x08\x06" + arp)
    packet = Packet()
    packet.open(frame)
    assert packet.parse(port_of(VMI)) == 0
    assert (packet.isid, packet.dst_mac + packet.src_mac) == (0x010203, customer)
    for length in range(len(frame)):
        agree(frame[:length], True, VMI)
