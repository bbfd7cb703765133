"""Trapped packets against scapy, os-ken and dpkt: ARP and DHCP, parsed and answered.

Peers get the inner frame (they know nothing of the pkt0 encapsulation); ours gets the frame as
trapped and builds the frame to send, encapsulation and classification included.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

from agent.oper.rows import Fabric, Subnet, Vmi, Vn, Vrf
from agent.pkt import FrameBatch, Packet, Port
from agent.services import Dhcp4, TrappedPackets
from agent.values import VRRP_MAC, Mac

VECTORS = Path(__file__).parents[1] / "tests" / "vectors" / "pkt0.jsonl"
TRAPPED = {
    line["name"]: bytes.fromhex(line["hex"])
    for line in map(json.loads, VECTORS.read_text().splitlines())
}
ARP, DISCOVER = TRAPPED["arp-request"], TRAPPED["dhcp-discover"]
VM_MAC = Mac.parse("02:11:22:33:44:55")
VM_IP, GATEWAY, SERVICE = "10.1.1.3", "10.1.1.1", "10.1.1.2"
PORT = Port(vmi=True, dhcp=True, dhcpv6=True, dns=True, gateways=[int(IPv4Address(GATEWAY))])

PARSE_ARP, ANSWER_ARP = "packet: parse ARP request", "packet: parse ARP request and answer"
PARSE_DISCOVER = "packet: parse DHCP discover"
OFFER = "packet: parse DHCP discover and offer"
BATCH = "packet: a batch of traps through the services"


@dataclass
class View:
    """One plugged port."""

    subnet = Subnet(ip_network("10.1.1.0/24"), ip_address(GATEWAY), ip_address(SERVICE))
    vn = Vn(UUID(int=1), "net1", "net1:net1", 5, (subnet,))
    port = Vmi(
        uuid=UUID(int=2),
        name="tap1",
        vif_index=7,
        os_index=12,
        mac=VM_MAC,
        active=True,
        reason="",
        vm_uuid=UUID(int=3),
        vm_name="vm1",
        vn=vn,
        vrf=Vrf("net1:net1", 3),
        ip=IPv4Address(VM_IP),
        ip6=None,
        subnet=subnet,
        subnet6=None,
    )
    host = Fabric(
        vif_index=0,
        vhost_vif_index=1,
        pkt0_vif_index=2,
        interface="fabric0",
        mac=Mac.parse("0c:00:00:00:00:01"),
        vhost_mac=VRRP_MAC,
        router_id=IPv4Address("192.168.0.1"),
        prefix=None,
        gateway=None,
    )

    def vmi(self, vif_index: int) -> Vmi | None:
        return self.port if vif_index == 7 else None

    def fabric(self) -> Fabric:
        return self.host


# Ours


def test_parse_arp_vrouter(contest: Any) -> None:
    packet = Packet()

    def parse() -> int:
        packet.open(ARP)
        return packet.parse(PORT)

    assert parse() == 0
    assert packet.arp_tpa == int(IPv4Address(GATEWAY))
    contest(PARSE_ARP, "vrouter")(parse)


def test_answer_arp_vrouter(contest: Any) -> None:
    packet, mac = Packet(), VRRP_MAC

    def answer() -> bytes:
        packet.open(ARP)
        packet.parse(PORT)
        return packet.arp_reply(mac)

    assert answer()[72:76] == IPv4Address(GATEWAY).packed
    contest(ANSWER_ARP, "vrouter", aim_ns=200)(answer)


def test_parse_discover_vrouter(contest: Any) -> None:
    packet = Packet()

    def parse() -> int:
        packet.open(DISCOVER)
        return packet.parse(PORT)

    assert parse() == 0
    assert packet.dhcp_type == 1
    contest(PARSE_DISCOVER, "vrouter")(parse)


def test_offer_vrouter(contest: Any) -> None:
    packet, server, view = Packet(), Dhcp4(), View()

    def offer() -> bytes | None:
        packet.open(DISCOVER)
        packet.parse(PORT)
        return server.reply(view, packet, 0.0)

    assert IPv4Address(VM_IP).packed in (offer() or b"")
    contest(OFFER, "vrouter", aim_ns=1000)(offer)


def test_batch_vrouter(contest: Any) -> None:
    """32 discovers and 32 ARP requests from pkt0 bytes to answers, per frame."""
    box, batch = TrappedPackets(View()), FrameBatch(64)
    batch.fill([DISCOVER, ARP] * 32)

    def serve() -> list[bytes]:
        answers = box.receive(batch, 0.0)
        box.take_events()
        return answers

    assert len(serve()) == 64
    contest(BATCH, "vrouter", per=64)(serve)


# Peers


def test_parse_arp_dpkt(contest: Any, peer: Any) -> None:
    ethernet, frame = peer("dpkt").ethernet.Ethernet, ARP[44:]
    assert ethernet(frame).data.tpa == IPv4Address(GATEWAY).packed
    contest(PARSE_ARP, "dpkt")(ethernet, frame)


def test_answer_arp_dpkt(contest: Any, peer: Any) -> None:
    dpkt, frame = peer("dpkt"), ARP[44:]
    ethernet, arp = dpkt.ethernet.Ethernet, dpkt.arp.ARP

    def answer() -> bytes:
        asked = ethernet(frame)
        body = asked.data
        reply = arp(op=2, sha=VRRP_MAC, spa=body.tpa, tha=body.sha, tpa=body.spa)
        return bytes(ethernet(dst=asked.src, src=VRRP_MAC, type=0x0806, data=reply))

    assert answer()[28:32] == IPv4Address(GATEWAY).packed
    contest(ANSWER_ARP, "dpkt")(answer)


def dpkt_discover(dpkt: Any, frame: bytes) -> Any:
    return dpkt.dhcp.DHCP(dpkt.ethernet.Ethernet(frame).data.data.data)


def test_parse_discover_dpkt(contest: Any, peer: Any) -> None:
    dpkt, frame = peer("dpkt"), DISCOVER[44:]
    assert dpkt_discover(dpkt, frame).opts[0] == (53, b"\x01")
    contest(PARSE_DISCOVER, "dpkt")(dpkt_discover, dpkt, frame)


def test_offer_dpkt(contest: Any, peer: Any) -> None:
    dpkt, frame = peer("dpkt"), DISCOVER[44:]
    address, server = IPv4Address(VM_IP).packed, IPv4Address(SERVICE).packed
    opts = (
        (53, b"\x02"),
        (54, server),
        (1, b"\xff\xff\xff\x00"),
        (28, b"\x0a\x01\x01\xff"),
        (51, b"\xff" * 4),
        (3, IPv4Address(GATEWAY).packed),
        (12, b"vm1"),
        (6, server),
    )

    def offer() -> bytes:
        asked = dpkt_discover(dpkt, frame)
        reply = dpkt.dhcp.DHCP(
            op=2,
            xid=asked.xid,
            flags=asked.flags,
            yiaddr=int.from_bytes(address),
            siaddr=int.from_bytes(server),
            chaddr=asked.chaddr,
            opts=opts,
        )
        udp = dpkt.udp.UDP(sport=67, dport=68, data=reply)
        udp.ulen = len(udp)
        ip = dpkt.ip.IP(src=server, dst=b"\xff" * 4, p=17, data=udp)
        return bytes(dpkt.ethernet.Ethernet(dst=b"\xff" * 6, src=VRRP_MAC, data=ip))

    assert address in offer()
    contest(OFFER, "dpkt")(offer)


def osken(peer: Any) -> tuple[Any, ...]:
    base = "os_ken.lib.packet."
    names = ("packet", "ethernet", "arp", "ipv4", "udp", "dhcp")
    return tuple(peer(base + name) for name in names)


def test_parse_arp_osken(contest: Any, peer: Any) -> None:
    packet, _, arp, *_ = osken(peer)
    frame = ARP[44:]
    assert packet.Packet(frame).get_protocol(arp.arp).dst_ip == GATEWAY
    contest(PARSE_ARP, "os-ken")(packet.Packet, frame)


def test_answer_arp_osken(contest: Any, peer: Any) -> None:
    packet, ethernet, arp, *_ = osken(peer)
    frame, mac = ARP[44:], str(VRRP_MAC)

    def answer() -> bytes:
        asked = packet.Packet(frame).get_protocol(arp.arp)
        reply = packet.Packet()
        reply.add_protocol(ethernet.ethernet(asked.src_mac, mac, 0x0806))
        reply.add_protocol(
            arp.arp_ip(arp.ARP_REPLY, mac, asked.dst_ip, asked.src_mac, asked.src_ip)
        )
        reply.serialize()
        return bytes(reply.data)

    assert answer()[28:32] == IPv4Address(GATEWAY).packed
    contest(ANSWER_ARP, "os-ken")(answer)


def test_parse_discover_osken(contest: Any, peer: Any) -> None:
    packet, *_, dhcp = osken(peer)
    frame = DISCOVER[44:]
    assert packet.Packet(frame).get_protocol(dhcp.dhcp).xid == 0x12345678
    contest(PARSE_DISCOVER, "os-ken")(packet.Packet, frame)


def test_offer_osken(contest: Any, peer: Any) -> None:
    packet, ethernet, _, ipv4, udp, dhcp = osken(peer)
    frame, server = DISCOVER[44:], IPv4Address(SERVICE).packed
    options = [
        dhcp.option(53, b"\x02"),
        dhcp.option(54, server),
        dhcp.option(1, b"\xff\xff\xff\x00"),
        dhcp.option(28, b"\x0a\x01\x01\xff"),
        dhcp.option(51, b"\xff" * 4),
        dhcp.option(3, IPv4Address(GATEWAY).packed),
        dhcp.option(12, b"vm1"),
        dhcp.option(6, server),
    ]

    def offer() -> bytes:
        asked = packet.Packet(frame).get_protocol(dhcp.dhcp)
        reply = packet.Packet()
        reply.add_protocol(ethernet.ethernet("ff:ff:ff:ff:ff:ff", str(VRRP_MAC)))
        reply.add_protocol(ipv4.ipv4(src=SERVICE, dst="255.255.255.255", proto=17))
        reply.add_protocol(udp.udp(67, 68))
        reply.add_protocol(
            dhcp.dhcp(
                2,
                asked.chaddr,
                dhcp.options(option_list=options),
                xid=asked.xid,
                flags=asked.flags,
                yiaddr=VM_IP,
                siaddr=SERVICE,
            )
        )
        reply.serialize()
        return bytes(reply.data)

    assert IPv4Address(VM_IP).packed in offer()
    contest(OFFER, "os-ken")(offer)


def test_parse_arp_scapy(contest: Any, peer: Any) -> None:
    l2, frame = peer("scapy.layers.l2"), ARP[44:]
    assert l2.Ether(frame)[l2.ARP].pdst == GATEWAY
    contest(PARSE_ARP, "scapy")(l2.Ether, frame)


def test_answer_arp_scapy(contest: Any, peer: Any) -> None:
    l2, frame, mac = peer("scapy.layers.l2"), ARP[44:], str(VRRP_MAC)

    def answer() -> bytes:
        asked = l2.Ether(frame)[l2.ARP]
        reply = l2.ARP(op=2, hwsrc=mac, psrc=asked.pdst, hwdst=asked.hwsrc, pdst=asked.psrc)
        return bytes(l2.Ether(dst=asked.hwsrc, src=mac) / reply)

    assert answer()[28:32] == IPv4Address(GATEWAY).packed
    contest(ANSWER_ARP, "scapy")(answer)


def test_parse_discover_scapy(contest: Any, peer: Any) -> None:
    l2, dhcp = peer("scapy.layers.l2"), peer("scapy.layers.dhcp")
    frame = DISCOVER[44:]
    assert l2.Ether(frame)[dhcp.BOOTP].xid == 0x12345678
    contest(PARSE_DISCOVER, "scapy")(l2.Ether, frame)


def test_offer_scapy(contest: Any, peer: Any) -> None:
    l2, inet, dhcp = (peer(f"scapy.layers.{name}") for name in ("l2", "inet", "dhcp"))
    frame = DISCOVER[44:]
    options = [
        ("message-type", "offer"),
        ("server_id", SERVICE),
        ("subnet_mask", "255.255.255.0"),
        ("broadcast_address", "10.1.1.255"),
        ("lease_time", 0xFFFFFFFF),
        ("router", GATEWAY),
        ("hostname", b"vm1"),
        ("name_server", SERVICE),
        "end",
    ]

    def offer() -> bytes:
        asked = l2.Ether(frame)[dhcp.BOOTP]
        bootp = dhcp.BOOTP(
            op=2,
            xid=asked.xid,
            flags=asked.flags,
            yiaddr=VM_IP,
            siaddr=SERVICE,
            chaddr=asked.chaddr,
        )
        ip = inet.IP(src=SERVICE, dst="255.255.255.255") / inet.UDP(sport=67, dport=68)
        ethernet = l2.Ether(dst="ff:ff:ff:ff:ff:ff", src=str(VRRP_MAC))
        return bytes(ethernet / ip / bootp / dhcp.DHCP(options=options))

    assert IPv4Address(VM_IP).packed in offer()
    contest(OFFER, "scapy")(offer)
