"""Each row of the ARP and neighbour tables (facts datapath-behaviour.md 5)."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether

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

HOST1, HOST2, GATEWAY, UNKNOWN = "15.0.0.3", "15.0.0.4", "15.0.0.1", "15.0.0.77"
FABRIC_MAC = bytes.fromhex("020000000101")
PEER_MAC = bytes.fromhex("020000000102")
TRAP_ARP, TRAP_L3 = 2, 7
L2_L3_DHCP = 0x1C0


def ip(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def arp(
    source: bytes,
    sender: str,
    target: str,
    *,
    op: int = 1,
    dst: bytes = BROADCAST,
    target_mac: bytes = bytes(6),
    tag: int | None = None,
) -> bytes:
    vlan = b"" if tag is None else b"\x81\0" + tag.to_bytes(2, "big")
    body = b"\0\x01\x08\0\x06\x04" + op.to_bytes(2, "big")
    body += source + ip(sender) + target_mac + ip(target)
    return dst + source + vlan + b"\x08\x06" + body


def answer(mac: bytes, address: str, to: bytes, asker: str) -> bytes:
    return arp(mac, address, asker, op=2, dst=to, target_mac=to)


@pytest.fixture
def rig() -> Rig:
    """The set-up of the vectors with the subnet's flood route."""
    rig = Rig().build()
    rig.dp.nexthop_set(13, type=5, flags=1)
    rig.route("15.0.0.0/24", 13, flags=8)
    return rig


def set_tap(rig: Rig, flags: int, idx: int = TAP1) -> None:
    assert rig.dp.vif_set(idx, type=3, flags=L2_L3_DHCP | flags, vrf=1, nh_id=2) == 0


def reasons(sent: list[tuple[int, bytes]]) -> list[int]:
    return [int.from_bytes(frame[18:20], "big") for vif, frame in sent if vif == AGENT]


