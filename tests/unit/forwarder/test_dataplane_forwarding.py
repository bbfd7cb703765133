"""Bridging, routing, replication, tunnels, traps: one behaviour a test."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.dhcp6 import DHCP6_Solicit
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_RS, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from agent._fast.forwarding import VIF_COUNTERS
from tests.unit.forwarder.dataplane_rig import (
    AGENT,
    BROADCAST,
    FABRIC,
    MAC1,
    MAC2,
    ROUTER_MAC,
    TAP1,
    TAP2,
    VHOST,
    Rig,
    address,
    new_datapath,
)

REMOTE_MAC = bytes.fromhex("023333333333")
FABRIC_MAC, PEER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"
TRAP = {"nexthop": 4, "resolve": 5, "l3": 7, "diag": 8, "df": 11, "ttl": 12, "icmp": 13, "ra": 16}


def text(mac: bytes) -> str:
    return mac.hex(":")


def ether(src: bytes, dst: bytes, payload: Any) -> bytes:
    return bytes(Ether(src=text(src), dst=text(dst)) / payload)


def udp(src: str, dst: str, *, ttl: int = 64, size: int = 32, flags: Any = 0, **more: Any) -> Any:
    return (
        IP(src=src, dst=dst, ttl=ttl, flags=flags, **more)
        / UDP(sport=1111, dport=2222)
        / Raw(b"x" * size)
    )


def routed(dst: str, **more: Any) -> bytes:
    """From the first guest to its router."""
    return ether(MAC1, ROUTER_MAC, udp("15.0.0.3", dst, **more))


def underlay(payload: Any, *, src: str = "10.0.0.2", dst: str = "10.0.0.1", **more: Any) -> bytes:
    return bytes(Ether(src=PEER_MAC, dst=FABRIC_MAC) / IP(src=src, dst=dst, **more) / payload)


def mpls_udp(label: int, inner: bytes, *, ttl: int = 64, port: int = 6635, **more: Any) -> bytes:
    shim = MPLS(label=label, s=1, ttl=ttl) / Raw(inner)
    return underlay(UDP(sport=50000, dport=port, chksum=0) / shim, **more)


def trapped(sent: list[tuple[int, bytes]]) -> list[int]:
    return [int.from_bytes(frame[18:20], "big") for vif, frame in sent if vif == AGENT]


@pytest.fixture
def rig() -> Rig:
    return Rig().build()


# --- sizes and bad frames


@pytest.mark.parametrize("vif", [FABRIC, VHOST, TAP1])
def test_frame_without_an_ethernet_header(rig: Rig, vif: int) -> None:
    assert rig.send(vif, b"\0" * 13) == []
    assert rig.drops() == {"pull": 1}
    counters, drops = rig.dp.vif_stats(vif) or ((), ())
    assert dict(zip(VIF_COUNTERS, counters, strict=True))["ierrors"] == 1
    assert drops[2] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ihl": 4}, "invalid_packet"),
        ({"version": 5}, "invalid_packet"),
        ({"len": 19}, "invalid_packet"),
        ({"len": 400}, "pull"),
    ],
)
def test_bad_ip_header_is_not_routed(rig: Rig, change: dict[str, int], reason: str) -> None:
    assert rig.send(TAP1, routed("15.0.0.4", **change)) == []
    assert rig.drops() == {reason: 1}


def test_padding_is_cut_when_routed_and_kept_when_bridged(rig: Rig) -> None:
    short = udp("15.0.0.3", "15.0.0.4", size=1)
    padded = ether(MAC1, ROUTER_MAC, short) + b"\0" * 17
    ((vif, frame),) = rig.send(TAP1, padded)
    assert (vif, len(frame)) == (TAP2, 14 + 29)
    bridged = ether(MAC1, MAC2, short) + b"\0" * 17
    assert rig.send(TAP1, bridged) == [(TAP2, bridged)]


def test_agent_frame_too_short(rig: Rig) -> None:
    assert rig.send(AGENT, b"\0" * 57) == []
    assert rig.drops() == {"invalid_packet": 1}


# --- TTL


def test_routed_packet_loses_a_hop(rig: Rig) -> None:
    ((vif, frame),) = rig.send(TAP1, routed("15.0.0.4", ttl=7))
    expected = ether(ROUTER_MAC, MAC2, udp("15.0.0.3", "15.0.0.4", ttl=6))
    assert (vif, frame) == (TAP2, expected)


@pytest.mark.parametrize("ttl", [0, 1])
def test_last_hop_is_trapped(rig: Rig, ttl: int) -> None:
    frame = routed("15.0.0.4", ttl=ttl, size=300)
    sent = rig.send(TAP1, frame)
    assert trapped(sent) == [TRAP["ttl"]]
    assert len(sent[0][1]) == 44 + 190
    assert sent[0][1][44 + 22] == 0


def test_gateway_address_takes_no_hop(rig: Rig) -> None:
    frame = routed("15.0.0.1", ttl=1)
    sent = rig.send(TAP1, frame)
    assert trapped(sent) == [TRAP["nexthop"]]
    assert sent[0][1][44:] == frame
    assert sent[0][1][14:44] == b"\0\x03\0\x01\0\x04" + bytes(24)


def test_inet6_takes_no_hop(rig: Rig) -> None:
    rig.dp.route_add(1, 10, bytes.fromhex("fd" + "0" * 29 + "4"), 128, nh=5)
    packet = IPv6(src="fd00::3", dst="fd00::4", hlim=1) / UDP(sport=1, dport=2)
    ((vif, frame),) = rig.send(TAP1, ether(MAC1, ROUTER_MAC, packet))
    assert (vif, frame) == (TAP2, ether(ROUTER_MAC, MAC2, packet))


@pytest.mark.parametrize(("ttl", "out"), [(2, 1), (1, 0), (0, 0)])
def test_label_ttl(rig: Rig, ttl: int, out: int) -> None:
    sent = rig.send(FABRIC, mpls_udp(16, bytes(udp("15.0.0.9", "15.0.0.3")), ttl=ttl))
    assert len(sent) == out
    assert rig.drops() == ({} if out else {"ttl_exceeded": 1})


def test_a_copy_that_goes_on_in_another_tunnel_has_one_hop_less(rig: Rig) -> None:
    rig.tunnel(50, 0x40, "10.0.0.50")
    rig.composite(22, 0x0201, [50], [2000])
    rig.composite(20, 0x21, [22])
    rig.dp.label_set(2001, 20)
    frame = ether(MAC1, BROADCAST, udp("15.0.0.3", "15.0.0.255"))
    sent = rig.send(FABRIC, fabric_copy(frame, 2001, "10.0.0.77", ttl=9))
    assert [out[42:46] for _, out in sent] == [(2000 << 12 | 0x100 | 8).to_bytes(4, "big")]


def test_copies_are_not_copied_again(rig: Rig) -> None:
    for nh in range(30, 60):
        assert rig.dp.nexthop_set(nh, type=7, family=7, flags=1, vrf=1) == 0
    rig.composite(20, 0x1, list(range(30, 60)))
    frame = ether(MAC1, BROADCAST, udp("15.0.0.3", "15.0.0.255"))
    assert rig.send(TAP1, frame) == []
    assert rig.drops() == {"pkt_loop": 30, "cloned_original": 1}


def test_nexthops_that_lead_in_a_circle_end(rig: Rig) -> None:
    rig.dp.nexthop_set(30, type=7, family=2, flags=1, vrf=1)
    rig.route("16.0.0.0/8", 30)
    assert rig.send(TAP1, routed("16.0.0.1")) == []
    assert rig.drops() == {"pkt_loop": 1}


# --- lookups that end


def test_no_route_is_discarded(rig: Rig) -> None:
    assert rig.send(TAP1, routed("99.0.0.1")) == []
    assert rig.drops() == {"discard": 1}
    assert rig.vrf_counters()["discards"] == 1


def test_deleted_nexthop_drops(rig: Rig) -> None:
    assert rig.dp.nexthop_delete(5) == 0
    assert rig.send(TAP1, routed("15.0.0.4")) == []
    assert rig.drops() == {"invalid_nh": 1}


def test_invalid_nexthop_drops(rig: Rig) -> None:
    rig.encap(5, TAP2, MAC2, flags=0)
    assert rig.send(TAP1, routed("15.0.0.4")) == []
    assert rig.drops() == {"invalid_nh": 1}


def test_deleted_vif_drops(rig: Rig) -> None:
    assert rig.dp.vif_delete(TAP2) == 0
    assert rig.send(TAP1, ether(MAC1, MAC2, udp("15.0.0.3", "15.0.0.4"))) == []
    assert rig.drops() == {"invalid_if": 1}


def test_unknown_unicast_floods_when_the_vif_says_so(rig: Rig) -> None:
    frame = ether(MAC1, REMOTE_MAC, udp("15.0.0.3", "15.0.0.5"))
    assert rig.send(TAP1, frame) == []
    rig.dp.vif_set(TAP1, type=3, flags=0x1C0 | 0x10000, vrf=1)
    assert rig.send(TAP1, frame) == [(TAP2, frame)]
    assert rig.vrf_counters()["uuc_floods"] == 1


def test_vrf_translate_routes_in_the_other_vrf(rig: Rig) -> None:
    rig.dp.nexthop_set(30, type=7, family=2, flags=1, vrf=2)
    rig.route("16.0.0.0/8", 30)
    rig.route("16.0.0.1/32", 5, vrf=2)
    ((vif, frame),) = rig.send(TAP1, routed("16.0.0.1", ttl=9))
    assert (vif, frame[22]) == (TAP2, 8)


# --- protocols of the agent


def test_dhcp_of_a_guest_without_the_flag_goes_by_its_bridge_entry(rig: Rig) -> None:
    rig.dp.vif_set(TAP1, type=3, flags=0xC0, vrf=1)
    discover = ether(
        MAC1, BROADCAST, IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
    )
    assert trapped(rig.send(TAP1, discover)) == [TRAP["l3"]]
    rig.dp.bridge_add(1, MAC1, nh=1, flags=4)
    assert rig.send(TAP1, discover) == [(TAP2, discover)]


def test_dhcp_of_a_guest_that_is_only_routed(rig: Rig) -> None:
    rig.dp.vif_set(TAP1, type=3, flags=0x140, vrf=1)
    packet = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
    discover = ether(MAC1, BROADCAST, packet)
    sent = rig.send(TAP1, discover)
    assert (trapped(sent), sent[0][1][44:]) == ([TRAP["l3"]], discover)
    ((vif, _),) = rig.send(TAP1, routed("15.0.0.4"))
    assert vif == TAP2


def test_unicast_dhcp_to_the_gateway_reaches_the_agent(rig: Rig) -> None:
    renew = ether(MAC1, ROUTER_MAC, IP(src="15.0.0.3", dst="15.0.0.1") / UDP(sport=68, dport=67))
    assert trapped(rig.send(TAP1, renew)) == [TRAP["nexthop"]]


@pytest.mark.parametrize(
    "frame",
    [
        ether(
            MAC1, bytes.fromhex("333300000002"), IPv6(src="fe80::3", dst="ff02::2") / ICMPv6ND_RS()
        ),
        ether(MAC1, ROUTER_MAC, IPv6(src="fe80::3", dst="fe80::1") / ICMPv6ND_RS()),
        ether(
            MAC1,
            bytes.fromhex("333300010002"),
            IPv6(src="fe80::3", dst="ff02::1:2") / UDP(sport=546, dport=547) / DHCP6_Solicit(),
        ),
        ether(
            MAC1,
            ROUTER_MAC,
            IPv6(src="fe80::3", dst="fd00::1") / UDP(sport=546, dport=547) / DHCP6_Solicit(),
        ),
    ],
    ids=["rs", "rs to me", "dhcpv6", "dhcpv6 to me"],
)
def test_inet6_protocols_are_trapped(rig: Rig, frame: bytes) -> None:
    sent = rig.send(TAP1, frame)
    assert trapped(sent) == [TRAP["l3"]]
    assert sent[0][1][44:] == frame


def test_igmp_is_trapped_with_the_flag_and_flooded_without(rig: Rig) -> None:
    group = bytes.fromhex("01005e010101")
    report = ether(
        MAC1, group, IP(src="15.0.0.3", dst="224.1.1.1", proto=2) / Raw(b"\x16" + bytes(7))
    )
    assert rig.send(TAP1, report) == [(TAP2, report)]
    rig.dp.vif_set(TAP1, type=3, flags=0x1C0 | 0x2000000, vrf=1)
    assert trapped(rig.send(TAP1, report)) == [TRAP["l3"]]
    data = ether(MAC1, group, udp("15.0.0.3", "224.1.1.1"))
    assert rig.send(TAP1, data) == [(TAP2, data)]
    rig.dp.bridge_add(1, group, nh=1)
    assert rig.send(TAP1, data) == [(TAP1, data)]


def test_bfd_at_the_gateway_has_its_own_reason(rig: Rig) -> None:
    bfd = (
        IP(src="15.0.0.3", dst="15.0.0.1")
        / UDP(sport=49999, dport=3784)
        / Raw(b"\x20\xc8" + bytes(22))
    )
    ((_, frame),) = rig.send(TAP1, ether(MAC1, ROUTER_MAC, bfd))
    assert frame[18:24] == b"\0\x14\0\0\0\xc0"


def test_trap_without_an_agent(rig: Rig) -> None:
    rig.dp.vif_delete(AGENT)
    discover = ether(
        MAC1, BROADCAST, IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
    )
    assert rig.send(TAP1, discover) == []
    assert rig.drops() == {"trap_no_if": 1}


# --- the agent's commands


def pkt0(vif: int, vrf: int, command: int, frame: bytes, params: tuple[int, int] = (0, 0)) -> bytes:
    header = b"".join(value.to_bytes(2, "big") for value in (vif, vrf, command))
    header += params[0].to_bytes(4, "big") + params[1].to_bytes(4, "big") + bytes(16)
    return bytes(12) + b"\x08\0" + header + frame


def test_agent_switch_to_a_missing_vif(rig: Rig) -> None:
    assert rig.send(AGENT, pkt0(99, 0, 0, routed("15.0.0.4"))) == []
    assert rig.drops() == {"invalid_if": 1}


def test_agent_unknown_command(rig: Rig) -> None:
    assert rig.send(AGENT, pkt0(TAP1, 1, 9, routed("15.0.0.4"))) == []
    assert rig.drops() == {"invalid_packet": 1}


@pytest.mark.parametrize("vif", [TAP1, FABRIC, 99])
def test_agent_route_is_as_if_received(rig: Rig, vif: int) -> None:
    ((out, frame),) = rig.send(AGENT, pkt0(vif, 1, 1, routed("15.0.0.4")))
    assert (out, frame[:6]) == (TAP2, MAC2)


def test_agent_diag_packet_comes_back(rig: Rig) -> None:
    sent = rig.send(AGENT, pkt0(TAP1, 1, 1, routed("15.0.0.4"), (1, 1)))
    assert trapped(sent) == [TRAP["diag"]]
    assert sent[0][1][20:24] == b"\0\0\0\x04"


# --- the wire between host and fabric


def test_fabric_gives_the_host_what_is_its(rig: Rig) -> None:
    for frame in (
        underlay(ICMP()),
        underlay(UDP(sport=1, dport=53)),
        underlay(GRE(proto=0x0800) / Raw(b"x")),
        bytes(Ether(src=PEER_MAC, dst="ff:ff:ff:ff:ff:ff") / IP(src="10.0.0.2", dst="10.0.0.255")),
        bytes(Ether(src=PEER_MAC, dst=FABRIC_MAC) / IPv6(src="fe80::1", dst="fe80::2")),
        bytes(
            Ether(src=PEER_MAC, dst=FABRIC_MAC) / Dot1Q(vlan=5) / IP(src="10.0.0.2", dst="10.0.0.1")
        ),
        bytes(Ether(src=PEER_MAC, dst="02:00:00:00:77:77") / IP(src="10.0.0.2", dst="10.0.0.7")),
        bytes(Ether(src=PEER_MAC, dst=FABRIC_MAC, type=0x88CC) / Raw(b"lldp" * 12)),
    ):
        assert rig.send(FABRIC, frame) == [(VHOST, frame)]


def test_host_frames_keep_their_header(rig: Rig) -> None:
    rig.dp.nexthop_set(
        40,
        type=2,
        flags=1,
        encap_oif_id=[FABRIC],
        encap=bytes.fromhex("020000000109" + "020000000101" + "0800"),
    )
    rig.route("10.0.0.9/32", 40, vrf=0)
    frame = bytes(
        Ether(src=FABRIC_MAC, dst=PEER_MAC) / IP(src="10.0.0.1", dst="10.0.0.9", ttl=1) / ICMP()
    )
    assert rig.send(VHOST, frame) == [(FABRIC, frame)]


def test_a_physical_vif_that_comes_back_finds_the_hosts(rig: Rig) -> None:
    frame = bytes(Ether(dst=PEER_MAC) / IPv6(dst="fe80::1") / UDP())
    assert rig.dp.vif_delete(FABRIC) == 0
    assert rig.send(VHOST, frame) == []
    assert rig.dp.vif_set(FABRIC, type=2, flags=0x40, vrf=0) == 0
    assert rig.send(VHOST, frame) == [(FABRIC, frame)]
    assert rig.send(FABRIC, frame) == [(VHOST, frame)]


def test_resolve_traps_and_lets_the_host_go_on(rig: Rig) -> None:
    rig.dp.nexthop_set(41, type=4, flags=1)
    rig.route("10.0.0.0/24", 41, vrf=0)
    frame = bytes(Ether(src=FABRIC_MAC, dst=PEER_MAC) / IP(src="10.0.0.1", dst="10.0.0.9") / ICMP())
    sent = rig.send(VHOST, frame)
    assert trapped(sent) == [TRAP["resolve"]]
    assert sent[1:] == [(FABRIC, frame)]
    rig.route("15.9.0.0/16", 41)
    assert trapped(rig.send(TAP1, routed("15.9.0.1"))) == [TRAP["resolve"]]


def test_guest_packet_for_the_host_gets_the_hosts_mac(rig: Rig) -> None:
    rig.route("10.0.0.1/32", 11)
    ((vif, frame),) = rig.send(TAP1, routed("10.0.0.1"))
    assert (vif, text(frame[:6])) == (VHOST, FABRIC_MAC)


def test_icmp_error_about_a_tunnel_is_trapped(rig: Rig) -> None:
    ours = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=50000, dport=6635)
    error = underlay(ICMP(type=3, code=4) / ours, src="10.0.0.254")
    sent = rig.send(FABRIC, error)
    assert (trapped(sent), sent[0][1][44:]) == ([TRAP["icmp"]], error)
    theirs = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=50000, dport=53)
    other = underlay(ICMP(type=3, code=3) / theirs)
    assert rig.send(FABRIC, other) == [(VHOST, other)]


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


def checksum_is_right(header: bytes) -> bool:
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


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


FRAME = ether(MAC1, BROADCAST, udp("15.0.0.3", "15.0.0.255"))


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


def fabric_copy(frame: bytes, label: int, src: str, *, ttl: int = 64) -> bytes:
    inner = IP(src=src, dst="10.0.0.1") / UDP(sport=50000, dport=4789) / VXLAN(vni=100) / Raw(frame)
    return mpls_udp(label, bytes(4) + bytes(inner), src=src, ttl=ttl)


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


# --- sub-interfaces and service vifs


def test_sub_interface_takes_and_puts_its_tag(rig: Rig) -> None:
    sub_mac = bytes.fromhex("024444444444")
    assert rig.dp.vif_set(5, type=6, flags=0x1C0, vrf=1, parent=TAP1, vlan_id=10, ovlan_id=11) == 0
    rig.encap(80, 5, sub_mac, family=7)
    rig.dp.bridge_add(1, sub_mac, nh=80)
    packet = udp("15.0.0.10", "15.0.0.4")
    tagged = bytes(Ether(src=text(sub_mac), dst=text(MAC2)) / Dot1Q(vlan=10) / packet)
    assert rig.send(TAP1, tagged) == [(TAP2, ether(sub_mac, MAC2, packet))]
    back = ether(MAC2, sub_mac, udp("15.0.0.4", "15.0.0.10"))
    ((vif, frame),) = rig.send(TAP2, back)
    assert (vif, frame) == (TAP1, back[:12] + b"\x81\0\0\x0b" + back[12:])
    counters, _ = rig.dp.vif_stats(5) or ((), ())
    assert counters[1] == counters[4] == 1
    counters, _ = rig.dp.vif_stats(TAP1) or ((), ())
    assert counters[1] == counters[4] == 0  # the port itself had no packet
    assert rig.dp.vif_set(6, type=6, flags=0x1C0, parent=TAP1, vlan_id=10) == -errno.EEXIST
    assert rig.dp.vif_delete(TAP1) == 0
    assert rig.send(TAP2, back) == []
    assert rig.drops() == {"invalid_if": 1}


@pytest.mark.parametrize("agent", [True, False])
def test_sub_interface_of_the_fabric(rig: Rig, agent: bool) -> None:
    sub_mac = bytes.fromhex("024444444444")
    assert rig.dp.vif_set(5, type=6, flags=0x1C0, vrf=1, parent=FABRIC, vlan_id=9, ovlan_id=9) == 0
    rig.encap(80, 5, sub_mac, family=7)
    rig.dp.bridge_add(1, sub_mac, nh=80)
    if not agent:
        rig.dp.vif_delete(AGENT)
    frame = ether(sub_mac, MAC2, udp("15.0.0.10", "15.0.0.4"))
    assert rig.send(FABRIC, frame[:12] + b"\x81\0\0\x09" + frame[12:]) == [(TAP2, frame)]
    back = ether(MAC2, sub_mac, udp("15.0.0.4", "15.0.0.10"))
    assert rig.send(TAP2, back) == [(FABRIC, back[:12] + b"\x81\0\0\x09" + back[12:])]
    for vif in (5, FABRIC):
        counters, _ = rig.dp.vif_stats(vif) or ((), ())
        assert counters[1] == counters[4] == 1
    other = frame[:12] + b"\x81\0\0\x0a" + frame[12:]
    assert rig.send(FABRIC, other) == [(VHOST, other)]


def test_service_vif_chooses_the_vrf_by_tag(rig: Rig) -> None:
    assert rig.dp.vif_set(TAP1, type=3, flags=0x1C0 | 4, vrf=1) == 0
    assert rig.dp.vif_vrf_assign(TAP1, 20, 2, 2) == 0
    assert rig.dp.vif_vrf_assign(TAP1, 1024, 2, 2) == -errno.EINVAL
    assert rig.dp.vif_vrf_assign(77, 1, 2, 2) == -errno.EINVAL
    rig.dp.bridge_add(2, ROUTER_MAC, nh=9)
    rig.route("15.0.0.4/32", 5, vrf=2)
    tagged = bytes(
        Ether(src=text(MAC1), dst=text(ROUTER_MAC)) / Dot1Q(vlan=20) / udp("15.0.0.3", "15.0.0.4")
    )
    assert [vif for vif, _ in rig.send(TAP1, tagged)] == [TAP2]
    assert rig.send(TAP1, FRAME) == []
    assert rig.drops() == {"interface_drop": 1}
    assert rig.dp.vif_vrf_assign(TAP1, 20, -1, 0) == 0
    assert rig.send(TAP1, tagged)[0][0] == TAP2


# --- statistics, reset


def test_counters_of_a_vif_and_a_vrf(rig: Rig) -> None:
    frame = routed("15.0.0.4")
    rig.send(TAP1, frame)
    out, _ = rig.dp.vif_stats(TAP2) or ((), ())
    seen, _ = rig.dp.vif_stats(TAP1) or ((), ())
    assert seen[:3] == (len(frame), 1, 0)
    assert out[3:6] == (len(frame), 1, 0)
    assert rig.vrf_counters() == {"encaps": 1, "l2_receives": 1}
    assert rig.dp.vrf_stats_indexes() == [1]
    assert rig.dp.vif_clear_stats(TAP1) == 0
    assert (rig.dp.vif_stats(TAP1) or ((), ()))[0][:2] == (0, 0)
    assert rig.dp.vif_stats(77) is None
    assert rig.dp.vif_clear_stats(77) == -errno.ENODEV


def test_send_without_a_device_is_an_output_error(rig: Rig) -> None:
    rig.dp.set_capture(False)
    rig.dp.inject(TAP1, routed("15.0.0.4"))
    assert rig.drops() == {"interface_tx_discard": 1}
    assert (rig.dp.vif_stats(TAP2) or ((), ()))[0][5] == 1


def test_reset_leaves_an_empty_router() -> None:
    rig = Rig().build()
    made = rig.dp.flow_set(
        index=-1, gen_id=0, family=2, proto=6, sport=1, dport=2, nh_id=3, sip_l=4, dip_l=5, flags=1
    )
    assert made.code == 0
    rig.dp.reset()
    assert rig.dp.vif_indexes() == []
    assert rig.dp.bridge_get(1, MAC1) is None
    assert rig.dp.route_get(1, 2, bytes((15, 0, 0, 3))).nh == 0
    assert rig.dp.route_count(1, 2) == 0
    assert (rig.dp.label_get(16), rig.dp.vxlan_get(100)) == (-1, -1)
    assert rig.dp.nexthop_exists(0)
    assert not rig.dp.nexthop_exists(1)
    assert rig.dp.flow_table_stats().used == 0
    assert sum(rig.dp.drop_stats()) == 0
    rig.build()
    assert len(rig.send(TAP1, routed("15.0.0.4"))) == 1


# --- what messages may not set


def test_vif_refusals_and_changes() -> None:
    dp = new_datapath(interfaces=8)
    assert dp.vif_set(8, type=3) == -errno.EINVAL
    assert dp.vif_set(1, type=10) == -errno.EINVAL
    assert dp.vif_set(1, type=3, mac=b"\0" * 5) == -errno.EINVAL
    assert dp.vif_set(1, type=0) == -errno.ENODEV
    assert dp.vif_set(2, type=6, parent=1) == -errno.EINVAL
    assert dp.vif_set(0, type=2, name="eth0", mtu=9014, vrf=0) == 0
    vif = dp.vif_get(0)
    assert vif is not None
    assert (vif.flags, vif.mtu, vif.mcast_vrf, vif.name) == (0xC2, 9014, 65535, "eth0")
    assert dp.vif_set(0, type=3, name="other", vrf=-1, mcast_vrf=7, flags=0x41, mac=MAC1) == 0
    vif = dp.vif_get(0)
    assert vif is not None
    assert (vif.type, vif.flags, vif.mtu, vif.vrf, vif.mcast_vrf) == (2, 0x43, 9014, 0, 7)
    assert (vif.name, vif.mac) == ("eth0", bytes(6))
    assert dp.vif_set(1, type=0, cross_connect=0) == 0
    assert dp.vif_get(1).cross_connect == 0  # type: ignore[union-attr]
    assert dp.vif_get(0).cross_connect == 1  # type: ignore[union-attr]
    assert dp.vif_delete(5) == -errno.ENODEV
    assert dp.inject(5, FRAME) == -errno.ENODEV
    assert dp.vif_indexes() == [0, 1]


ENCAP = {"type": 2, "flags": 1, "encap_oif_id": [3], "encap": bytes(14)}
TUNNEL = {
    "type": 3,
    "flags": 0x41,
    "encap_oif_id": [0],
    "tun_sip": 1,
    "tun_dip": 2,
    "encap": bytes(14),
}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"type": 9}, errno.EINVAL),
        ({"type": 5, "flags": 1}, 0),
        (ENCAP, 0),
        (ENCAP | {"family": 10}, errno.EINVAL),
        (ENCAP | {"encap_oif_id": [77]}, errno.EINVAL),
        (ENCAP | {"encap_oif_id": []}, errno.EINVAL),
        (ENCAP | {"encap": bytes(5)}, errno.EINVAL),
        (ENCAP | {"encap": bytes(5), "flags": 0x21}, 0),
        (ENCAP | {"encap": bytes(65)}, errno.EINVAL),
        (ENCAP | {"family": 7, "flags": 0x21}, errno.EINVAL),
        (ENCAP | {"encap": b"", "flags": 0, "encap_oif_id": []}, 0),
        (TUNNEL, 0),
        (TUNNEL | {"tun_sip": 0}, errno.EINVAL),
        (TUNNEL | {"tun_dip": 0}, errno.EINVAL),
        (TUNNEL | {"encap_oif_id": [77]}, errno.ENODEV),
        (TUNNEL | {"flags": 1}, errno.EINVAL),
        (TUNNEL | {"family": 10}, errno.EOPNOTSUPP),
        (TUNNEL | {"flags": 0x80041}, errno.EOPNOTSUPP),
        ({"type": 1, "flags": 1, "encap_oif_id": [77]}, errno.ENODEV),
        ({"type": 7, "flags": 1, "vrf": 5000}, errno.EINVAL),
        ({"type": 6, "flags": 0x2001, "nh_list": [1, 3], "label_list": [0]}, errno.EINVAL),
        ({"type": 6, "flags": 0x2001, "nh_list": [6], "label_list": [0]}, errno.EINVAL),
        ({"type": 6, "flags": 0x2001, "nh_list": [900], "label_list": [0]}, 0),
        ({"type": 6, "flags": 0x1001, "nh_list": [1], "label_list": [0]}, errno.EINVAL),
        ({"type": 6, "flags": 0x21, "nh_list": [1], "label_list": [0]}, errno.EINVAL),
        ({"type": 6, "flags": 0x21, "nh_list": [21], "label_list": [0]}, 0),
    ],
)
def test_nexthop_codes(rig: Rig, values: dict[str, Any], code: int) -> None:
    assert rig.dp.nexthop_set(200, **values) == -code
    assert rig.dp.nexthop_exists(200) == (code == 0)


def test_nexthop_change_codes(rig: Rig) -> None:
    assert rig.dp.nexthop_set(2, **(ENCAP | {"encap": bytes(18)})) == -errno.EINVAL
    assert rig.dp.nexthop_set(2, type=5, flags=1) == -errno.EINVAL
    assert rig.dp.nexthop_set(2, **(ENCAP | {"flags": 0x400001})) == -errno.EINVAL
    assert rig.dp.nexthop_set(524288, type=5) == -errno.EINVAL
    assert rig.dp.nexthop_set(0, type=2) == -errno.EINVAL
    assert rig.dp.nexthop_set(0, type=5, flags=1) == 0
    assert rig.dp.nexthop_delete(0) == -errno.EINVAL
    assert rig.dp.nexthop_delete(300) == -errno.EINVAL
    assert [
        vif for vif, _ in rig.send(FABRIC, mpls_udp(16, bytes(udp("15.0.0.9", "15.0.0.3"))))
    ] == [TAP1]


def test_label_and_vni_codes(rig: Rig) -> None:
    assert rig.dp.label_set(5120, 2) == -errno.EINVAL
    assert rig.dp.label_set(16, 999) == -errno.EINVAL
    assert rig.dp.label_get(16) == -1
    assert rig.dp.label_delete(16) == 0
    assert rig.dp.vxlan_set(1 << 24, 12) == -errno.EINVAL
    assert rig.dp.vxlan_set(7, 999) == -errno.EINVAL
    numbers = range(0, 4000, 3)
    assert all(rig.dp.vxlan_set(vni, 12) == 0 for vni in numbers)
    for vni in numbers[::2]:
        rig.dp.vxlan_delete(vni)
    found = [vni for vni in range(4000) if rig.dp.vxlan_get(vni) == 12]
    assert found == sorted({*numbers[1::2], 100})


def test_mirror_tunnel_carries_the_frame_in_udp(rig: Rig) -> None:
    rig.dp.nexthop_set(
        90,
        type=3,
        flags=0x11,
        encap_oif_id=[FABRIC],
        encap=bytes.fromhex("0200000001020200000001010800"),
        tun_sip=address("10.0.0.1"),
        tun_dip=address("10.0.0.2"),
        tun_sport=int.from_bytes((8097).to_bytes(2, "big"), "little"),
        tun_dport=int.from_bytes((8099).to_bytes(2, "big"), "little"),
    )
    rig.dp.bridge_add(1, REMOTE_MAC, nh=90)
    frame = ether(MAC1, REMOTE_MAC, udp("15.0.0.3", "15.0.0.5"))
    ((_, out),) = rig.send(TAP1, frame)
    assert (Ether(out)[UDP].sport, Ether(out)[UDP].dport, out[42:]) == (8097, 8099, frame)


def test_ip6_payload_travels_in_mpls(rig: Rig) -> None:
    rig.dp.route_add(1, 10, bytes.fromhex("fd" + "0" * 29 + "9"), 128, nh=6, label=41, flags=1)
    packet = IPv6(src="fd00::3", dst="fd00::9", hlim=9) / ICMPv6EchoRequest()
    ((vif, out),) = rig.send(TAP1, ether(MAC1, ROUTER_MAC, packet))
    assert (vif, out[42:46], out[46:]) == (
        FABRIC,
        (41 << 12 | 0x109).to_bytes(4, "big"),
        bytes(packet),
    )
    back = IPv6(src="fd00::9", dst="fd00::3") / ICMPv6EchoRequest()
    ((vif, out),) = rig.send(FABRIC, mpls_udp(16, bytes(back)))
    assert (vif, out) == (TAP1, ether(ROUTER_MAC, MAC1, back))
