"""DNS, DHCPv6 and ICMP decoding, the builders' refusals, and checksums."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp6 import DUID_LL, DHCP6_Solicit, DHCP6OptClientId, DHCP6OptIA_NA
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import Ether
from scapy.utils import checksum

from agent._fast.packet import DhcpAnswer, arp_frame_bytes, internet_checksum
from agent.errors import PacketError
from agent.pkt import FrameBatch, Packet, Port, dhcp6, dns, parse

LABEL = st.text("abcxyz019-", min_size=1, max_size=20)
NAME = st.lists(LABEL, min_size=1, max_size=6).map(".".join)


@given(
    st.integers(0, 0xFFFF), st.lists(st.tuples(NAME, st.integers(1, 255)), min_size=1, max_size=4)
)
def test_dns_questions_of_another_encoder(xid: int, asked: list[tuple[str, int]]) -> None:
    query = DNS(id=xid, rd=1, qd=[DNSQR(qname=name, qtype=kind) for name, kind in asked])
    message = dns.parse(bytes(query))
    assert (message.xid, message.response, message.recursion_desired) == (xid, False, True)
    assert [(q.name, q.type, q.klass) for q in message.questions] == [(n, k, 1) for n, k in asked]


def test_dns_compression_and_root() -> None:
    header = bytes.fromhex("000100000002000000000000")
    message = dns.parse(
        header + b"\x01a\x01b\x00\x00\x01\x00\x01" + b"\x01c\xc0\x0e\x00\x02\x00\x01"
    )
    assert [q.name for q in message.questions] == ["a.b", "c.b"]
    root = dns.parse(header[:5] + b"\x01" + header[6:] + b"\x00\x00\x02\x00\x01")
    assert [q.name for q in root.questions] == ["."]


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (b"\xc0\x0c\x00\x01\x00\x01", "dns-name-loop"),
        (b"\xc0", "dns-question-truncated"),
        (b"\x03ab", "dns-question-truncated"),
        (b"\x01a\x00\x00\x01", "dns-question-truncated"),
        (b"\x40a\x00\x00\x01\x00\x01", "dns-bad-name"),
        (b"\x3f" + b"a" * 63 + b"\xc0\x0c", "dns-bad-name"),
        (b"", "dns-short"),
    ],
)
def test_dns_refusals(question: bytes, reason: str) -> None:
    with pytest.raises(PacketError, match=reason):
        dns.parse(bytes.fromhex("000100000001000000000000") + question)


def without_crash(decoder: object, data: bytes) -> bool:
    try:
        return decoder(data) is not None  # type: ignore[operator]
    except PacketError as refusal:
        return bool(refusal.reason)


@given(st.binary(max_size=200), st.sampled_from([dns.parse, dhcp6.parse]))
def test_any_bytes_decode_or_are_refused(data: bytes, decoder: object) -> None:
    assert without_crash(decoder, data)


def test_dhcpv6_of_another_encoder() -> None:
    solicit = (
        DHCP6_Solicit(trid=0xABCDEF)
        / DHCP6OptClientId(duid=DUID_LL(lladdr="02:11:22:33:44:55"))
        / DHCP6OptIA_NA(iaid=7, T1=1, T2=2)
    )
    message = dhcp6.parse(bytes(solicit))
    assert (message.msg_type, message.xid, message.server_duid) == (1, 0xABCDEF, None)
    assert message.client_duid == bytes.fromhex("00030001021122334455")
    assert message.associations == (dhcp6.Association(7, 1, 2, temporary=False),)


ETHERNET = Ether(dst="00:00:5e:00:01:00", src="02:11:22:33:44:55")
ECHO = ETHERNET / IP(src="10.1.1.3", dst="10.1.1.1") / ICMP(type=8, id=1)
ECHO6 = ETHERNET / IPv6(src="fd00::3", dst="fd00::1") / ICMPv6EchoRequest(id=1)


@pytest.mark.parametrize(("echo", "member", "at"), [(ECHO, "icmp", 34), (ECHO6, "icmpv6", 54)])
@pytest.mark.parametrize("payload", [b"", b"x", b"xy", bytes(63)])
def test_icmp_checksums(echo: Any, member: str, at: int, payload: bytes) -> None:
    good = bytes(echo / payload)
    assert parse(good)[member]["checksum_ok"] is True
    for bit in range(8):
        damaged = bytearray(good)
        damaged[at + 5] ^= 1 << bit
        assert parse(damaged)[member]["checksum_ok"] is False


def test_neighbour_advertisement() -> None:
    option = ICMPv6NDOptDstLLAddr(lladdr="02:11:22:33:44:55")
    na = ETHERNET / IPv6(src="fd00::3", dst="fd00::1") / ICMPv6ND_NA(tgt="fd00::3", S=1) / option
    fields = parse(bytes(na))["icmpv6"]
    assert fields["tlla"] == "02:11:22:33:44:55"
    assert (fields["target"], fields["solicited"]) == ("fd00::3", True)


@given(st.binary(max_size=200))
def test_internet_checksum(data: bytes) -> None:
    assert internet_checksum(data) == checksum(data)


MAC = b"\x02\x00\x00\x00\x00\x01"
ARP_FRAME = {
    "ifindex": 1,
    "vrf": 2,
    "op": 1,
    "eth_dst": MAC,
    "eth_src": MAC,
    "sender_mac": MAC,
    "sender": 1,
    "target_mac": MAC,
    "target": 2,
}


@pytest.mark.parametrize("member", ["eth_dst", "eth_src", "sender_mac", "target_mac"])
@pytest.mark.parametrize("mac", [b"", b"12345", b"1234567", None, "123456"])
def test_macs_have_six_bytes(member: str, mac: object) -> None:
    with pytest.raises(ValueError, match="6 bytes"):
        arp_frame_bytes(**{**ARP_FRAME, member: mac})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("member", "value"), [("ifindex", 65536), ("vrf", -1), ("sender", 1 << 32)]
)
def test_numbers_fit_their_fields(member: str, value: int) -> None:
    with pytest.raises(OverflowError):
        arp_frame_bytes(**{**ARP_FRAME, member: value})  # type: ignore[arg-type]


def test_an_answer_too_long_for_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        DhcpAnswer(
            ifindex=1, vrf=1, source_mac=MAC, source=1, next_server=1, address=1, head=bytes(9000)
        )


def test_label_kinds_are_checked() -> None:
    with pytest.raises(ValueError, match="label 5"):
        Port(labels={5: 9})


def test_a_batch_may_be_refilled_while_a_packet_looks_at_it() -> None:
    """The packet's numbers stay those of the first frame; nothing is read out of bounds."""
    batch, packet = FrameBatch(1), Packet()
    batch.fill([bytes(14) + b"\x00\x07\x00\x03\x00\x02" + bytes(24) + b"x" * 1000])
    assert packet.open_slot(batch, 0) == 0
    batch.fill([b"short"])
    assert packet.ifindex == 7
    assert packet.parse(Port()) == 0
    assert len(packet.payload) == 1000 - 14
