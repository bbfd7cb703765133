"""Flows on the ways that packets take: fragments, VXLAN, the host's own stack, mirrors."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from tests.unit.forwarder.flow_rig import (
    DNAT,
    DPAT,
    FABRIC,
    GUEST1_NH,
    GUEST2_NH,
    LOCAL,
    MAC1,
    MAC2,
    MIRROR,
    NAT,
    SNAT,
    SPAT,
    TAP1,
    TAP2,
    TCP_PROTO,
    UDP_PROTO,
    VHOST,
    VRFT,
    FlowRig,
    Key,
    guest_frame,
    traps,
    udp,
)

HOST_NH = 91
FABRIC_MAC, PEER_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"


@pytest.fixture
def rig() -> FlowRig:
    return FlowRig().build()


# --- fragments


def pieces4(ident: int = 7) -> list[Any]:
    """One datagram of the flow LOCAL in three fragments."""
    whole = bytes(UDP(sport=1111, dport=2222, len=72) / Raw(bytes(range(64))))
    ends = {"src": "15.0.0.3", "dst": "15.0.0.4", "id": ident, "proto": 17}
    return [
        IP(**ends, flags="MF") / Raw(whole[:24]),
        IP(**ends, flags="MF", frag=3) / Raw(whole[24:48]),
        IP(**ends, frag=6) / Raw(whole[48:]),
    ]


def pieces6(ident: int = 7) -> list[Any]:
    whole = bytes(UDP(sport=1111, dport=2222, len=72) / Raw(bytes(range(64))))
    base = IPv6(src="fd00::3", dst="fd00::4")
    return [
        base / IPv6ExtHdrFragment(nh=17, m=1, id=ident) / Raw(whole[:24]),
        base / IPv6ExtHdrFragment(nh=17, m=1, offset=3, id=ident) / Raw(whole[24:48]),
        base / IPv6ExtHdrFragment(nh=17, offset=6, id=ident) / Raw(whole[48:]),
    ]


LOCAL6 = Key(GUEST1_NH, "fd00::3", "fd00::4", UDP_PROTO, 1111, 2222)
EITHER = pytest.mark.parametrize(("make", "key"), [(pieces4, LOCAL), (pieces6, LOCAL6)])


@EITHER
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_fragments_follow_their_head(
    rig: FlowRig, make: Any, key: Key, order: tuple[int, ...]
) -> None:
    index = rig.add(key)
    parts = make()
    sent = [row for number in order for row in rig.send(TAP1, guest_frame(parts[number]))]
    assert [vif for vif, _ in sent] == [TAP2] * 3
    head = 14 + (20 if key is LOCAL else 40)
    assert sorted(frame[head:] for _, frame in sent) == sorted(
        bytes(part)[head - 14 :] for part in parts
    )
    assert rig.entry(index).packets == 3
    assert len(rig.entries()) == 1


@EITHER
def test_fragments_of_a_new_flow_are_held_with_it(rig: FlowRig, make: Any, key: Key) -> None:
    parts = make()
    sent = [row for part in parts for row in rig.send(TAP1, guest_frame(part))]
    assert len(traps(sent)) == len(sent) == 1
    rig.change(key, rig.found(key).index)
    assert [vif for vif, _, _ in rig.dp.captured()] == [TAP2] * 3


def test_fragments_without_a_head_make_no_flow(rig: FlowRig) -> None:
    for part in pieces4()[1:]:
        assert rig.send(TAP1, guest_frame(part)) == []
    rig.dp.advance(3.0)
    assert rig.entries() == []
    assert rig.drops() == {"no_frag_entry": 2}


def test_fragments_of_a_dropped_flow_are_dropped(rig: FlowRig) -> None:
    rig.add(LOCAL, action=0)
    for part in pieces4():
        assert rig.send(TAP1, guest_frame(part)) == []
    assert rig.drops() == {"flow_action_drop": 3}


# --- VXLAN and bridged nexthops


def vxlan(frame: Any) -> bytes:
    outer = Ether(src=PEER_MAC, dst=FABRIC_MAC) / IP(src="10.0.0.2", dst="10.0.0.1")
    return bytes(outer / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=100) / frame)


def test_bridged_frame_of_the_fabric_meets_the_policy_of_its_guest(rig: FlowRig) -> None:
    rig.encap(1, TAP1, MAC1, family=7, flags=3)
    inner = Ether(src="02:33:33:33:33:33", dst=MAC1.hex(":")) / udp("15.0.0.8", "15.0.0.3", 5, 6)
    (trap,) = traps(rig.send(FABRIC, vxlan(inner)))
    key = Key(GUEST1_NH, "15.0.0.8", "15.0.0.3", UDP_PROTO, 5, 6)
    assert (trap.vif, trap.frame, trap.index) == (FABRIC, vxlan(inner), rig.found(key).index)
    rig.change(key, trap.index)
    assert [(vif, frame) for vif, frame, _ in rig.dp.captured()] == [(TAP1, bytes(inner))]


def test_malformed_packet_does_not_pass_a_bridged_guests_policy(rig: FlowRig) -> None:
    rig.encap(1, TAP1, MAC1, family=7, flags=3)
    bad = IP(src="15.0.0.8", dst="15.0.0.3", len=999) / UDP(sport=5, dport=6)
    assert rig.send(FABRIC, vxlan(Ether(src=PEER_MAC, dst=MAC1.hex(":")) / bad)) == []
    assert rig.drops() == {"pull": 1}


def test_frames_that_are_not_ip_pass_policy(rig: FlowRig) -> None:
    rig.encap(1, TAP1, MAC1, family=7, flags=3)
    inner = Ether(src=PEER_MAC, dst=MAC1.hex(":"), type=0x88B5) / Raw(bytes(50))
    assert [vif for vif, _ in rig.send(FABRIC, vxlan(inner))] == [TAP1]


# --- the host's own stack


@pytest.fixture
def host() -> FlowRig:
    """vhost0 with policy; a service at the host's own address."""
    rig = FlowRig().build()
    assert rig.dp.vif_set(VHOST, type=0, flags=0x41, vrf=0, nh_id=HOST_NH) == 0
    assert rig.dp.nexthop_set(11, type=1, flags=3, vrf=0, encap_oif_id=[VHOST]) == 0
    return rig


