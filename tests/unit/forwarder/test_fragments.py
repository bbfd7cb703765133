"""Fragments follow their head: order, loss, overlap, floods, for IPv4 and IPv6."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from tests.unit.forwarder.flow_rig import (
    FORWARD,
    GUEST1_NH,
    GUEST2_NH,
    TAP1,
    TAP2,
    TCP_PROTO,
    UDP_PROTO,
    FlowRig,
    Key,
    guest_frame,
    others,
    traps,
)

LOCAL = Key(GUEST1_NH, "15.0.0.3", "15.0.0.4", UDP_PROTO, 1111, 2222)
LOCAL6 = Key(GUEST1_NH, "fd00::3", "fd00::4", UDP_PROTO, 1111, 2222)


@pytest.fixture
def rig() -> FlowRig:
    return FlowRig().build()


def allow(rig: FlowRig, key: Key) -> tuple[int, int]:
    return rig.pair(key, key.reverse(GUEST2_NH), action=FORWARD)


def datagram(size: int = 3000, *, ident: int = 7, sport: int = 1111) -> Any:
    payload = bytes(number & 0xFF for number in range(size))
    return (
        IP(src="15.0.0.3", dst="15.0.0.4", id=ident) / UDP(sport=sport, dport=2222) / Raw(payload)
    )


def pieces(packet: Any, size: int = 1400) -> list[bytes]:
    return [guest_frame(piece) for piece in fragment(packet, fragsize=size)]


def pieces6(size: int = 3000, *, ident: int = 7, step: int = 1200) -> list[bytes]:
    """A UDP datagram over IPv6 in fragments, by hand."""
    whole = bytes(UDP(sport=1111, dport=2222, len=8 + size) / Raw(b"y" * size))
    made = []
    for at in range(0, len(whole), step):
        more = at + step < len(whole)
        header = IPv6ExtHdrFragment(nh=UDP_PROTO, offset=at // 8, m=int(more), id=ident)
        part = IPv6(src="fd00::3", dst="fd00::4", nh=44) / header / Raw(whole[at : at + step])
        made.append(guest_frame(part))
    return made


def received(rig: FlowRig, frames: list[bytes]) -> list[bytes]:
    """IP packets that guest 2 gets."""
    sent = [out for frame in frames for out in others(rig.send(TAP1, frame))]
    assert {vif for vif, _ in sent} <= {TAP2}
    return [frame[14:] for _, frame in sent]


def together(packets: list[bytes]) -> bytes:
    """The payload of IPv4 fragments, put together."""
    parts = {}
    for packet in packets:
        (field,) = struct.unpack_from(">H", packet, 6)
        parts[(field & 0x1FFF) * 8] = packet[20:]
    whole = b""
    for at in sorted(parts):
        assert at == len(whole)
        whole += parts[at]
    return whole


def test_fragments_in_order_belong_to_the_flow_of_their_head(rig: FlowRig) -> None:
    index, _ = allow(rig, LOCAL)
    packet = datagram()
    got = received(rig, pieces(packet))
    assert len(got) == 3
    assert together(got) == bytes(packet)[20:]
    assert rig.entry(index).packets == 3
    assert len(rig.entries()) == 2


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(5)))
def test_fragments_in_any_order_all_arrive(order: list[int]) -> None:
    rig = FlowRig().build()
    index, _ = allow(rig, LOCAL)
    packet = datagram(6500)
    frames = pieces(packet)
    got = received(rig, [frames[at] for at in order])
    assert together(got) == bytes(packet)[20:]
    assert rig.entry(index).packets == 5
    assert rig.drops() == {}


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(3)))
def test_ipv6_fragments_in_any_order_all_arrive(order: list[int]) -> None:
    rig = FlowRig().build()
    index, _ = allow(rig, LOCAL6)
    frames = pieces6()
    got = received(rig, [frames[at] for at in order])
    assert sorted(got) == sorted(frame[14:] for frame in frames)
    assert rig.entry(index).packets == 3
    assert rig.drops() == {}


def test_a_head_without_a_flow_is_trapped_and_held_with_its_followers(rig: FlowRig) -> None:
    frames = pieces(datagram())
    sent = [out for frame in (frames[2], frames[0], frames[1]) for out in rig.send(TAP1, frame)]
    (trap,) = traps(sent)
    assert rig.entry(trap.index).key == LOCAL.raw()
    assert others(sent) == []
    back = rig.add(LOCAL.reverse(GUEST2_NH), rindex=trap.index, flags=0x1001)
    rig.change(LOCAL, trap.index, rindex=back, flags=0x1001)
    assert len(others([(vif, frame) for vif, frame, _ in rig.dp.captured()])) == 3


def test_followers_whose_head_never_comes_are_dropped_after_two_seconds(rig: FlowRig) -> None:
    allow(rig, LOCAL)
    frames = pieces(datagram())
    assert received(rig, frames[1:]) == []
    assert rig.drops() == {}
    rig.dp.advance(1.9)
    assert rig.drops() == {}
    rig.dp.advance(0.2)
    assert rig.drops() == {"no_frag_entry": 2}


def test_a_head_is_remembered_for_two_seconds(rig: FlowRig) -> None:
    allow(rig, LOCAL)
    frames = pieces(datagram())
    assert len(received(rig, frames[:1])) == 1
    rig.dp.advance(1.9)
    assert len(received(rig, frames[1:2])) == 1
    rig.dp.advance(0.2)
    assert received(rig, frames[2:]) == []


def test_datagrams_with_other_identifications_do_not_mix(rig: FlowRig) -> None:
    first, _ = allow(rig, LOCAL)
    second, _ = allow(rig, Key(GUEST1_NH, "15.0.0.3", "15.0.0.4", UDP_PROTO, 3333, 2222))
    one, two = pieces(datagram()), pieces(datagram(ident=8, sport=3333))
    received(rig, [frame for pair in zip(one, two, strict=True) for frame in pair])
    assert (rig.entry(first).packets, rig.entry(second).packets) == (3, 3)


def test_duplicates_pass_and_change_nothing(rig: FlowRig) -> None:
    index, _ = allow(rig, LOCAL)
    frames = pieces(datagram())
    assert len(received(rig, [frames[0], frames[0], frames[1], frames[1], frames[2]])) == 5
    assert rig.entry(index).packets == 5


def raw4(offset: int, payload: bytes, *, more: bool, proto: int = UDP_PROTO) -> bytes:
    flags = 1 if more else 0
    header = IP(src="15.0.0.3", dst="15.0.0.4", id=7, frag=offset // 8, flags=flags, proto=proto)
    return guest_frame(header / Raw(payload))


HEAD = bytes(UDP(sport=1111, dport=2222, len=800)) + bytes(792)


@pytest.mark.parametrize(
    ("what", "bad"),
    [
        ("a second head with other ports", raw4(0, b"\x09" * 800, more=True)),
        ("a second head of another length", raw4(0, HEAD[:400], more=True)),
        ("bytes over those of the head", raw4(8, bytes(800), more=True)),
        ("not a multiple of eight", raw4(800, bytes(801), more=True)),
        ("nothing in it", raw4(800, b"", more=False)),
        ("beyond the largest datagram", raw4(65528, bytes(16), more=False)),
    ],
)
def test_fragments_that_cannot_be_are_counted(rig: FlowRig, what: str, bad: bytes) -> None:
    allow(rig, LOCAL)
    good = raw4(800, bytes(800), more=False)
    got = received(rig, [raw4(0, HEAD, more=True), bad, good])
    assert len(got) == 2, what
    assert rig.drops() == {"fragments": 1}


def test_tiny_heads_and_tcp_flags_behind_the_head_are_dropped(rig: FlowRig) -> None:
    allow(rig, Key(GUEST1_NH, "15.0.0.3", "15.0.0.4", TCP_PROTO, 1111, 2222))
    tcp = bytes(TCP(sport=1111, dport=2222, flags="S"))
    assert received(rig, [raw4(0, tcp[:8], more=True, proto=TCP_PROTO)]) == []
    assert received(rig, [raw4(8, tcp[8:], more=False, proto=TCP_PROTO)]) == []
    assert sum(rig.drops().values()) == 2


def test_ports_of_followers_are_not_read_from_their_payload(rig: FlowRig) -> None:
    """A follower whose first bytes look like an allowed flow's ports is none of it."""
    allow(rig, LOCAL)
    other = raw4(0, bytes(UDP(sport=9, dport=9, len=1600)) + bytes(792), more=True)
    sent = rig.send(TAP1, other)
    assert len(traps(sent)) == 1
    assert others(rig.send(TAP1, raw4(800, HEAD, more=False))) == []


