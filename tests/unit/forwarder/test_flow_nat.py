"""Address and port translation, with every checksum that covers what changed."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

from agent._fast.forwarding import checksum
from tests.unit.forwarder.flow_rig import (
    DNAT,
    DPAT,
    FABRIC,
    FORWARD,
    GUEST1_NH,
    GUEST2_NH,
    MAC1,
    NAT,
    SNAT,
    SPAT,
    TAP1,
    TAP2,
    TCP_PROTO,
    TUNNEL_NH,
    UDP_PROTO,
    VRFT,
    FlowRig,
    Key,
    from_fabric,
    guest_frame,
    inner_ip,
    packed,
    traps,
    udp,
)

INSIDE, OUTSIDE, PEER = "15.0.0.3", "20.0.0.5", "20.0.0.9"
INSIDE6, OUTSIDE6, PEER6 = "fd00::3", "fd20::5", "fd20::9"
EITHER = pytest.mark.parametrize("ends", [(INSIDE, OUTSIDE, PEER), (INSIDE6, OUTSIDE6, PEER6)])


@pytest.fixture
def rig() -> FlowRig:
    return nat_rig()


def nat_rig() -> FlowRig:
    """VRF 2 holds the outside: the peer behind the tunnel, the floating address at the guest."""
    rig = FlowRig().build()
    rig.route("20.0.0.0/8", TUNNEL_NH, vrf=2, flags=1, label=30)
    rig.route("20.0.0.5/32", GUEST1_NH, vrf=2)
    assert rig.dp.route_add(2, 10, packed("fd20::"), 16, nh=TUNNEL_NH, flags=1, label=30) == 0
    return rig


def floating(rig: FlowRig, ends: tuple[str, str, str], key: Key, **values: Any) -> tuple[int, int]:
    """The pair of a floating address: the guest's flow and what comes back to the address."""
    inside, outside, peer = ends
    assert (key.src, key.dst) == (inside, peer)
    back = Key(GUEST1_NH, peer, outside, key.proto, key.dport, key.sport)
    if key.proto in (1, 58):
        back = Key(GUEST1_NH, peer, outside, key.proto, key.sport, key.dport)
    values = {"action": NAT, "vrf": 1} | values
    there = {"flags": SNAT | VRFT, "dvrf": 2}
    here = {"flags": DNAT | VRFT, "dvrf": 1}
    return rig.pair(key, back, forward_set=there, reverse_set=here, **values)


# --- a slow oracle: checksums computed from scratch


def slow_sum(data: bytes) -> int:
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo(packet: bytes, proto: int, length: int) -> bytes:
    ends = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    return ends + struct.pack(">IHH", length, 0, proto)


def transport(packet: bytes) -> tuple[int, int]:
    """(protocol, offset of its header) of a whole IP packet."""
    if packet[0] >> 4 == 4:
        return packet[9], (packet[0] & 15) * 4
    return packet[6], 40


def is_right(packet: bytes) -> bool:
    """Are the checksums of an IP packet those of its bytes?"""
    proto, at = transport(packet)
    if packet[0] >> 4 == 4 and slow_sum(packet[:at]) != 0xFFFF:
        return False
    body = packet[at:]
    if proto == UDP_PROTO and body[6:8] == b"\0\0":
        return packet[0] >> 4 == 4
    head = b"" if proto == 1 else pseudo(packet, proto, len(body))
    return slow_sum(head + body) == 0xFFFF


def ends_of(packet: bytes) -> tuple[bytes, bytes]:
    if packet[0] >> 4 == 4:
        return packet[12:16], packet[16:20]
    return packet[8:24], packet[24:40]


def ports_of(packet: bytes) -> tuple[int, int]:
    _, at = transport(packet)
    sport, dport = struct.unpack_from(">HH", packet, at)
    return sport, dport


def ip(src: str, dst: str) -> Any:
    return IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)


# --- floating addresses