def test_guest_reaches_a_service_of_the_host_by_a_link_local_address(host: FlowRig) -> None:
    service = Key(GUEST1_NH, "15.0.0.3", "169.254.169.254", TCP_PROTO, 1111, 80)
    back = Key(HOST_NH, "10.0.0.1", "169.254.0.3", TCP_PROTO, 8775, 1111)
    index, other = host.pair(
        service,
        back,
        action=NAT,
        forward_set={"flags": SNAT | DNAT | DPAT | VRFT, "dvrf": 0},
        reverse_set={"flags": SNAT | DNAT | SPAT | VRFT, "dvrf": 1, "vrf": 0},
    )
    request = IP(src="15.0.0.3", dst="169.254.169.254") / TCP(sport=1111, dport=80)
    ((vif, frame),) = host.send(TAP1, guest_frame(request))
    seen = Ether(frame)
    assert vif == VHOST
    assert (seen[IP].src, seen[IP].dst) == ("169.254.0.3", "10.0.0.1")
    assert (seen[TCP].sport, seen[TCP].dport) == (1111, 8775)
    answer = IP(src="10.0.0.1", dst="169.254.0.3") / TCP(sport=8775, dport=1111)
    ((vif, frame),) = host.send(VHOST, bytes(Ether(src=FABRIC_MAC, dst=FABRIC_MAC) / answer))
    seen = Ether(frame)
    assert (vif, seen.dst) == (TAP1, MAC1.hex(":"))
    assert (seen[IP].src, seen[IP].dst) == ("169.254.169.254", "15.0.0.3")
    assert (seen[TCP].sport, seen[TCP].dport) == (80, 1111)
    assert (host.entry(index).packets, host.entry(other).packets) == (1, 1)


