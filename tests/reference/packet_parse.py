"""The slow, clear parser of trapped packets: oracle of the compiled one.

Written from facts pkt0-services.md, sections 2 to 4. `parse` gives a `Result`, or raises `Drop`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TUNNEL_PORTS = {4789: "vxlan", 6635: "mpls", 51234: "mpls"}
HEADER_SIZE = {17: ("udp", 8), 6: ("tcp", 20), 132: ("sctp", 12), 1: ("icmp", 8)}
HEADER_SIZE |= {58: ("icmpv6", 8), 2: ("igmp", 8)}
FLOW_TRAPS = (6, 15)


class Drop(Exception):
    """The packet cannot be used."""

    def __init__(self, reason: str, layer: str) -> None:
        super().__init__(reason, layer)
        self.reason, self.layer = reason, layer


@dataclass
class Interface:
    """The context of classification; by default an active VMI with everything enabled."""

    vmi: bool = True
    dhcp: bool = True
    dhcpv6: bool = True
    dns: bool = True
    tunnel: bool = False
    router_id: str = "c0a80001"
    gateways: tuple[str, ...] = ("0a010101", "0a010102")
    labels: Mapping[int, str] = field(default_factory=dict)


@dataclass
class Result:
    """What the compiled parser must find too; addresses are hexadecimal."""

    cmd: int = 0xFFFF
    ifindex: int = 0
    vrf: int = 0
    dst_mac: str = ""
    src_mac: str = ""
    ethertype: int = 0
    vlan_tags: int = 0
    isid: int | None = None
    family: int = 0
    src: str = ""
    dst: str = ""
    proto: int = 0
    ttl: int = 0
    sport: int = 0
    dport: int = 0
    tcp_ack: bool = False
    fragment: bool = False
    later_fragment: bool = False
    icmp_checksum: int = 0
    icmp_error: bool = False
    tunnel: tuple[str, int] | None = None
    arp: tuple[int, str, str, str, str] | None = None
    arp_kind: str = ""
    module: str = "INVALID"
    payload: bytes = b""
    dhcp: dict[str, object] = field(default_factory=dict)


class Reader:
    """Reads headers off the captured bytes; `prefix` marks the layers of a nested packet."""

    def __init__(self, data: bytes, at: int, prefix: str = "") -> None:
        self.data, self.at, self.prefix = data, at, prefix

    def take(self, layer: str, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) < size:
            raise Drop("truncated", self.prefix + layer)
        self.at += size
        return piece


def number(piece: bytes) -> int:
    return int.from_bytes(piece, "big")


def parse(frame: bytes, pkt0_header: bool, interface: Interface) -> Result:
    result = Result()
    reader = Reader(frame, 0)
    if pkt0_header:
        if len(frame) <= 44:
            raise Drop("truncated", "agent_hdr")
        result.ifindex, result.vrf, result.cmd = (number(frame[i : i + 2]) for i in (14, 16, 18))
        reader.at = 44
    ethernet(reader, result, interface)
    result.module = classify(result, interface)
    if result.module == "INVALID" and result.cmd in FLOW_TRAPS:
        raise Drop("flow-trap-non-ip", reader.prefix + "ethernet")
    if result.module == "DHCP":
        result.dhcp = dhcp(frame[reader.at :])
    return result


def ethernet(reader: Reader, result: Result, interface: Interface) -> None:
    header = reader.take("ethernet", 14)
    result.dst_mac, result.src_mac = header[:6].hex(), header[6:12].hex()
    result.vlan_tags = 0
    while True:
        result.ethertype = number(header[-2:])
        if result.ethertype in (0x8100, 0x88A8):
            header = reader.take("vlan", 4)
            result.vlan_tags = min(result.vlan_tags + 1, 255)
            continue
        if result.ethertype != 0x88E7 or result.isid is not None:
            break
        header = reader.take("pbb", 18)
        result.isid = number(header[1:4])
        result.dst_mac, result.src_mac = header[4:10].hex(), header[10:16].hex()
    after_ethernet(reader, result, interface)


def after_ethernet(reader: Reader, result: Result, interface: Interface) -> None:
    result.payload = reader.data[reader.at :]
    if result.ethertype == 0x0806:
        arp(reader, result)
    elif result.ethertype == 0x86DD:
        ip(reader, result, interface, v6=True)
    elif result.ethertype == 0x0800:
        first = reader.data[reader.at : reader.at + 1]
        ip(reader, result, interface, v6=bool(first) and first[0] >> 4 == 6)


def arp(reader: Reader, result: Result) -> None:
    b = result.payload = reader.take("arp", 28)
    op, spa, tpa = number(b[6:8]), b[14:18].hex(), b[24:28].hex()
    result.arp = (op, b[8:14].hex(), spa, b[18:24].hex(), tpa)
    if b[:6] != bytes.fromhex("000108000604"):
        result.arp_kind = "INVALID"
    elif op not in (1, 2):
        result.arp_kind = "UNKNOWN_OP"
    elif spa in (tpa, "00000000"):
        result.arp_kind = "GRATUITOUS"
    else:
        result.arp_kind = {1: "REQUEST", 2: "REPLY"}[op]


@dataclass
class IpHeader:
    family: int
    src: str
    dst: str
    proto: int
    ttl: int
    fragment: bool
    later: bool
    end: int


def ip_header(reader: Reader, v6: bool) -> IpHeader:
    start = reader.at
    layer = "ipv6" if v6 else "ipv4"
    b = reader.take(layer, 40 if v6 else 20)
    if b[0] >> 4 != (6 if v6 else 4):
        raise Drop("bad-ip-version", reader.prefix + layer)
    if v6:
        end = start + 40 + number(b[4:6]) if number(b[4:6]) else len(reader.data)
        header = IpHeader(6, b[8:24].hex(), b[24:40].hex(), b[6], b[7], False, False, end)
        if header.proto == 44:
            extension = reader.take("fragment", 8)
            header.proto, header.fragment = extension[0], True
            header.later = number(extension[2:4]) >> 3 != 0
        return header
    size = (b[0] & 15) * 4
    if size < 20:
        raise Drop("bad-ihl", reader.prefix + layer)
    reader.take(layer, size - 20)
    more_and_offset, total = number(b[6:8]), number(b[2:4])
    end = start + total if total >= size else len(reader.data)
    fragment, later = more_and_offset & 0x3FFF != 0, more_and_offset & 0x1FFF != 0
    return IpHeader(4, b[12:16].hex(), b[16:20].hex(), b[9], b[8], fragment, later, end)


def icmp_ports(b: bytes, v6: bool) -> tuple[int, int]:
    if v6:
        return (number(b[4:6]), 129) if b[0] in (128, 129) else (0, b[0] << 8)
    return (number(b[4:6]), 0) if b[0] in (0, 8) else (0, b[0] << 8)


def transport(reader: Reader, proto: int, quoted: bool = False) -> tuple[int, int, bytes]:
    """Source and destination port, and the header."""
    if proto not in HEADER_SIZE:
        return 0, 0, b""
    layer, size = HEADER_SIZE[proto]
    b = reader.take(layer, 8 if quoted else size)
    if proto in (1, 58):
        return (*icmp_ports(b, proto == 58), b)
    return (0, 0, b) if proto == 2 else (number(b[:2]), number(b[2:4]), b)


def ip(reader: Reader, result: Result, interface: Interface, v6: bool) -> None:
    header = ip_header(reader, v6)
    layer = reader.prefix + ("ipv6" if v6 else "ipv4")
    result.family, result.src, result.dst = header.family, header.src, header.dst
    result.proto, result.ttl, result.fragment = header.proto, header.ttl, header.fragment
    result.later_fragment = header.later
    if header.proto in ((1, 2) if v6 else (58,)):
        raise Drop("ip-proto-family-mismatch", layer)
    b = b""
    if not header.later:
        result.sport, result.dport, b = transport(reader, header.proto)
    result.icmp_checksum = number(b[2:4]) if header.proto in (1, 58) else 0
    result.tcp_ack = header.proto == 6 and bool(b) and b[13] & 0x10 != 0
    end = min(header.end, len(reader.data))
    if header.proto == 17 and b:
        end = min(end, reader.at - 8 + max(8, number(b[4:6])))
    result.payload = reader.data[reader.at : max(end, reader.at)]
    flow = result.cmd in FLOW_TRAPS
    if header.fragment and not flow and not (v6 and result.cmd == 11):
        raise Drop("fragment", layer)
    error = b[0] < 128 if header.proto == 58 and b else header.proto == 1 and b and b[0] in (3, 11)
    if flow and error:
        quoted_packet(reader, result, v6)
    elif not header.later:
        tunnel(reader, result, interface)


def quoted_packet(reader: Reader, result: Result, v6: bool) -> None:
    inner = Reader(reader.data, reader.at, "inner-")
    header = ip_header(inner, v6)
    sport, dport = (0, 0) if header.later else transport(inner, header.proto, quoted=True)[:2]
    if header.proto not in (1, 58):
        sport, dport = dport, sport
    result.src, result.dst, result.proto = header.dst, header.src, header.proto
    result.sport, result.dport, result.icmp_error = sport, dport, True


def tunnel(reader: Reader, result: Result, interface: Interface) -> None:
    if result.cmd in (12, 13) or not interface.tunnel or result.tunnel or reader.prefix:
        return
    if result.family != 4 or result.dst != interface.router_id:
        return
    dhcp = result.dport == 67 or result.sport == 68
    if result.proto == 17 and dhcp and result.dport not in TUNNEL_PORTS:
        return
    if result.proto == 47:
        gre(reader, result, interface)
    elif result.proto == 17 and TUNNEL_PORTS.get(result.dport) == "vxlan":
        b = reader.take("vxlan", 8)
        if not b[0] & 8:
            raise Drop("bad-tunnel-header", "vxlan")
        enter(reader, result, interface, ("VXLAN", number(b[4:7])), "L2")
    elif result.proto == 17 and TUNNEL_PORTS.get(result.dport) == "mpls":
        mpls(reader, result, interface, "MPLS_UDP")


def gre(reader: Reader, result: Result, interface: Interface) -> None:
    b = reader.take("gre", 4)
    flags = number(b[:2])
    if flags & 0x4FFF or number(b[2:4]) != 0x8847:
        raise Drop("bad-tunnel-header", "gre")
    reader.take("gre", 4 * (flags >> 12).bit_count())
    mpls(reader, result, interface, "MPLS_GRE")


def mpls(reader: Reader, result: Result, interface: Interface, kind: str) -> None:
    entry = number(reader.take("mpls", 4))
    if not entry & 0x100:
        if entry >> 12 != 0xFFFFF:
            raise Drop("bad-tunnel-header", "mpls")
        entry = number(reader.take("mpls", 4))
        if not entry & 0x100:
            raise Drop("bad-tunnel-header", "mpls")
    what = interface.labels.get(entry >> 12)
    if what is None:
        raise Drop("unknown-label", "mpls")
    if what == "L2_CONTROL_WORD" and number(reader.take("control-word", 4)):
        raise Drop("bad-tunnel-header", "control-word")
    enter(reader, result, interface, (kind, entry >> 12), what)


def enter(
    reader: Reader, result: Result, interface: Interface, kind: tuple[str, int], what: str
) -> None:
    result.tunnel = kind
    result.sport = result.dport = result.proto = result.family = result.ttl = 0
    result.fragment = result.later_fragment = result.tcp_ack = False
    result.icmp_checksum = 0
    result.src = result.dst = ""
    reader.prefix = "inner-"
    if what != "L3":
        ethernet(reader, result, interface)
        return
    first = reader.data[reader.at : reader.at + 1]
    if not first:
        raise Drop("truncated", "inner-ipv4")
    v6 = first[0] >> 4 == 6
    result.ethertype = 0x86DD if v6 else 0x0800
    ip(reader, result, interface, v6)


def classify(r: Result, interface: Interface) -> str:
    flow = r.cmd in FLOW_TRAPS
    udp = r.proto == 17 and not r.later_fragment
    diag = interface.vmi and (r.icmp_checksum == 0xFFFF or r.payload.startswith(b"diagshc"))
    rows = (
        (r.cmd in (17, 18, 19), "MAC_LEARNING"),
        (not flow and interface.dhcp and udp and r.family == 4
         and (r.dport == 67 or r.sport == 68), "DHCP"),
        (not flow and interface.dhcpv6 and udp and r.family == 6
         and (r.dport == 547 or r.sport == 546), "DHCPV6"),
        (r.ethertype == 0x0806, "ARP"),
        (flow and r.family != 0, "FLOW"),
        (flow, "INVALID"),
        (interface.dns and udp and r.dport == 53, "DNS"),
        (r.family == 4 and r.cmd == 5, "ARP"),
        (r.cmd in (12, 13, 16), "DIAG"),
        (interface.vmi and udp and r.dport in (3784, 4784, 3785), "BFD"),
        (r.proto == 1 and diag, "DIAG"),
        (r.proto == 1 and r.dst in interface.gateways, "ICMP"),
        (r.family == 6 and r.cmd == 5, "ICMPV6"),
        (r.proto == 58 and r.cmd == 11, "ICMPV6_ERROR"),
        (r.proto == 58, "ICMPV6"),
        (r.proto == 2, "IGMP"),
        (r.cmd == 11 and r.family == 6, "ICMPV6_ERROR"),
        (r.cmd == 11 and r.family == 4, "ICMP_ERROR"),
        (r.cmd == 8 and r.family != 0, "DIAG"),
    )  # fmt: skip
    return next((module for condition, module in rows if condition), "INVALID")


def dhcp(data: bytes) -> dict[str, object]:
    if len(data) < 236:
        return {"status": "SHORT_HEADER"}
    found: dict[str, object] = {
        "xid": number(data[4:8]), "broadcast": bool(data[10] & 0x80),
        "ciaddr": number(data[12:16]), "giaddr": number(data[24:28]), "chaddr": data[28:34],
    }  # fmt: skip
    if data[236:240] != bytes.fromhex("63825363"):
        return found | {"status": "BAD_COOKIE"}
    options: dict[int, bytes] = {}
    at = 240
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            break
        value = data[at + 2 : at + 2 + data[at + 1]]
        minimum = {53: 1, 50: 4, 54: 4, 57: 2}.get(data[at], 0)
        if len(value) >= minimum:
            options[data[at]] = value
        at += 2 + data[at + 1]
    return found | {
        "status": "OK",
        "type": number(options.get(53, b"\0")[:1]),
        "requested": number(options.get(50, b"")[:4]),
        "server_id": number(options.get(54, b"")[:4]),
        "max_size": number(options.get(57, b"")[:2]),
        "wants_routes": 121 in options.get(55, b""),
        "host_name": options.get(12, b""),
        "domain": options.get(15, b""),
        "parameters": options.get(55, b""),
        "relay_agent": options.get(82, b""),
        "client_id": options.get(61, b""),
        "vendor_class": options.get(60, b""),
    }
