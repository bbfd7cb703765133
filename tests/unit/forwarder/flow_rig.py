"""The rig of the data plane with flows: guests with policy, entries read back, pairs set."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, replace
from typing import Any

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from agent._fast.forwarding import FlowAnswer
from tests.unit.forwarder.dataplane_rig import (
    AGENT,
    FABRIC,
    MAC1,
    MAC2,
    ROUTER_MAC,
    TAP1,
    TAP2,
    VHOST,
    Rig,
)

FLOW_ENTRIES, FLOW_OVERFLOW = 1024, 1024
FLOW_MISS, FLOW_HOLD = 6, 15
DROP, HOLD, FORWARD, NAT = range(4)
ACTIVE, SNAT, SPAT, DNAT, DPAT = 1, 2, 4, 8, 0x10
DELETE_MARKED, NEW, CANDIDATE, EVICTED = 0x40, 0x200, 0x400, 0x800
GONE = ACTIVE | DELETE_MARKED | EVICTED
RFLOW, MIRROR, VRFT = 0x1000, 0x2000, 0x4000
GUEST1_NH, GUEST2_NH, TUNNEL_NH = 2, 5, 6
POLICY = 0x1
GUEST_LABEL = 16
ICMP_PROTO, TCP_PROTO, UDP_PROTO, ICMP6_PROTO = 1, 6, 17, 58


@dataclass(frozen=True, slots=True)
class Key:
    """A flow's key; ports as the big-endian reading of their two bytes."""

    nh: int
    src: str
    dst: str
    proto: int
    sport: int = 0
    dport: int = 0

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.src).version

    def reverse(self, nh: int) -> Key:
        return Key(nh, self.dst, self.src, self.proto, self.dport, self.sport)

    def raw(self) -> bytes:
        """As in the shared table."""
        ends = ipaddress.ip_address(self.src).packed + ipaddress.ip_address(self.dst).packed
        ports = struct.pack(">HH", self.sport, self.dport)
        family = 2 if self.version == 4 else 10
        return bytes([family, self.proto, 0, 0]) + ports + struct.pack("<I", self.nh) + ends

    def fields(self) -> dict[str, int]:
        """As flow_set takes it."""
        raw = self.raw()
        sport, dport = struct.unpack_from("<HH", raw, 4)
        fields = {"family": raw[0], "proto": raw[1], "sport": sport, "dport": dport}
        fields["nh_id"] = self.nh
        if self.version == 4:
            names, form = ("sip_l", "dip_l"), "<II"
        else:
            names, form = ("sip_u", "sip_l", "dip_u", "dip_l"), "<QQQQ"
        return fields | dict(zip(names, struct.unpack_from(form, raw, 12), strict=True))


@dataclass(frozen=True, slots=True)
class Entry:
    """What the shared table says of one flow."""

    index: int
    valid: bool
    key: bytes
    gen_id: int
    tcp: int
    rflow: int
    flags: int
    action: int
    vrf: int
    src_nh: int
    bytes: int
    packets: int
    ecmp: int
    udp_port: int
    src_info: int


@dataclass(frozen=True, slots=True)
class Trap:
    """A frame for the agent."""

    vif: int
    vrf: int
    reason: int
    params: tuple[int, ...]
    gen_id: int
    frame: bytes

    @property
    def index(self) -> int:
        return self.params[0]


def read_trap(frame: bytes) -> Trap:
    vif, vrf, reason, *params, gen_id = struct.unpack_from(">HHH5IB", frame, 14)
    return Trap(vif, vrf, reason, tuple(params), gen_id, frame[44:])


def traps(sent: list[tuple[int, bytes]]) -> list[Trap]:
    return [read_trap(frame) for vif, frame in sent if vif == AGENT]