def others(sent: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [(vif, frame) for vif, frame in sent if vif != AGENT]


# --- requests of guests


def test_proxy_route_is_answered_with_the_vif_mac(rig: Rig) -> None:
    sent = rig.send(TAP1, arp(MAC1, HOST1, GATEWAY))
    assert sent == [(TAP1, answer(ROUTER_MAC, GATEWAY, MAC1, HOST1))]
    assert rig.vrf_counters()["arp_virtual_proxy"] == 1


def test_stitched_mac_is_told(rig: Rig) -> None:
    sent = rig.send(TAP1, arp(MAC1, HOST1, HOST2))
    assert sent == [(TAP1, answer(MAC2, HOST2, MAC1, HOST1))]
    assert rig.vrf_counters()["arp_virtual_stitch"] == 1


def test_stitched_mac_is_told_though_the_route_floods(rig: Rig) -> None:
    rig.route(f"{HOST2}/32", 5, flags=2 | 8, mac=MAC2)
    assert rig.send(TAP1, arp(MAC1, HOST1, HOST2)) == [(TAP1, answer(MAC2, HOST2, MAC1, HOST1))]


@pytest.mark.parametrize("flags", [8, 2 | 8], ids=["flood", "proxy without a mac"])
def test_flood_route_goes_to_the_other_guests(rig: Rig, flags: int) -> None:
    rig.route("15.0.0.9/32", 5, flags=flags)
    request = arp(MAC1, HOST1, "15.0.0.9")
    assert rig.send(TAP1, request) == [(TAP2, request)]


def test_unicast_request_is_answered_too(rig: Rig) -> None:
    sent = rig.send(TAP1, arp(MAC1, HOST1, HOST2, dst=MAC2))
    assert sent == [(TAP1, answer(MAC2, HOST2, MAC1, HOST1))]
    sent = rig.send(TAP1, arp(MAC1, HOST1, GATEWAY, dst=ROUTER_MAC))
    assert sent == [(TAP1, answer(ROUTER_MAC, GATEWAY, MAC1, HOST1))]


def test_unicast_request_without_a_proxy_is_bridged(rig: Rig) -> None:
    request = arp(MAC1, HOST1, UNKNOWN, dst=MAC2)
    assert rig.send(TAP1, request) == [(TAP2, request)]


def test_tagged_request_floods(rig: Rig) -> None:
    request = arp(MAC1, HOST1, GATEWAY, tag=7)
    assert rig.send(TAP1, request) == [(TAP2, request)]


def test_tagged_request_on_a_vif_that_only_routes_goes_nowhere(rig: Rig) -> None:
    assert rig.dp.vif_set(TAP1, type=3, flags=0x40, vrf=1) == 0
    assert rig.send(TAP1, arp(MAC1, HOST1, GATEWAY, tag=7)) == []
    assert rig.drops() == {"invalid_arp": 1}
    sent = rig.send(TAP1, arp(MAC1, HOST1, GATEWAY))
    assert sent == [(TAP1, answer(ROUTER_MAC, GATEWAY, MAC1, HOST1))]


def test_mac_proxy_vif_answers_everything(rig: Rig) -> None:
    set_tap(rig, 0x100000)
    for target in (HOST2, UNKNOWN, GATEWAY):
        sent = rig.send(TAP1, arp(MAC1, HOST1, target))
        assert sent == [(TAP1, answer(ROUTER_MAC, target, MAC1, HOST1))]


def test_no_arp_proxy_vif_answers_for_the_gateway_only(rig: Rig) -> None:
    set_tap(rig, 0x1000)
    assert rig.send(TAP1, arp(MAC1, HOST1, HOST2)) == []
    assert rig.drops() == {"invalid_arp": 1}
    sent = rig.send(TAP1, arp(MAC1, HOST1, GATEWAY))
    assert sent == [(TAP1, answer(ROUTER_MAC, GATEWAY, MAC1, HOST1))]


def test_service_vif_does_not_flood(rig: Rig) -> None:
    set_tap(rig, 0x4)
    assert rig.send(TAP1, arp(MAC1, HOST1, UNKNOWN)) == []
    assert rig.drops() == {"invalid_arp": 1}


def test_asker_without_a_bridge_entry_gets_no_answer(rig: Rig) -> None:
    stranger = bytes.fromhex("020000000099")
    assert rig.send(TAP1, arp(stranger, HOST1, GATEWAY)) == []
    assert rig.drops() == {"invalid_nh": 1}


# --- gratuitous


@pytest.mark.parametrize("sender", [HOST1, "0.0.0.0"], ids=["announcement", "probe"])
def test_gratuitous_floods(rig: Rig, sender: str) -> None:
    request = arp(MAC1, sender, HOST1)
    assert rig.send(TAP1, request) == [(TAP2, request)]


def test_gratuitous_of_a_trapped_route_is_trapped_and_flooded(rig: Rig) -> None:
    rig.route(f"{HOST1}/32", 2, flags=2 | 4, mac=MAC1)
    request = arp(MAC1, HOST1, HOST1)
    sent = rig.send(TAP1, request)
    assert reasons(sent) == [TRAP_ARP]
    assert others(sent) == [(TAP2, request)]
    assert sent[0][1][44:] == request


def test_gratuitous_on_a_mac_proxy_vif_is_dropped(rig: Rig) -> None:
    set_tap(rig, 0x100000)
    assert rig.send(TAP1, arp(MAC1, HOST1, HOST1)) == []
    assert rig.drops() == {"invalid_arp": 1}


# --- replies


def test_reply_to_the_router_is_trapped(rig: Rig) -> None:
    reply = arp(MAC1, HOST1, GATEWAY, op=2, dst=ROUTER_MAC)
    sent = rig.send(TAP1, reply)
    assert (reasons(sent), others(sent)) == ([TRAP_ARP], [])


def test_broadcast_reply_is_trapped_and_flooded(rig: Rig) -> None:
    reply = arp(MAC1, HOST1, HOST1, op=2)
    sent = rig.send(TAP1, reply)
    assert (reasons(sent), others(sent)) == ([TRAP_ARP], [(TAP2, reply)])


def test_unicast_reply_is_forwarded(rig: Rig) -> None:
    reply = arp(MAC1, HOST1, HOST2, op=2, dst=MAC2)
    assert rig.send(TAP1, reply) == [(TAP2, reply)]


# --- fabric and host


def test_underlay_request_goes_to_the_host_and_back(rig: Rig) -> None:
    request = arp(PEER_MAC, "10.0.0.2", "10.0.0.1")
    assert rig.send(FABRIC, request) == [(VHOST, request)]
    reply = arp(FABRIC_MAC, "10.0.0.1", "10.0.0.2", op=2, dst=PEER_MAC)
    assert rig.send(VHOST, reply) == [(FABRIC, reply)]


@pytest.mark.parametrize(
    "frame",
    [
        arp(PEER_MAC, "10.0.0.2", "10.0.0.2"),
        arp(PEER_MAC, "10.0.0.2", "10.0.0.1", op=2, dst=FABRIC_MAC),
    ],
    ids=["gratuitous", "reply"],
)
def test_underlay_news_reach_agent_and_host(rig: Rig, frame: bytes) -> None:
    sent = rig.send(FABRIC, frame)
    assert (reasons(sent), others(sent)) == ([TRAP_ARP], [(VHOST, frame)])
    assert sent[0][1][14:18] == b"\0\0\0\0"


def test_underlay_proxy_for_a_guest_here(rig: Rig) -> None:
    rig.route("10.0.0.50/32", 2, flags=2, vrf=0)
    sent = rig.send(FABRIC, arp(PEER_MAC, "10.0.0.2", "10.0.0.50"))
    assert sent == [(FABRIC, answer(FABRIC_MAC, "10.0.0.50", PEER_MAC, "10.0.0.2"))]


def test_underlay_gateway_is_not_told(rig: Rig) -> None:
    """A drop of the proxy table becomes a cross-connection on the wire."""
    rig.route("10.0.0.60/32", 10, flags=2, vrf=0)
    request = arp(PEER_MAC, "10.0.0.2", "10.0.0.60")
    assert rig.send(FABRIC, request) == [(VHOST, request)]


def test_host_request_for_link_local_is_answered(rig: Rig) -> None:
    sent = rig.send(VHOST, arp(FABRIC_MAC, "10.0.0.1", "169.254.0.3"))
    assert sent == [(VHOST, answer(FABRIC_MAC, "169.254.0.3", FABRIC_MAC, "10.0.0.1"))]


def test_host_request_and_announcement_go_to_the_fabric(rig: Rig) -> None:
    for target in ("10.0.0.9", "10.0.0.1"):
        request = arp(FABRIC_MAC, "10.0.0.1", target)
        assert rig.send(VHOST, request) == [(FABRIC, request)]


def test_gateway_vif_answers_everything() -> None:
    rig = Rig().build()
    rig.dp.vif_set(7, type=5, flags=0xC0, vrf=1, mac=ROUTER_MAC)
    sent = rig.send(7, arp(MAC1, "15.0.0.200", "8.8.8.8"))
    assert sent == [(7, answer(ROUTER_MAC, "8.8.8.8", MAC1, "15.0.0.200"))]


def test_without_an_agent_fabric_and_host_are_one_wire(rig: Rig) -> None:
    assert rig.dp.vif_delete(AGENT) == 0
    request = arp(PEER_MAC, "10.0.0.2", "10.0.0.2")
    assert rig.send(FABRIC, request) == [(VHOST, request)]
    assert rig.send(VHOST, request) == [(FABRIC, request)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda frame: frame[:30],
        lambda frame: frame[:14] + b"\0\x06" + frame[16:],
        lambda frame: frame[:20] + b"\0\x09" + frame[22:],
        lambda frame: frame[:18] + b"\x08" + frame[19:],
    ],
    ids=["short", "hardware type", "operation", "address length"],
)
@pytest.mark.parametrize("vif", [TAP1, FABRIC, VHOST])
def test_bad_arp_is_counted(rig: Rig, vif: int, damage: Any) -> None:
    assert rig.send(vif, damage(arp(MAC1, HOST1, GATEWAY))) == []
    assert rig.drops() == {"invalid_arp": 1}


