"""What ARP and DHCP make of the golden frames (the parse is tested in tests/unit/pkt)."""

from __future__ import annotations

import dpkt
import pytest

from agent.pkt import DhcpType
from agent.services import TrappedPackets
from tests.unit.pkt.pkt0_vectors import EXPECT, FRAMES
from tests.unit.pkt.test_pkt0_vectors import OF_ARP_AND_DHCP
from tests.unit.services.world import World, feed

COUNTERS = {
    "arp-bad-ptype": ("arp", "invalid_packets"),
    "arp-bad-hwlen": ("arp", "invalid_packets"),
    "arp-unknown-op": ("arp", "errors"),
    "dhcp-wrong-mac": ("dhcp4", "incorrect_mac"),
    "dhcp-bad-cookie": ("dhcp4", "errors"),
    "dhcp-cookie-3-bytes": ("dhcp4", "errors"),
    "dhcp-fixed-header-1-short": ("dhcp4", "errors"),
    "dhcp-no-msgtype": ("dhcp4", "other"),
    "dhcp-cookie-only": ("dhcp4", "other"),
    "dhcp-msgtype-len-overrun": ("dhcp4", "other"),
    "dhcp-release": ("dhcp4", "release"),
    "dhcp-decline": ("dhcp4", "decline"),
}
REPLIES = {
    "dhcp-discover": DhcpType.OFFER,
    "dhcp-request-wrong-ip": DhcpType.NAK,
    "dhcp-renew-unicast": DhcpType.ACK,
    "dhcp-pad-then-type": DhcpType.ACK,
    "unknown-cmd-21-dhcp": DhcpType.OFFER,
}


def test_nothing_of_the_vectors_is_left_out() -> None:
    assert set(OF_ARP_AND_DHCP) <= set(COUNTERS) | set(REPLIES)
    for name, (_, counter) in COUNTERS.items():
        expect = EXPECT[name]
        wanted = expect.get("counter") or expect.get("dhcp", {}).get("counter")
        assert wanted is None or wanted.removeprefix("arp_") == counter


@pytest.mark.parametrize("name", COUNTERS)
def test_counted_without_an_answer(name: str) -> None:
    box = TrappedPackets(World())
    assert feed(box, FRAMES[name]) == []
    service, counter = COUNTERS[name]
    assert getattr(getattr(box, service).counters, counter) == 1
    assert box.take_events() == []


@pytest.mark.parametrize("name", REPLIES)
def test_answered(name: str) -> None:
    [frame] = feed(TrappedPackets(World()), FRAMES[name])
    assert frame[:44] == bytes.fromhex("0000000000020000000000010800" + "00070003") + bytes(26)
    udp = dpkt.ethernet.Ethernet(frame[44:]).data.data
    message = dpkt.dhcp.DHCP(udp.data)
    assert (udp.sport, udp.dport, message.op, message.xid) == (67, 68, 2, 0x12345678)
    assert message.opts[0] == (53, bytes([REPLIES[name]]))


@pytest.mark.parametrize("name", FRAMES)
def test_cut_anywhere_never_raises(name: str) -> None:
    """At most one answer a frame, and every frame is accounted for."""
    box = TrappedPackets(World())
    frame = FRAMES[name]
    for length in range(len(frame) + 1):
        assert len(feed(box, frame[:length], now=float(length))) <= 1
    counters = box.dispatcher.counters
    received = sum(module.received for module in box.dispatcher.modules.values())
    assert counters.pkt_exceptions == len(frame) + 1
    unparsed = (
        counters.pkt_invalid_agent_hdr
        + counters.pkt_invalid_interface
        + counters.pkt_invalid_ip_pkt
        + counters.pkt_truncated
        + counters.pkt_fragments_dropped
        + counters.pkt_drop_due_to_decode_error
        + counters.pkt_drop_due_to_flow_trap
    )
    assert received + unparsed == len(frame) + 1