def others(sent: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [(vif, frame) for vif, frame in sent if vif != AGENT]


class FlowRig(Rig):
    """Guests 1 and 2 with policy in VRF 1, a remote 15.0.0.9 behind a tunnel."""

    def __init__(self, **settings: Any) -> None:
        self.table = bytearray((FLOW_ENTRIES + FLOW_OVERFLOW) * 256)
        super().__init__(flow_table=self.table, **settings)

    def build(self) -> FlowRig:
        super().build()
        self.policy(TAP1, GUEST1_NH)
        self.policy(TAP2, GUEST2_NH)
        self.encap(GUEST1_NH, TAP1, MAC1, flags=3)
        self.encap(GUEST2_NH, TAP2, MAC2, flags=3)
        self.route("15.0.0.9/32", TUNNEL_NH, flags=1, label=25)
        for host, nh in ((3, GUEST1_NH), (4, GUEST2_NH)):
            assert self.dp.route_add(1, 10, packed(f"fd00::{host}"), 128, nh=nh) == 0
        assert self.dp.route_add(1, 10, packed("fd00::9"), 128, nh=6, flags=1, label=25) == 0
        return self

    def policy(self, vif: int, nh: int, flags: int = 0) -> None:
        assert self.dp.vif_set(vif, type=3, flags=0x1C1 | flags, vrf=1, nh_id=nh) == 0

    def entry(self, index: int) -> Entry:
        raw = self.table[index * 256 : index * 256 + 256]
        length = raw[68] or (20 if raw[24] == 2 else 44)
        low, packets, oflow, packets_oflow = struct.unpack_from("<IIHB", raw, 104)
        (rflow,) = struct.unpack_from("<i", raw, 84)
        flags, _, action, vrf = struct.unpack_from("<4H", raw, 88)
        return Entry(
            index=index,
            valid=bool(raw[20] & 1),
            key=bytes(raw[24 : 24 + length]),
            gen_id=raw[69],
            tcp=struct.unpack_from("<H", raw, 70)[0],
            rflow=rflow,
            flags=flags,
            action=action,
            vrf=vrf,
            src_nh=struct.unpack_from("<I", raw, 100)[0],
            bytes=oflow << 32 | low,
            packets=packets_oflow << 32 | packets,
            ecmp=struct.unpack_from("<b", raw, 115)[0],
            udp_port=struct.unpack_from("<H", raw, 118)[0],
            src_info=struct.unpack_from("<I", raw, 120)[0],
        )

    def entries(self) -> list[Entry]:
        """Entries that a lookup finds."""
        valid = self.table[20::256]
        found = [self.entry(index) for index, flags in enumerate(valid) if flags & 1]
        return [entry for entry in found if entry.flags & GONE == ACTIVE]

    def find(self, key: Key) -> Entry | None:
        for entry in self.entries():
            if entry.key == key.raw():
                return entry
        return None

    def found(self, key: Key) -> Entry:
        entry = self.find(key)
        assert entry is not None, key
        return entry

    def set(self, key: Key, *, index: int = -1, **values: Any) -> FlowAnswer:
        """One request; of a known entry with its generation."""
        known = {"flags": ACTIVE, "action": FORWARD, "vrf": 1, "gen_id": 0}
        if index >= 0:
            known["gen_id"] = self.entry(index).gen_id
        return self.dp.flow_set(index=index, **key.fields(), **known | values)

    def add(self, key: Key, **values: Any) -> int:
        answer = self.set(key, **values)
        assert answer.code == 0
        return answer.handle

    def change(self, key: Key, index: int, **values: Any) -> None:
        assert self.set(key, index=index, **values).code == 0

    def pair(
        self,
        key: Key,
        reverse: Key,
        *,
        forward_set: dict[str, Any] | None = None,
        reverse_set: dict[str, Any] | None = None,
        **both: Any,
    ) -> tuple[int, int]:
        """Both directions, each naming the other; set as the agent does."""
        flags = both.pop("flags", 0) | ACTIVE | RFLOW
        one, two = both | (forward_set or {}), both | (reverse_set or {})
        one_flags, two_flags = flags | one.pop("flags", 0), flags | two.pop("flags", 0)
        held = self.find(key)
        index = held.index if held else self.add(key, **one | {"action": HOLD})
        other = self.add(reverse, rindex=index, flags=two_flags, **two)
        self.change(key, index, rindex=other, flags=one_flags, **one)
        return index, other


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def guest_frame(payload: Any, *, src: bytes = MAC1, dst: bytes = ROUTER_MAC) -> bytes:
    """From a guest (the first) to its router (or another MAC)."""
    return bytes(Ether(src=src.hex(":"), dst=dst.hex(":")) / payload)


def udp(src: str, dst: str, sport: int = 1111, dport: int = 2222, size: int = 32) -> Any:
    """Of either family."""
    layer = IP(src=src, dst=dst) if ":" not in src else IPv6(src=src, dst=dst)
    return layer / UDP(sport=sport, dport=dport) / Raw(b"x" * size)


def from_fabric(inner: Any, *, label: int = GUEST_LABEL, peer: str = "10.0.0.2") -> bytes:
    """An IP packet that a peer's MPLSoUDP tunnel brings."""
    outer = Ether(src="02:00:00:00:01:02", dst="02:00:00:00:01:01") / IP(src=peer, dst="10.0.0.1")
    shim = MPLS(label=label, s=1, ttl=64) / Raw(bytes(inner))
    return bytes(outer / UDP(sport=50000, dport=6635, chksum=0) / shim)


def inner_ip(frame: bytes) -> bytes:
    """The IP packet in an MPLSoUDP frame."""
    return frame[14 + 20 + 8 + 4 :]


KEY = Key(GUEST1_NH, "15.0.0.3", "15.0.0.9", UDP_PROTO, 1111, 2222)
PACKET = udp("15.0.0.3", "15.0.0.9")
ANSWER = udp("15.0.0.9", "15.0.0.3", 2222, 1111)
LOCAL = Key(GUEST1_NH, "15.0.0.3", "15.0.0.4", UDP_PROTO, 1111, 2222)

__all__ = [
    "ACTIVE", "AGENT", "ANSWER", "CANDIDATE", "DNAT", "DPAT", "DROP", "EVICTED", "FABRIC",
    "FLOW_HOLD", "FLOW_MISS", "FORWARD", "GUEST1_NH", "GUEST2_NH", "GUEST_LABEL", "HOLD",
    "ICMP6_PROTO", "ICMP_PROTO", "KEY", "LOCAL", "MAC1", "MAC2", "MIRROR", "NAT", "NEW", "PACKET",
    "POLICY", "RFLOW", "ROUTER_MAC", "SNAT", "SPAT", "TAP1", "TAP2", "TCP_PROTO", "TUNNEL_NH",
    "UDP_PROTO", "VHOST", "VRFT", "Entry", "FlowRig", "Key", "Trap", "from_fabric", "guest_frame",
    "inner_ip", "others", "packed", "replace", "traps", "udp",
]  # fmt: skip