@EITHER
@pytest.mark.parametrize("layer", [TCP, UDP])
def test_guests_packet_leaves_with_its_floating_address(
    rig: FlowRig, ends: tuple[str, str, str], layer: Any
) -> None:
    inside, outside, peer = ends
    proto = TCP_PROTO if layer is TCP else UDP_PROTO
    floating(rig, ends, Key(GUEST1_NH, inside, peer, proto, 1111, 80))
    packet = ip(inside, peer) / layer(sport=1111, dport=80) / Raw(b"hello")
    ((vif, frame),) = rig.send(TAP1, guest_frame(packet))
    sent = inner_ip(frame)
    assert vif == FABRIC
    assert ends_of(sent) == (packed(outside), packed(peer))
    assert ports_of(sent) == (1111, 80)
    assert is_right(sent)
    assert int.from_bytes(frame[42:46], "big") >> 12 == 30, "routed in the other VRF"


@EITHER
@pytest.mark.parametrize("layer", [TCP, UDP])
def test_packet_to_the_floating_address_reaches_the_guest(
    rig: FlowRig, ends: tuple[str, str, str], layer: Any
) -> None:
    inside, outside, peer = ends
    proto = TCP_PROTO if layer is TCP else UDP_PROTO
    _, back = floating(rig, ends, Key(GUEST1_NH, inside, peer, proto, 1111, 80))
    packet = ip(peer, outside) / layer(sport=80, dport=1111) / Raw(b"hello")
    ((vif, frame),) = rig.send(FABRIC, from_fabric(packet))
    assert (vif, frame[:6]) == (TAP1, MAC1)
    assert ends_of(frame[14:]) == (packed(peer), packed(inside))
    assert is_right(frame[14:])
    assert rig.entry(back).packets == 1


@EITHER
def test_echo_is_translated(rig: FlowRig, ends: tuple[str, str, str]) -> None:
    inside, outside, peer = ends
    v6 = ":" in inside
    echo = ICMPv6EchoRequest(id=9) if v6 else ICMP(type=8, id=9)
    key = Key(GUEST1_NH, inside, peer, 58 if v6 else 1, 9, 129 if v6 else 0)
    floating(rig, ends, key)
    ((_, frame),) = rig.send(TAP1, guest_frame(ip(inside, peer) / echo / Raw(b"abc")))
    assert ends_of(inner_ip(frame)) == (packed(outside), packed(peer))
    assert is_right(inner_ip(frame))


@EITHER
def test_held_packet_is_translated_when_it_goes(rig: FlowRig, ends: tuple[str, str, str]) -> None:
    inside, outside, peer = ends
    packet = ip(inside, peer) / UDP(sport=1111, dport=80) / Raw(b"hello")
    assert len(traps(rig.send(TAP1, guest_frame(packet)))) == 1
    floating(rig, ends, Key(GUEST1_NH, inside, peer, UDP_PROTO, 1111, 80))
    ((vif, frame, _),) = rig.dp.captured()
    assert (vif, ends_of(inner_ip(frame))[0]) == (FABRIC, packed(outside))
    assert is_right(inner_ip(frame))


def test_zero_udp_checksum_stays_zero(rig: FlowRig) -> None:
    floating(rig, (INSIDE, OUTSIDE, PEER), Key(GUEST1_NH, INSIDE, PEER, UDP_PROTO, 1111, 80))
    packet = IP(src=INSIDE, dst=PEER) / UDP(sport=1111, dport=80, chksum=0) / Raw(b"hello")
    ((_, frame),) = rig.send(TAP1, guest_frame(packet))
    assert inner_ip(frame)[26:28] == b"\0\0"


def test_wrong_checksum_stays_wrong(rig: FlowRig) -> None:
    floating(rig, (INSIDE, OUTSIDE, PEER), Key(GUEST1_NH, INSIDE, PEER, UDP_PROTO, 1111, 80))
    packet = IP(src=INSIDE, dst=PEER) / UDP(sport=1111, dport=80, chksum=0x1234) / Raw(b"hello")
    ((_, frame),) = rig.send(TAP1, guest_frame(packet))
    assert not is_right(inner_ip(frame))


