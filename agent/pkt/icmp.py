"""ICMP and ICMPv6: checksums over what was captured, and neighbour advertisements."""

from __future__ import annotations

from agent._fast.packet import Packet, internet_checksum
from agent.errors import PacketError

_ICMPV6 = 58
NEIGHBOUR_ADVERTISEMENT = 136
_TARGET_LINK_LAYER = 2


def message(packet: Packet) -> bytes:
    """The whole ICMP or ICMPv6 message; PacketError("short-packet") when it was cut."""
    ip = packet.ip_packet
    if packet.family == 4:
        header, total = (ip[0] & 15) * 4, int.from_bytes(ip[2:4])
    else:
        header, total = 40, 40 + int.from_bytes(ip[4:6])
    if total < header + 8 or total > len(ip):
        raise PacketError("short-packet", "icmp" if packet.family == 4 else "icmpv6")
    return ip[header:total]


def checksum_ok(packet: Packet, body: bytes) -> bool:
    """Verify the checksum of `body`, the `message` of the packet."""
    if packet.family == 4:
        return internet_checksum(body) == 0
    pseudo = packet.src + packet.dst + len(body).to_bytes(4) + _ICMPV6.to_bytes(4)
    return internet_checksum(pseudo + body) == 0


def target_link_layer(body: bytes) -> bytes:
    """The target link-layer address option of a neighbour advertisement (RFC 4861 4.4).

    PacketError("no-target-lladdr", "icmpv6") when there is none.
    """
    at = 24
    while at + 8 <= len(body):
        size = body[at + 1] * 8
        if not size or at + size > len(body):
            break
        if body[at] == _TARGET_LINK_LAYER:
            return body[at + 2 : at + 8]
        at += size
    raise PacketError("no-target-lladdr", "icmpv6")