def test_hosts_packet_is_held_and_goes_on_by_its_route(host: FlowRig) -> None:
    host.tunnel(6, 0x40)
    assert host.dp.route_add(0, 2, bytes((10, 0, 0, 0)), 24, nh=92) == -2
    assert (
        host.dp.nexthop_set(
            92,
            type=2,
            flags=1,
            vrf=0,
            encap_oif_id=[FABRIC],
            encap=bytes.fromhex("0200000001020200000001010800"),
        )
        == 0
    )
    host.route("10.0.0.2/32", 92, vrf=0)
    frame = bytes(
        Ether(src=FABRIC_MAC, dst=PEER_MAC)
        / IP(src="10.0.0.1", dst="10.0.0.2")
        / TCP(sport=5269, dport=40000)
    )
    (trap,) = traps(host.send(VHOST, frame))
    key = Key(HOST_NH, "10.0.0.1", "10.0.0.2", TCP_PROTO, 5269, 40000)
    assert (trap.vif, trap.vrf, trap.index) == (VHOST, 0, host.found(key).index)
    host.change(key, trap.index, vrf=0)
    assert [(vif, data) for vif, data, _ in host.dp.captured()] == [(FABRIC, frame)]


def test_error_about_an_own_tunnel_has_no_flow(host: FlowRig) -> None:
    assert host.dp.vif_set(FABRIC, type=2, flags=0x41, vrf=0, nh_id=90) == 0
    quoted = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=50000, dport=6635)
    error = IP(src="10.0.0.77", dst="10.0.0.1") / ICMP(type=3, code=4) / quoted
    (trap,) = traps(host.send(FABRIC, bytes(Ether(src=PEER_MAC, dst=FABRIC_MAC) / error)))
    assert trap.reason == 13
    assert host.entries() == []


# --- mirrors


@pytest.fixture
def mirrored() -> FlowRig:
    """Mirror 3 leads to a tunnel of its own."""
    rig = FlowRig().build()
    rig.tunnel(50, 0x10, "10.0.0.50", tun_sport=8097, tun_dport=8099)
    assert rig.dp.mirror_set(3, 50) == 0
    return rig


def copies(sent: list[tuple[int, bytes]]) -> list[bytes]:
    return [frame for vif, frame in sent if vif == FABRIC and frame[30:34] == bytes((10, 0, 0, 50))]


def test_flows_packets_are_mirrored_as_they_came(mirrored: FlowRig) -> None:
    mirrored.add(LOCAL, flags=1 | MIRROR, mir_id=3)
    frame = guest_frame(udp("15.0.0.3", "15.0.0.4"))
    sent = mirrored.send(TAP1, frame)
    assert [vif for vif, _ in sent if vif == TAP2] == [TAP2]
    assert [copy[42:] for copy in copies(sent)] == [frame]


def test_dropped_flows_packets_are_mirrored_too(mirrored: FlowRig) -> None:
    mirrored.add(LOCAL, flags=1 | MIRROR, mir_id=3, action=0)
    sent = mirrored.send(TAP1, guest_frame(udp("15.0.0.3", "15.0.0.4")))
    assert len(copies(sent)) == len(sent) == 1


@pytest.mark.parametrize(("flag", "vif"), [(0x8, TAP1), (0x10, TAP2)], ids=["received", "sent"])
def test_vifs_packets_are_mirrored(mirrored: FlowRig, flag: int, vif: int) -> None:
    mirrored.policy(vif, GUEST1_NH if vif == TAP1 else GUEST2_NH, flag)
    assert mirrored.dp.vif_mirror(vif, 3) == 0
    mirrored.add(LOCAL)
    sent = mirrored.send(TAP1, guest_frame(udp("15.0.0.3", "15.0.0.4")))
    assert len(copies(sent)) == 1
    back = mirrored.send(TAP2, guest_frame(udp("15.0.0.4", "15.0.0.3"), src=MAC2))
    assert copies(back) == []