@EITHER
def test_ports_are_mapped(rig: FlowRig, ends: tuple[str, str, str]) -> None:
    inside, outside, peer = ends
    key = Key(GUEST1_NH, inside, peer, TCP_PROTO, 1111, 80)
    back = Key(GUEST1_NH, peer, outside, TCP_PROTO, 8080, 2222)
    rig.pair(
        key,
        back,
        action=NAT,
        forward_set={"flags": SNAT | SPAT | DPAT | VRFT, "dvrf": 2},
        reverse_set={"flags": DNAT | SPAT | DPAT | VRFT, "dvrf": 1},
    )
    ((_, frame),) = rig.send(TAP1, guest_frame(ip(inside, peer) / TCP(sport=1111, dport=80)))
    assert ports_of(inner_ip(frame)) == (2222, 8080)
    assert is_right(inner_ip(frame))
    answer = ip(peer, outside) / TCP(sport=8080, dport=2222)
    ((_, frame),) = rig.send(FABRIC, from_fabric(answer))
    assert ports_of(frame[14:]) == (80, 1111)
    assert is_right(frame[14:])


def test_both_addresses_are_translated(rig: FlowRig) -> None:
    """As for a link-local service: the guest's flow gets another source and destination."""
    rig.route("10.0.0.77/32", GUEST2_NH, vrf=3)
    key = Key(GUEST1_NH, INSIDE, "169.254.169.254", TCP_PROTO, 1111, 80)
    back = Key(GUEST2_NH, "10.0.0.77", "169.254.0.3", TCP_PROTO, 8775, 1111)
    rig.pair(
        key,
        back,
        action=NAT,
        forward_set={"flags": SNAT | DNAT | DPAT | VRFT, "dvrf": 3},
        reverse_set={"flags": SNAT | DNAT | SPAT | VRFT, "dvrf": 1},
    )
    request = IP(src=INSIDE, dst="169.254.169.254") / TCP(sport=1111, dport=80)
    ((vif, frame),) = rig.send(TAP1, guest_frame(request))
    assert vif == TAP2
    assert ends_of(frame[14:]) == (packed("169.254.0.3"), packed("10.0.0.77"))
    assert ports_of(frame[14:]) == (1111, 8775)
    assert is_right(frame[14:])
    answer = IP(src="10.0.0.77", dst="169.254.0.3") / TCP(sport=8775, dport=1111)
    ((vif, frame),) = rig.send(TAP2, guest_frame(answer))
    assert (vif, ports_of(frame[14:])) == (TAP1, (80, 1111))
    assert ends_of(frame[14:]) == (packed("169.254.169.254"), packed(INSIDE))
    assert is_right(frame[14:])


def test_translation_without_a_reverse_flow_drops(rig: FlowRig) -> None:
    key = Key(GUEST1_NH, INSIDE, PEER, UDP_PROTO, 1111, 80)
    index = rig.add(key, action=NAT, flags=1 | SNAT)
    assert rig.send(TAP1, guest_frame(udp(INSIDE, PEER, 1111, 80))) == []
    other = rig.add(key.reverse(GUEST1_NH))
    rig.change(key, index, action=NAT, flags=1 | SNAT | 0x1000, rindex=other)
    assert rig.set(key.reverse(GUEST1_NH), index=other, flags=0).code == 0
    assert rig.send(TAP1, guest_frame(udp(INSIDE, PEER, 1111, 80))) == []
    assert rig.drops() == {"flow_nat_no_rflow": 2}


# --- fragments and offloads


