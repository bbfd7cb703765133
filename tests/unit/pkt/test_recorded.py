"""Frames recorded at the pkt0 of a real kernel datapath."""

from __future__ import annotations

import json
from pathlib import Path

from agent._fast.packet import arp_frame_bytes
from agent.pkt import Dispatcher, FrameBatch, Module, parse
from agent.values import VRRP_MAC, Mac
from tests.unit.pkt.pkt0_vectors import PORT

VECTORS = Path(__file__).parents[2] / "vectors"
LINES = [
    json.loads(line)
    for name in ("kernel-captures.jsonl", "kernel-scenario.jsonl")
    for line in (VECTORS / name).read_text().splitlines()
]
VM_MAC = Mac.parse("02:a7:7f:d8:87:a5")


def recorded(what: str) -> list[bytes]:
    return [
        bytes.fromhex(line["hex"])
        for line in LINES
        if line["what"] == what and line.get("dir", "pkt0") == "pkt0"
    ]


def test_dhcp_discover() -> None:
    [frame] = recorded("dhcp discover at pkt0")
    fields = parse(frame, pkt0_header=True)
    header = {name: fields["agent_hdr"][name] for name in ("ifindex", "vrf", "cmd")}
    assert header == {"ifindex": 3, "vrf": 1, "cmd": 7}
    assert fields["module"] == "DHCP"
    assert fields["dhcp"]["msg_type"] == 1
    assert fields["dhcp"]["chaddr"] == str(VM_MAC)


def test_flow_miss() -> None:
    frames = recorded("first packet of a flow at pkt0") + recorded("flow miss at pkt0")
    assert len(frames) == 2
    for frame in frames:
        fields = parse(frame, pkt0_header=True)
        assert fields["module"] == "FLOW"
        assert (fields["flow"]["handle"], fields["flow"]["nh"]) == (436592, 24)
        assert fields["flow"]["gen_id"] == 1
        assert (fields["ip"]["src"], fields["ip"]["dst"]) == ("15.0.0.3", "15.0.0.9")
        assert (fields["sport"], fields["dport"]) == (1, 0)


def test_an_arp_reply_that_a_real_datapath_delivered() -> None:
    [frame] = recorded("agent writes to pkt0")
    ours = arp_frame_bytes(
        ifindex=3,
        vrf=1,
        op=2,
        eth_dst=VM_MAC,
        eth_src=VRRP_MAC,
        sender_mac=VRRP_MAC,
        sender=0x0F000001,
        target_mac=VM_MAC,
        target=0x0F000003,
    )
    assert ours[14:] == frame[14:]  # the outer Ethernet header is nobody's business


def test_everything_recorded_is_counted() -> None:
    """Also what the host's own IPv6 stack says on the tap, which carries no agent header."""
    frames = [bytes.fromhex(line["hex"]) for line in LINES if line.get("dir") == "pkt0"]
    assert len(frames) > 10
    box = Dispatcher({3: PORT}.get, {Module.DHCP: lambda packet, now: ()})
    batch = FrameBatch(64)
    batch.fill(frames)
    box.receive(batch, 0.0)
    received = {module: counters.received for module, counters in box.modules.items()}
    assert received[Module.DHCP] == 1
    assert received[Module.FLOW] == 2
    assert box.counters.pkt_exceptions == len(frames)
    assert box.counters.pkt_dropped == len(frames) - 1
    assert sum(received.values()) + box.counters.pkt_invalid_interface == len(frames)