# --- neighbour discovery

V6_HOST, V6_GATEWAY, V6_OTHER = "fd00::3", "fd00::1", "fd00::4"


def v6_route(rig: Rig, text: str, nh: int, **more: Any) -> None:
    assert rig.dp.route_add(1, 10, ip(text), 128, nh=nh, **more) == 0


def solicit(target: str, source: str = V6_HOST, **more: Any) -> bytes:
    group = "ff02::1:ff00:" + f"{ip(target)[-2:].hex()}"
    packet = Ether(dst="33:33:ff:00:00:" + f"{ip(target)[-1]:02x}", src=MAC1.hex(":"))
    body = ICMPv6ND_NS(tgt=target)
    if source != "::":
        body = body / ICMPv6NDOptSrcLLAddr(lladdr=MAC1.hex(":"))
    return bytes(packet / IPv6(src=source, dst=group, hlim=more.get("hlim", 255)) / body)


def advertisement(mac: bytes, target: str, *, router: bool) -> bytes:
    return bytes(
        Ether(dst=MAC1.hex(":"), src=mac.hex(":"))
        / IPv6(src=target, dst=V6_HOST, hlim=255)
        / ICMPv6ND_NA(tgt=target, R=int(router), S=1, O=0)
        / ICMPv6NDOptDstLLAddr(lladdr=mac.hex(":"))
    )