def test_a_flood_of_followers_is_bounded_and_counted(rig: FlowRig) -> None:
    allow(rig, LOCAL)
    template = bytearray(raw4(800, bytes(8), more=True))
    for ident in range(40):
        for offset in range(100, 200):
            struct.pack_into(">HHBBH", template, 14 + 4, ident, 0x2000 | offset, 64, 17, 0)
            rig.dp.inject(TAP1, bytes(template))
    drops = rig.drops()
    assert drops == {"fragment_queue_fail": 4000 - 1024}
    rig.dp.advance(2.1)
    assert rig.drops() == {"fragment_queue_fail": 4000 - 1024, "no_frag_entry": 1024}
    assert len(received(rig, pieces(datagram()))) == 3


def test_more_datagrams_than_there_is_room_for_push_out_the_oldest(rig: FlowRig) -> None:
    allow(rig, LOCAL)
    frames = pieces(datagram(ident=1))
    assert received(rig, frames[1:2]) == []
    template = bytearray(raw4(800, bytes(8), more=True))
    for ident in range(10_000):
        struct.pack_into(">HHBBH", template, 14 + 4, 2 + ident, 0x2064, 64, 17, 0)
        rig.dp.inject(TAP1, bytes(template))
    assert rig.drops()["no_frag_entry"] >= 1
    assert sum(rig.drops().values()) + 1024 == 10_001


