"""Ports in the fabric's network: their DHCP goes to a server there, and its answers come back."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from agent.inputs import DhcpSnooped
from agent.oper.rows import Vrf
from agent.services import TrappedPackets
from tests.unit.services.test_dhcp4 import BROADCAST_FLAG, request
from tests.unit.services.world import FABRIC, VM_MAC, VMI, World, feed

SERVER, LEASED = IPv4Address("192.168.0.9"), IPv4Address("192.168.0.77")
PORT = replace(VMI, vrf=Vrf("fabric", 0), ip=None, subnet=None, dhcp_relay=True)
SECRET = b"nobody knows this"


def world(**changes: Any) -> World:
    return World(vmis={7: replace(PORT, **changes)})


def asked(box: TrappedPackets, *options: Any, **bootp: Any) -> bytes:
    """The message that the fabric gets of a client's discover, behind UDP."""
    [frame] = feed(box, request("discover", *options, **bootp))
    assert frame[14:20] == bytes([0, FABRIC.vif_index, 0, 0, 0, 0]), "SWITCH on the fabric"
    return bytes(Ether(frame[44:])[UDP].payload)


def answered(message: bytes, kind: int, **changes: Any) -> bytes:
    """What a server makes of a relayed message: its option 82 comes back."""
    bootp = BOOTP(message)
    bootp.op, bootp.yiaddr, bootp.siaddr = 2, str(LEASED), str(SERVER)
    for name, value in changes.items():
        setattr(bootp, name, value)
    relay = next(option for option in bootp[DHCP].options if option[0] == "relay_agent_information")
    bootp[DHCP].options = [("message-type", kind), ("server_id", str(SERVER)), relay, "end"]
    return bytes(bootp)


def test_a_request_goes_to_the_fabric() -> None:
    box = TrappedPackets(world(), SECRET)
    frame = request("discover", ("hostname", b"guess"), ("relay_agent_information", b"\x01\x01x"))
    [sent] = feed(box, frame)
    packet = Ether(sent[44:])
    assert (packet.src, packet.dst) == (str(FABRIC.mac), "ff:ff:ff:ff:ff:ff")
    assert (packet[IP].src, packet[IP].dst) == ("192.168.0.1", "255.255.255.255")
    assert (packet[UDP].sport, packet[UDP].dport, packet[UDP].chksum) == (67, 67, 0)
    assert int(IP(bytes(packet[IP])[:20]).chksum) == int(packet[IP].chksum)
    fresh = IP(bytes(packet[IP]))
    del fresh.chksum
    assert int(IP(bytes(fresh)).chksum) == int(packet[IP].chksum)
    asked = Ether(frame[44:])[BOOTP]
    assert packet[BOOTP].giaddr == "192.168.0.1"
    for name in ("op", "xid", "ciaddr", "yiaddr", "siaddr", "chaddr", "flags"):
        assert getattr(packet[BOOTP], name) == getattr(asked, name), name
    options = dict(one for one in packet[DHCP].options if isinstance(one, tuple))
    assert options["hostname"] == b"vm1"
    agent = options["relay_agent_information"]
    assert agent[:8] == bytes([1, 4, 0, 0, 0, 7, 2, 8])
    assert len(agent) == 16
    assert (box.dhcp4.counters.relay_req, box.dhcp4.counters.offers) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "mac", "address"),
    [
        ({"flags": BROADCAST_FLAG}, "ff:ff:ff:ff:ff:ff", "255.255.255.255"),
        ({"flags": 0}, str(VM_MAC), str(LEASED)),
        ({"flags": BROADCAST_FLAG, "ciaddr": str(LEASED)}, str(VM_MAC), str(LEASED)),
    ],
)
def test_an_answer_comes_to_the_port(changes: dict[str, Any], mac: str, address: str) -> None:
    box = TrappedPackets(world(), SECRET)
    message = answered(asked(box), 5, **changes)
    [frame] = box.relayed(message, SERVER, 0.0)
    assert frame[14:20] == bytes([0, 7, 0, 0, 0, 0])
    packet = Ether(frame[44:])
    assert (packet.src, packet.dst) == ("00:00:5e:00:01:00", mac)
    assert (packet[IP].src, packet[IP].dst) == (str(SERVER), address)
    assert (packet[UDP].sport, packet[UDP].dport) == (67, 68)
    assert (packet[BOOTP].giaddr, packet[BOOTP].yiaddr) == ("0.0.0.0", str(LEASED))
    assert packet[DHCP].options == [("message-type", 5), ("server_id", str(SERVER)), "end"]
    assert box.take_events() == [DhcpSnooped(7, LEASED, VM_MAC)]
    assert box.take_events() == []
    assert box.dhcp4.counters.relay_resp == 1


@pytest.mark.parametrize("kind", [2, 6])
def test_only_an_acknowledged_address_is_the_ports(kind: int) -> None:
    box = TrappedPackets(world(), SECRET)
    assert box.relayed(answered(asked(box), kind), SERVER, 0.0)
    assert box.take_events() == []


@pytest.mark.parametrize(
    "address", ["192.168.0.1", "192.168.0.254", "0.0.0.0", "127.0.0.1", "224.0.0.9", "169.254.0.3"]
)
def test_no_server_gives_away_what_is_ours(address: str) -> None:
    box = TrappedPackets(world(), SECRET)
    assert box.relayed(answered(asked(box), 5, yiaddr=address), SERVER, 0.0)
    assert box.take_events() == []


def refused(box: TrappedPackets, message: bytes) -> None:
    before = box.dhcp4.counters.errors
    assert box.relayed(message, SERVER, 0.0) == []
    assert box.dhcp4.counters.errors == before + 1
    assert box.take_events() == []


def test_answers_that_are_not_to_us() -> None:
    here = world()
    box = TrappedPackets(here, SECRET)
    good = answered(asked(box), 5)
    refused(box, answered(asked(TrappedPackets(here, b"other")), 5))
    refused(box, good[:239])
    refused(box, b"")
    refused(box, b"\x01" + good[1:])
    refused(box, good[:236] + b"\0\0\0\0" + good[240:])
    refused(box, good[:28] + b"\x04" + good[29:])
    refused(box, good.replace(bytes([1, 4, 0, 0, 0, 7]), bytes([1, 4, 0, 0, 0, 8])))
    here.vmis[7] = replace(PORT, dhcp_relay=False)
    refused(box, good)
    del here.vmis[7]
    refused(box, good)


def test_a_message_that_does_not_fit_is_not_relayed() -> None:
    box = TrappedPackets(world(), SECRET)
    long = [("vendor_class_id", bytes(250))] * 4 + [("client_id", bytes(170))]
    assert feed(box, request("discover", *long)) == []
    assert (box.dhcp4.counters.relay_req, box.dhcp4.counters.errors) == (0, 1)


def test_without_an_address_of_the_host_nothing_is_relayed() -> None:
    here = World(vmis={7: PORT}, host=replace(FABRIC, router_id=None))
    assert feed(TrappedPackets(here, SECRET), request("discover")) == []


@given(st.data())
def test_any_damage_to_an_answer_is_an_answer_or_an_error(data: st.DataObject) -> None:
    box = TrappedPackets(world(), SECRET)
    message = bytearray(answered(asked(box), 5))
    for _ in range(data.draw(st.integers(0, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(message[: data.draw(st.integers(0, len(message)))])
    frames = box.relayed(cut, SERVER, 0.0)
    assert len(frames) + box.dhcp4.counters.errors == 1
    assert all(
        event.vif_index == 7 for event in box.take_events() if isinstance(event, DhcpSnooped)
    )
