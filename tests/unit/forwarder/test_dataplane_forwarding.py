"""What the forwarder does with single packets: sizes, hops, routes, traps, the host beside it."""

from __future__ import annotations

import pytest
from scapy.layers.dhcp6 import DHCP6_Solicit
from scapy.layers.inet import GRE, ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RS, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from agent._fast.forwarding import VIF_COUNTERS
from tests.unit.forwarder.dataplane_frames import (
    FABRIC_MAC,
    PEER_MAC,
    REMOTE_MAC,
    TRAP,
    ether,
    fabric_copy,
    mpls_udp,
    rig,
    routed,
    text,
    trapped,
    udp,
    underlay,
)
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
)

__all__ = ["rig"]  # the fixture

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