def test_icmp_echo_in_fragments_has_the_identifier_of_its_head(rig: FlowRig) -> None:
    packet = IP(src="15.0.0.3", dst="15.0.0.4", id=9) / ICMP(type=8, id=0x1234) / Raw(bytes(3000))
    index, _ = allow(rig, Key(GUEST1_NH, "15.0.0.3", "15.0.0.4", 1, 0x1234, 0))
    frames = pieces(packet)
    assert len(received(rig, [frames[1], frames[0], frames[2]])) == 3
    assert rig.entry(index).packets == 3


def test_a_whole_ipv6_packet_in_one_fragment_needs_no_head(rig: FlowRig) -> None:
    """RFC 6946: it is not mixed up with others of its identification."""
    index, _ = allow(rig, LOCAL6)
    frames = pieces6(step=1200)
    assert len(received(rig, frames[:1])) == 1
    atom = IPv6(src="fd00::3", dst="fd00::4", nh=44) / IPv6ExtHdrFragment(nh=UDP_PROTO, id=7)
    atom = atom / UDP(sport=1111, dport=2222) / Raw(b"z" * 20)
    assert len(received(rig, [guest_frame(atom)])) == 1
    assert len(received(rig, frames[1:])) == 2
    assert rig.entry(index).packets == 4


def test_ipv6_extension_headers_that_end_nowhere_are_dropped(rig: FlowRig) -> None:
    cut = IPv6(src="fd00::3", dst="fd00::4", nh=44, plen=8) / Raw(b"\x3c\0\0\1\0\0\0\7")
    assert others(rig.send(TAP1, guest_frame(cut))) == []
    twice = IPv6(src="fd00::3", dst="fd00::4", nh=44) / Raw(
        b"\x2c\0\0\1\0\0\0\7" + b"\x11\0\0\1\0\0\0\7" + bytes(16)
    )
    assert others(rig.send(TAP1, guest_frame(twice))) == []
    assert sum(rig.drops().values()) == 2
    assert rig.entries() == []


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 0xFFFF),
            st.binary(max_size=48),
            st.sampled_from([6, 17, 1, 44, 0, 60, 51, 132]),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_hostile_fragments_are_forwarded_held_or_counted(moves: list[Any]) -> None:
    """Every frame ends once: at the guest, with the agent's queue, waiting, or as a drop."""
    rig = FlowRig().build()
    allow(rig, LOCAL)
    for ident, field, payload, proto, v6 in moves:
        if v6:
            header = struct.pack(">BBHI", proto, 0, field & 0xFFF9, ident)
            packet = IPv6(src="fd00::3", dst="fd00::4", nh=44) / Raw(header + payload)
        else:
            packet = IP(src="15.0.0.3", dst="15.0.0.4", id=ident, proto=proto) / Raw(payload)
        frame = bytearray(guest_frame(packet))
        if not v6:
            struct.pack_into(">H", frame, 14 + 6, field & 0x3FFF)
        rig.dp.inject(TAP1, bytes(frame))
    out = others([(vif, frame) for vif, frame, _ in rig.dp.captured()])
    for entry in rig.entries():
        if entry.action == 1:
            assert rig.dp.flow_set(
                index=entry.index, gen_id=entry.gen_id, family=entry.key[0], proto=entry.key[1],
                sport=int.from_bytes(entry.key[4:6], "little"),
                dport=int.from_bytes(entry.key[6:8], "little"),
                nh_id=int.from_bytes(entry.key[8:12], "little"),
                sip_u=int.from_bytes(entry.key[12:20], "little"),
                sip_l=int.from_bytes(
                    entry.key[12:16] if entry.key[0] == 2 else entry.key[20:28], "little"
                ),
                dip_u=int.from_bytes(entry.key[28:36], "little") if entry.key[0] == 10 else 0,
                dip_l=int.from_bytes(
                    entry.key[16:20] if entry.key[0] == 2 else entry.key[36:44], "little"
                ),
                flags=1, action=FORWARD, vrf=1,
            ).code == 0  # fmt: skip
    rig.dp.advance(2.1)
    out += others([(vif, frame) for vif, frame, _ in rig.dp.captured()])
    assert len(out) + sum(rig.drops().values()) == len(moves)
