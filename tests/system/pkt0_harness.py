"""Puts the services of pkt0 behind one end of a veth: a datapath that traps everything.

Runs inside a network namespace: `python pkt0_harness.py DEVICE CLIENT_MAC`.
"""

from __future__ import annotations

import socket
import sys
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from agent.oper.rows import DhcpOption, DhcpScope, HostRoute
from agent.pkt import FrameBatch, Trap
from agent.services import TrappedPackets
from agent.values import Mac
from tests.unit.services.world import World

ENCAPSULATION = 44
ETH_ALL, ETH_ARP = 3, 0x0806


def world_of(mac: Mac) -> World:
    world = World()
    options = (
        DhcpOption("interface-mtu", "1400"),
        DhcpOption("ntp-servers", "10.1.1.20 10.1.1.21"),
        DhcpOption("domain-search", "a.example.org example.org"),
        DhcpOption("tftp-server-name", "10.1.1.30"),
        DhcpOption("bootfile-name", "pxelinux.0"),
    )
    route = HostRoute(IPv4Network("172.16.0.0/12"), IPv4Address("10.1.1.9"))
    world.change(
        mac=mac,
        dhcp=DhcpScope(options, (route,)),
        subnet_dns_method="virtual-dns-server",
        subnet_domain_name="v.example.org",
    )
    return world


def trapped(frame: bytes) -> bytes:
    kind = Trap.ARP if int.from_bytes(frame[12:14]) == ETH_ARP else Trap.L3_PROTOCOLS
    header = b"".join(value.to_bytes(2) for value in (7, 3, kind))
    return bytes(12) + b"\x08\x00" + header + bytes(24) + frame


def main(device: str, mac: str) -> None:
    box = TrappedPackets(world_of(Mac.parse(mac)))
    batch = FrameBatch(1)
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
    link.bind((device, 0))
    print("ready", flush=True)
    while True:
        frame, (_, _, kind, _, _) = link.recvfrom(9000)
        if kind == socket.PACKET_OUTGOING:
            continue
        batch.fill([trapped(frame)])
        for reply in box.receive(batch, time.monotonic()):
            link.send(reply[ENCAPSULATION:])


if __name__ == "__main__":
    main(*sys.argv[1:])