def test_later_fragment_changes_only_its_ip_header(rig: FlowRig) -> None:
    floating(rig, (INSIDE, OUTSIDE, PEER), Key(GUEST1_NH, INSIDE, PEER, UDP_PROTO, 1111, 80))
    whole = bytes(UDP(sport=1111, dport=80, len=40, chksum=0x1111) / Raw(bytes(range(32))))
    head = IP(src=INSIDE, dst=PEER, id=7, flags="MF", proto=17) / Raw(whole[:16])
    tail = IP(src=INSIDE, dst=PEER, id=7, frag=2, proto=17) / Raw(whole[16:])
    ((_, first),) = rig.send(TAP1, guest_frame(head))
    ((_, second),) = rig.send(TAP1, guest_frame(tail))
    assert ends_of(inner_ip(first)) == ends_of(inner_ip(second)) == (packed(OUTSIDE), packed(PEER))
    assert inner_ip(second)[20:] == whole[16:]
    assert inner_ip(first)[26:28] != whole[6:8], "the head's checksum follows the address"
    assert checksum(inner_ip(second)[:20]) == 0


def test_partial_checksum_holds_the_new_pseudo_header(rig: FlowRig) -> None:
    floating(rig, (INSIDE, OUTSIDE, PEER), Key(GUEST1_NH, INSIDE, PEER, UDP_PROTO, 1111, 80))
    rig.route("20.0.0.9/32", GUEST2_NH, vrf=2)
    frame = bytearray(guest_frame(udp(INSIDE, PEER, 1111, 80)))
    frame[40:42] = slow_sum(pseudo(bytes(frame[14:]), 17, 40)).to_bytes(2)
    vnet = bytes([1, 0]) + bytes(4) + struct.pack("<HH", 34, 6)
    ((vif, sent, header),) = rig.send_vnet(TAP1, bytes(frame), vnet)
    assert (vif, header[:1]) == (TAP2, b"\x01")
    packet = sent[14:]
    assert ends_of(packet)[0] == packed(OUTSIDE)
    assert packet[26:28] == slow_sum(pseudo(packet, 17, 40)).to_bytes(2)


# --- ICMP errors


def error_about(ends: tuple[str, str, str], quoted: bytes, sender: str) -> bytes:
    """An error from `sender` to the floating address about what left with it."""
    _, outside, _ = ends
    kind = b"\x01\x04" if ":" in outside else b"\x03\x03"
    body = kind + bytes(6) + quoted
    packet = bytearray(bytes(ip(sender, outside) / Raw(body)))
    packet[6 if ":" in outside else 9] = 58 if ":" in outside else 1
    if ":" not in outside:
        packet[10:12] = b"\0\0"
        packet[10:12] = checksum(bytes(packet[:20])).to_bytes(2)
    at = transport(bytes(packet))[1]
    head = pseudo(bytes(packet), 58, len(body)) if ":" in outside else b""
    packet[at + 2 : at + 4] = (0xFFFF ^ slow_sum(head + bytes(packet[at:]))).to_bytes(2)
    return bytes(packet)


@EITHER
@pytest.mark.parametrize("layer", [TCP, UDP])
@pytest.mark.parametrize("size", [8, 60], ids=["header", "whole"])
def test_error_and_what_it_quotes_are_translated(
    rig: FlowRig, ends: tuple[str, str, str], layer: Any, size: int
) -> None:
    inside, outside, peer = ends
    proto = TCP_PROTO if layer is TCP else UDP_PROTO
    _, back = floating(rig, ends, Key(GUEST1_NH, inside, peer, proto, 1111, 80))
    original = bytes(ip(outside, peer) / layer(sport=1111, dport=80) / Raw(b"hello"))
    cut = transport(original)[1] + size
    router = "fd99::1" if ":" in inside else "99.0.0.1"
    error = error_about(ends, original[:cut], router)
    assert is_right(error)
    ((vif, frame),) = rig.send(FABRIC, from_fabric(error))
    packet = frame[14:]
    assert vif == TAP1
    assert ends_of(packet) == (packed(router), packed(inside))
    assert is_right(packet)
    quoted = packet[transport(packet)[1] + 8 :]
    assert ends_of(quoted) == (packed(inside), packed(peer))
    if len(original) <= cut:
        assert is_right(quoted)
    elif quoted[0] >> 4 == 4:
        assert checksum(quoted[:20]) == 0
    assert rig.entry(back).packets == 1


