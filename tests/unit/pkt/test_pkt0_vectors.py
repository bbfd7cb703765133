"""Every golden frame through the parser, also cut at every byte."""

from __future__ import annotations

from typing import Any

import pytest

from agent.errors import PacketError
from agent.pkt import Dispatcher, FrameBatch, Module, Packet, parse
from tests.unit.pkt.pkt0_vectors import EXPECT, FRAMES, PORT, differences

# What a service makes of a packet that parses. ARP's and DHCP's are checked in
# tests/unit/services/test_service_vectors.py; the rest belongs to services still to come.
OF_ARP_AND_DHCP = {
    "arp-bad-ptype": {".counter"},
    "arp-bad-hwlen": {".counter"},
    "dhcp-request-wrong-ip": {".dhcp.reply_if_vm_ip_10_1_1_3"},
    "dhcp-release": {".dhcp.reply"},
    "dhcp-decline": {".dhcp.reply"},
    "dhcp-wrong-mac": {".dhcp.counter_if_vmi_mac_is_02:11:22:33:44:55"},
    "dhcp-bad-cookie": {".counter"},
    "dhcp-cookie-3-bytes": {".counter"},
    "dhcp-fixed-header-1-short": {".counter"},
    "dhcp-no-msgtype": {".dhcp.reply", ".dhcp.counter"},
    "dhcp-cookie-only": {".dhcp.reply", ".dhcp.counter"},
    "dhcp-msgtype-len-overrun": {".dhcp.reply"},
}
OF_LATER_SERVICES = {
    "dhcpv6-unknown-type-12": {".dhcpv6.reply", ".dhcpv6.counter"},
    "dhcpv6-header-3-bytes": {".counter"},
    "dns-opcode-status": {".reply_rcode"},
    "icmp-echo-payload-cut": {".counter"},
    "icmp-echo-reply-to-gw": {".reply"},
}
ELSEWHERE = OF_ARP_AND_DHCP | OF_LATER_SERVICES
DROPPED = [name for name, expect in EXPECT.items() if "error" in expect]
# Set where the counter's name is not in the vector: the fixed rule of the dispatcher.
COUNTER = {
    "truncated": "pkt_truncated",
    "bad-ihl": "pkt_invalid_ip_pkt",
    "flow-trap-non-ip": "pkt_drop_due_to_flow_trap",
}


def test_all_vectors_are_here() -> None:
    assert len(FRAMES) == 90


@pytest.mark.parametrize("name", [name for name in FRAMES if name not in DROPPED])
def test_decoded_fields(name: str) -> None:
    expect = {key: value for key, value in EXPECT[name].items() if key != "note"}
    missing = {
        text.removesuffix(" is missing")
        for text in differences(expect, parse(FRAMES[name], True, PORT))
    }
    assert missing == ELSEWHERE.get(name, set())


@pytest.mark.parametrize("name", DROPPED)
def test_dropped(name: str) -> None:
    expect = EXPECT[name]
    with pytest.raises(PacketError) as caught:
        parse(FRAMES[name], True, PORT)
    assert caught.value.reason == expect["error"]
    assert caught.value.layer == expect.get("layer", caught.value.layer)


def decoded_before_the_drop(name: str) -> dict[str, Any]:
    packet = Packet()
    packet.open(FRAMES[name])
    assert packet.parse(PORT) != 0
    names = ("cmd_param", "cmd_param_1", "cmd_param_2", "cmd_param_3", "cmd_param_4", "cmd_param_5")
    header = {"ifindex": packet.ifindex, "vrf": packet.vrf, "cmd": packet.cmd}
    return header | dict(zip(names, packet.params, strict=True))


@pytest.mark.parametrize("name", [name for name in DROPPED if "agent_hdr" in EXPECT[name]])
def test_agent_header_of_dropped_packets(name: str) -> None:
    assert decoded_before_the_drop(name) == EXPECT[name]["agent_hdr"]


@pytest.mark.parametrize("name", DROPPED)
def test_drops_are_counted_by_reason(name: str) -> None:
    dispatcher = Dispatcher(lambda ifindex: PORT, {})
    batch = FrameBatch(4)
    batch.fill([FRAMES[name]])
    assert dispatcher.receive(batch, 0.0) == []
    counter = EXPECT[name].get("counter") or COUNTER[EXPECT[name]["error"]]
    assert getattr(dispatcher.counters, counter) == 1
    assert dispatcher.counters.pkt_dropped == 1
    assert dispatcher.counters.pkt_exceptions == 1


@pytest.mark.parametrize("name", [name for name in FRAMES if name not in DROPPED])
def test_module(name: str) -> None:
    seen = []
    dispatcher = Dispatcher(
        lambda ifindex: PORT,
        {
            module: lambda packet, now: seen.append(packet.module) or ()
            for module in Module
            if module
        },
    )
    batch = FrameBatch(4)
    batch.fill([FRAMES[name]])
    dispatcher.receive(batch, 0.0)
    module = Module[EXPECT[name]["module"]]
    assert dispatcher.modules[module].received == 1
    assert seen == ([module] if module else [])
    assert dispatcher.counters.pkt_dropped == (module == Module.INVALID)


def outcome(frame: bytes) -> dict[str, Any]:
    try:
        return parse(frame, True, PORT)
    except PacketError as error:
        return {"error": error.reason, "layer": error.layer}


@pytest.mark.parametrize("name", FRAMES)
def test_cut_at_every_byte(name: str) -> None:
    """A cut frame parses to a prefix of the truth or names the header that is missing."""
    frame, whole = FRAMES[name], EXPECT[name]
    for length in range(len(frame)):
        fields = outcome(frame[:length])
        if length <= 44:
            assert fields == {"error": "truncated", "layer": "agent_hdr"}
        elif length < 44 + 14:
            assert fields == {"error": "truncated", "layer": "ethernet"}
        elif "error" in fields:
            assert fields["error"] in ("truncated", whole.get("error"))
        else:
            assert fields["agent_hdr"] == whole.get("agent_hdr", fields["agent_hdr"])
            assert fields["eth"] == whole.get("eth", fields["eth"])


def test_without_a_port_the_services_are_taken_as_enabled() -> None:
    assert parse(FRAMES["dhcp-discover"], pkt0_header=True)["module"] == "DHCP"
    assert parse(FRAMES["icmp-echo-gw"], pkt0_header=True)["module"] == "ICMP"


def test_without_encapsulation() -> None:
    fields = parse(FRAMES["arp-request"][44:])
    assert "agent_hdr" not in fields
    assert fields["arp"] == EXPECT["arp-request"]["arp"]
    assert fields["module"] == "ARP"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(kind: Any) -> None:
    assert parse(kind(FRAMES["dhcp-discover"]), True)["dhcp"]["xid"] == 0x12345678
