"""Frames of guests and of the fabric, for a router with both."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from tests.unit.forwarder.dataplane_rig import (
    AGENT,
    BROADCAST,
    MAC1,
    ROUTER_MAC,
    Rig,
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


def fabric_copy(frame: bytes, label: int, src: str, *, ttl: int = 64) -> bytes:
    inner = IP(src=src, dst="10.0.0.1") / UDP(sport=50000, dport=4789) / VXLAN(vni=100) / Raw(frame)
    return mpls_udp(label, bytes(4) + bytes(inner), src=src, ttl=ttl)


def checksum_is_right(header: bytes) -> bool:
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


FRAME = ether(MAC1, BROADCAST, udp("15.0.0.3", "15.0.0.255"))