def test_error_of_the_guest_itself_is_translated(rig: FlowRig) -> None:
    """The guest refuses what came to its floating address."""
    ends = (INSIDE, OUTSIDE, PEER)
    key = Key(GUEST1_NH, INSIDE, PEER, UDP_PROTO, 80, 1111)
    index, _ = floating(rig, ends, key)
    quoted = bytes(IP(src=PEER, dst=INSIDE) / UDP(sport=1111, dport=80) / Raw(b"hi"))
    error = IP(src=INSIDE, dst=PEER) / ICMP(type=3, code=3) / Raw(quoted)
    ((vif, frame),) = rig.send(TAP1, guest_frame(error))
    packet = inner_ip(frame)
    assert (vif, rig.entry(index).packets) == (FABRIC, 1)
    assert ends_of(packet) == (packed(OUTSIDE), packed(PEER))
    assert ends_of(packet[28:]) == (packed(PEER), packed(OUTSIDE))
    assert is_right(packet)
    assert is_right(packet[28:])


# --- every value: incremental changes against checksums from scratch

ADDRESS4, ADDRESS6 = st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)
PORT = st.integers(0, 0xFFFF)


@settings(max_examples=120, deadline=None)
@given(
    data=st.data(),
    v6=st.booleans(),
    tcp=st.booleans(),
    ports=st.tuples(PORT, PORT, PORT, PORT),
    payload=st.binary(max_size=40),
    flags=st.sampled_from([SNAT, DNAT, SNAT | DNAT, SNAT | SPAT, DNAT | DPAT, 0x1E]),
)
def test_translated_checksums_are_those_from_scratch(
    data: st.DataObject,
    v6: bool,
    tcp: bool,
    ports: tuple[int, int, int, int],
    payload: bytes,
    flags: int,
) -> None:
    rig = SHARED
    address = ADDRESS6 if v6 else ADDRESS4
    src, dst, new_src, new_dst = (unicast(data.draw(address)) for _ in range(4))
    proto = TCP_PROTO if tcp else UDP_PROTO
    key = Key(GUEST1_NH, src, dst, proto, ports[0], ports[1])
    back = Key(GUEST2_NH, new_dst, new_src, proto, ports[3], ports[2])
    index, other = rig.pair(
        key,
        back,
        forward_set={"flags": flags | VRFT, "dvrf": 4, "action": NAT},
        reverse_set={"action": FORWARD},
    )
    layer = TCP if tcp else UDP
    packet = ip(src, dst) / layer(sport=ports[0], dport=ports[1]) / Raw(payload)
    ((vif, frame),) = rig.send(TAP1, guest_frame(packet))
    for one, at in ((key, index), (back, other)):
        assert rig.set(one, index=at, flags=0).code == 0
    sent = frame[14:]
    assert vif == TAP2
    assert ends_of(sent) == (
        packed(new_src if flags & SNAT else src),
        packed(new_dst if flags & DNAT else dst),
    )
    assert ports_of(sent) == (
        ports[2] if flags & SPAT else ports[0],
        ports[3] if flags & DPAT else ports[1],
    )
    assert is_right(sent)


def unicast(raw: bytes) -> str:
    """An address text outside of groups, whose first byte is below 0x70."""
    first = bytes([raw[0] & 0x6F | 1]) + raw[1:]
    if len(first) == 4:
        return ".".join(map(str, first))
    return ":".join(f"{first[i] << 8 | first[i + 1]:x}" for i in range(0, 16, 2))


def everywhere_rig() -> FlowRig:
    """VRF 4 leads everything to the second guest."""
    rig = FlowRig().build()
    rig.route("0.0.0.0/0", GUEST2_NH, vrf=4)
    assert rig.dp.route_add(4, 10, bytes(16), 0, nh=GUEST2_NH) == 0
    return rig


SHARED = everywhere_rig()