def test_solicitation_for_the_gateway(rig: Rig) -> None:
    v6_route(rig, V6_GATEWAY, 10, flags=2)
    sent = rig.send(TAP1, solicit(V6_GATEWAY))
    assert sent == [(TAP1, advertisement(ROUTER_MAC, V6_GATEWAY, router=True))]


def test_solicitation_for_a_stitched_guest(rig: Rig) -> None:
    v6_route(rig, V6_OTHER, 5, flags=2, mac=MAC2)
    sent = rig.send(TAP1, solicit(V6_OTHER))
    assert sent == [(TAP1, advertisement(MAC2, V6_OTHER, router=False))]


@pytest.mark.parametrize("source", [V6_HOST, "::"], ids=["unknown target", "dad"])
def test_solicitation_is_flooded(rig: Rig, source: str) -> None:
    if source == "::":
        v6_route(rig, V6_OTHER, 5, flags=2, mac=MAC2)
    request = solicit(V6_OTHER, source)
    assert rig.send(TAP1, request) == [(TAP2, request)]


def test_dad_to_the_routers_own_mac_is_not_answered(rig: Rig) -> None:
    v6_route(rig, V6_GATEWAY, 10, flags=2)
    assert rig.send(TAP1, ROUTER_MAC + solicit(V6_GATEWAY, "::")[6:]) == []
    assert rig.drops() == {"discard": 1}


def test_solicitation_from_afar_is_refused(rig: Rig) -> None:
    v6_route(rig, V6_GATEWAY, 10, flags=2)
    assert rig.send(TAP1, solicit(V6_GATEWAY, hlim=64)) == []
    assert rig.drops() == {"invalid_packet": 1}


def test_multicast_advertisement_is_trapped_and_flooded(rig: Rig) -> None:
    news = bytes(
        Ether(dst="33:33:00:00:00:01", src=MAC1.hex(":"))
        / IPv6(src=V6_HOST, dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(tgt=V6_HOST)
    )
    sent = rig.send(TAP1, news)
    assert (reasons(sent), others(sent)) == ([TRAP_L3], [(TAP2, news)])


def test_mac_ip_learning_traps_until_the_route_is_marked(rig: Rig) -> None:
    set_tap(rig, 0x40000000)
    request = arp(MAC1, HOST1, HOST2)
    sent = rig.send(TAP1, request)
    assert reasons(sent) == [19]
    rig.route(f"{HOST1}/32", 2, flags=2 | 0x10, mac=MAC1)
    assert reasons(rig.send(TAP1, request)) == []
    assert reasons(rig.send(TAP1, solicit(V6_OTHER))) == [19]


def test_a_gateway_device_stands_for_every_address(rig: Rig) -> None:
    """The host asks its device for whatever it routes there; nothing is stitched or flooded."""
    gateway = 6
    assert rig.dp.vif_set(gateway, type=5, flags=0xC0, vrf=1, mac=ROUTER_MAC) == 0
    for target in (HOST1, HOST2, UNKNOWN, "15.0.0.9"):
        sent = rig.send(gateway, arp(ROUTER_MAC, "198.51.100.1", target))
        assert sent == [(gateway, answer(ROUTER_MAC, target, ROUTER_MAC, "198.51.100.1"))]
