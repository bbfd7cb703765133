"""Hostile packets, floods and damaged tables, through data plane, decisions, pairs and scanner.

Every frame is sent by a guest and, as far as a tunnel carries it, by a peer. Afterwards each is
accounted for (it went out, it went to the agent's services, or a drop was counted), both sides know
of the same flows, nobody waits, and new flows get through.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.fault.flow_node import ADDRESSES, MACS, REMOTE, FlowNode, damage
from tests.unit.forwarder.dataplane_rig import FABRIC, TAP1, TAP2
from tests.unit.forwarder.flow_rig import from_fabric, guest_frame, udp

MINE, OTHERS = ADDRESSES[TAP1][0], ADDRESSES[TAP2][0]
MINE6, OTHERS6 = ADDRESSES[TAP1][1], ADDRESSES[TAP2][1]
FAR, FAR6 = REMOTE
LOOSE_ROUTE = b"\x83\x0b\x04" + bytes((15, 0, 0, 4, 15, 0, 0, 9)) + b"\x00"
RECORD_ROUTE = b"\x07\x27\x04" + bytes(36) + b"\x00"
# Option lengths of 0, 1 and of more than there is.
BROKEN_OPTIONS = (
    b"\x83\x00\x00\x00",
    b"\x83\x01\x00\x00",
    b"\x07\xff\x04\x00",
    b"\x44\x28\x05\x01",
)

SOUND = (b"\x02", b"\x0a")  # families of keys

Corpus = Iterator[Packet | bytes]


def land() -> Corpus:
    """From an address to itself, with equal ports; from groups and to nowhere."""
    for end in (MINE, "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1"):
        yield IP(src=end, dst=end) / UDP(sport=7, dport=7)
        yield IP(src=end, dst=end) / TCP(sport=139, dport=139)
        yield IP(src=MINE, dst=end) / ICMP()
        yield IP(src=end, dst=OTHERS) / ICMP()
    for end in (MINE6, "::1", "::", "ff02::1"):
        yield IPv6(src=end, dst=end) / TCP(sport=139, dport=139)
        yield IPv6(src=end, dst=OTHERS6) / UDP(sport=7, dport=7)


def lengths() -> Corpus:
    """Lengths that are zero, too small, or more than there is."""
    for size in (0, 1, 19, 20, 21, 27, 28, 1400, 65535):
        yield IP(src=MINE, dst=OTHERS, len=size) / UDP(sport=1, dport=2) / b"xxxx"
        yield IP(src=MINE, dst=OTHERS) / UDP(sport=1, dport=size, len=size)
        yield IPv6(src=MINE6, dst=OTHERS6, plen=size) / UDP(sport=3, dport=2)
    for ihl in (0, 1, 4, 6, 15):
        yield IP(src=MINE, dst=OTHERS, ihl=ihl) / UDP(sport=4, dport=2)
    for offset in (0, 1, 4, 15):
        yield IP(src=MINE, dst=OTHERS) / TCP(sport=5, dport=6, dataofs=offset, flags="S")
    whole = bytes(IP(src=MINE, dst=OTHERS) / TCP(sport=8, dport=9))
    yield from (whole[:size] for size in range(len(whole)))
    whole = bytes(IPv6(src=MINE6, dst=OTHERS6) / UDP(sport=8, dport=9))
    yield from (whole[:size] for size in range(len(whole)))


def fragments() -> Corpus:
    """Overlapping, in the wrong order, without a head, beyond the end, tiny."""
    for ident, places in enumerate(
        (
            [(0, 1, 32), (1, 0, 8)],
            [(0, 1, 32), (2, 1, 32), (3, 0, 32)],
            [(3, 0, 32), (0, 1, 24), (0, 1, 24)],
            [(1, 1, 8), (2, 0, 8)],
            [(8191, 0, 32)],
            [(0, 1, 8), (8189, 0, 64)],
            [(0, 1, 0), (0, 0, 0)],
            [(0, 1, 1), (0, 1, 7)],
        )
    ):
        for offset, more, size in places:
            piece = bytes(UDP(sport=ident, dport=9, len=500) / Raw(b"y" * 40))[:size]
            yield IP(src=MINE, dst=OTHERS, id=ident, frag=offset, flags=more, proto=17) / piece
            head = IPv6ExtHdrFragment(nh=17, offset=offset, m=more, id=ident)
            yield IPv6(src=MINE6, dst=OTHERS6) / head / piece


def checksums() -> Corpus:
    """Wrong ones, and those that say that there is none."""
    for wrong in (0, 1, 0xFFFF):
        yield IP(src=MINE, dst=OTHERS, chksum=wrong) / UDP(sport=wrong, dport=1)
        yield IP(src=MINE, dst=OTHERS) / UDP(sport=wrong, dport=2, chksum=wrong)
        yield IP(src=MINE, dst=OTHERS) / TCP(sport=wrong, dport=3, chksum=wrong)
        yield IP(src=MINE, dst=OTHERS) / ICMP(id=wrong, chksum=wrong)
        yield IPv6(src=MINE6, dst=OTHERS6) / UDP(sport=wrong, dport=4, chksum=wrong)


def options() -> Corpus:
    """IPv4 options, whole and broken."""
    for number, raw in enumerate((LOOSE_ROUTE, RECORD_ROUTE, b"\x01" * 40, *BROKEN_OPTIONS)):
        content = bytes(UDP(sport=number, dport=1, len=12)) + b"data"
        head = bytes(IP(src=MINE, dst=OTHERS, proto=17, ihl=5 + len(raw) // 4, len=0))[:20]
        whole = len(head + raw + content).to_bytes(2, "big")
        yield head[:2] + whole + head[4:] + raw + content
        yield head[:2] + whole + head[4:] + raw[: len(raw) // 2]


def chains() -> Corpus:
    """IPv6 extension headers: many, cut off, in odd orders, of no end."""
    base = IPv6(src=MINE6, dst=OTHERS6)
    for count in (1, 7, 40):
        chain = base
        for _ in range(count):
            chain = chain / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
        yield chain / UDP(sport=count, dport=1)
        yield bytes(chain / UDP(sport=count, dport=2))[: 40 + 8 * count - 3]
    hop = IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
    yield base / UDP(sport=1, dport=3) / hop
    yield base / hop / hop / TCP(sport=2, dport=3)
    yield base / IPv6ExtHdrRouting(type=0, addresses=[FAR6, MINE6]) / UDP(sport=3, dport=3)
    for following in (0, 43, 44, 50, 51, 59, 60, 135, 255):
        yield IPv6(src=MINE6, dst=OTHERS6, nh=following) / Raw(bytes((following, 255)) + bytes(14))
        yield IPv6(src=MINE6, dst=OTHERS6, nh=following)


def tunnels() -> Corpus:
    """Tunnels in tunnels, to the host itself, to a VM, with labels that lead back or nowhere."""
    inner: Packet = IP(src=OTHERS, dst=MINE) / UDP(sport=1, dport=2)
    for depth in range(6):
        for label in (0, 3, 16, 17, 0xFFFFF):
            shim = MPLS(label=label, s=1, ttl=64)
            for target in ("10.0.0.1", OTHERS, FAR):
                outer = IP(src=MINE, dst=target)
                yield outer / UDP(sport=depth, dport=6635) / shim / inner
                yield outer / GRE(proto=0x8847) / shim / inner
        inner = IP(src=MINE, dst=OTHERS) / UDP(sport=9, dport=6635) / MPLS(label=16, s=1) / inner
    frame = Ether(src="02:00:00:00:00:09") / inner
    for vni in (0, 100, 0xFFFFFF):
        yield IP(src=MINE, dst="10.0.0.1") / UDP(sport=3, dport=4789) / VXLAN(vni=vni) / frame
        yield IP(src=MINE, dst=OTHERS) / UDP(sport=3, dport=4789) / VXLAN(vni=vni)
    yield IP(src=MINE, dst=OTHERS, proto=4) / IP(src=MINE, dst=OTHERS, proto=4) / inner
    yield IP(src=MINE, dst=OTHERS) / UDP(dport=6635) / MPLS(label=16, s=0, ttl=1)


def errors() -> Corpus:
    """ICMP errors whose inner packet is cut anywhere, wrong, or an error itself."""
    quoted = bytes(IP(src=OTHERS, dst=MINE) / UDP(sport=1, dport=2) / b"12345678")
    for size in range(len(quoted) + 1):
        yield IP(src=MINE, dst=OTHERS) / ICMP(type=3, code=size % 16) / Raw(quoted[:size])
    for wrong in (b"\x4f", b"\x40", b"\x65", b"\xff"):
        yield IP(src=MINE, dst=OTHERS) / ICMP(type=11) / Raw(wrong + quoted[1:])
    nested = IP(src=OTHERS, dst=MINE) / ICMP(type=3) / Raw(quoted)
    yield IP(src=MINE, dst=OTHERS) / ICMP(type=3) / Raw(bytes(nested))
    yield IP(src=MINE, dst=OTHERS) / ICMP(type=5, gw=FAR) / Raw(quoted)
    quoted = bytes(IPv6(src=OTHERS6, dst=MINE6) / UDP(sport=1, dport=2) / b"12345678")
    for size in range(len(quoted) + 1):
        yield IPv6(src=MINE6, dst=OTHERS6) / ICMPv6PacketTooBig() / Raw(quoted[:size])


CORPORA = (land, lengths, fragments, checksums, options, chains, tunnels, errors)


def ether_type(packet: bytes) -> bytes:
    return b"\x86\xdd" if packet[:1] >= b"\x60" else b"\x08\x00"


def from_guest(packet: bytes) -> bytes:
    return guest_frame(Raw(b""), src=MACS[TAP1])[:12] + ether_type(packet) + packet


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.__name__)
def test_every_packet_is_accounted_for(corpus: Callable[[], Corpus]) -> None:
    node = FlowNode()
    packets = [bytes(packet) for packet in corpus()]
    for packet in packets:
        for vif, frame in ((TAP1, from_guest(packet)), (FABRIC, from_fabric(Raw(packet)))):
            others, drops = node.other_traps.total(), node.drops()
            went = len(node.send(vif, frame))
            went += node.other_traps.total() - others + node.drops() - drops
            # A fragment may wait for its head; what is dropped or goes out may be a copy as well.
            assert went >= 1 or corpus is fragments, frame.hex()
    node.advance(6.0)
    node.check()
    assert node.talks()
    assert node.talks(TAP2, TAP1)
    node.check()


def test_fragments_without_a_head_are_dropped_and_counted_in_the_end() -> None:
    node = FlowNode()
    for packet in fragments():
        node.send(TAP1, from_guest(bytes(packet)))
    before = node.drops()
    node.rig.dp.advance(60.0)
    node.talks()
    assert node.drops() > before
    node.check()


def test_replies_of_a_stranger_end_up_in_flows_of_their_own() -> None:
    """Answers to nothing: each is a flow that is refused or not, and none is left half done."""
    node = FlowNode()
    for port in range(200):
        packet = IP(src=FAR, dst=MINE) / TCP(sport=80, dport=port, flags="SA")
        node.send(FABRIC, from_fabric(packet))
    node.check()
    assert node.pairs.counters["pairs_created"] == 200


def test_the_limit_of_a_flooding_guest_holds_and_others_are_served() -> None:
    node = FlowNode(max_flows=100)
    for port in range(400):
        node.send(TAP1, guest_frame(udp(MINE, FAR, 1 + port, 53), src=MACS[TAP1]))
        if port % 50 == 0:
            packet = udp(OTHERS, FAR, 1 + port, 53)
            went = node.send(TAP2, guest_frame(packet, src=MACS[TAP2]))
            assert [out for out, _ in went] == [FABRIC]
        assert node.pairs.flows_of(TAP1) <= 100
    assert node.pairs.flows_of(TAP1) == 100
    assert node.pairs.counters["pairs_limited"] == 400 - 50
    node.check()
    node.advance(8.0)
    node.check()
    assert len(node.pairs) == 50 + 8, "those that were refused are gone"


@pytest.mark.parametrize("seed", range(3))
def test_damaged_entries_are_noticed_and_put_right(seed: int) -> None:
    """Bits turn in entries while they are in use."""
    node, rng = FlowNode(), random.Random(seed)
    frames = [guest_frame(udp(MINE, OTHERS, port, 53), src=MACS[TAP1]) for port in range(100, 160)]
    for frame in frames:
        node.send(TAP1, frame)
    node.check()
    for _ in range(12):
        damage(node, rng, 10)
        for frame in frames:
            node.send(TAP1, frame)
        node.advance(1.0)
    node.advance(400.0)
    assert node.talks()
    assert node.talks(TAP2, TAP1)
    assert sum(node.scanner.counters[name] for name in ("missing", "unknown", "corrupt")) > 0
    known, there = node.known(), node.there()
    assert known.items() <= there.items()
    assert len(known) == 4, "what nobody uses any more has aged"
    unnamed = [key for index, (key, _) in there.items() if index not in known]
    assert all(key[:1] not in SOUND or key[2:4] != b"\0\0" for key in unnamed), (
        "only entries that no request can name are left"
    )
