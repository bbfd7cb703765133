"""The DHCPv4 relay of ports in the fabric's network (RFC 3046; facts pkt0-services.md 6).

Such a port has no address of its own: a server on the fabric gives it one. Requests leave by
the fabric vif; answers come to a socket of the host, for they are sent to the router id.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import blake2b
from ipaddress import IPv4Address
from typing import NamedTuple

from agent._fast.packet import MAX_DATAGRAM, Packet, internet_checksum
from agent.inputs import DhcpSnooped
from agent.oper.rows import Fabric, Vmi
from agent.pkt import DhcpType
from agent.services.arp_frames import vlan_of
from agent.services.view import FABRIC_VRF
from agent.values import BROADCAST_MAC, Mac

SERVER, CLIENT = 67, 68
_REPLY = 2
_BROADCAST = 0xFFFFFFFF
_BROADCAST_FLAG = 0x8000
_ENCAP = struct.Struct("!14s3H24x")
_OUTER = bytes.fromhex("000000000002 000000000001 0800")
_FIXED = struct.Struct("!B9xHIIII16s")
"""op, flags, ciaddr, yiaddr, siaddr, giaddr, and of chaddr what a MAC address is the head of."""
_COOKIE = bytes.fromhex("63825363")
_OPTIONS = 240
_GIADDR = slice(24, 28)
_PAD, _HOST_NAME, _TYPE, _RELAY_AGENT, _END = 0, 12, 53, 82, 255
_CIRCUIT, _REMOTE = 1, 2
_TOKEN = 8
_AGENT_LENGTH = 4 + 2 + _TOKEN + 2


class Option(NamedTuple):
    """A DHCP option as it stands in a message."""

    code: int
    value: bytes

    def encode(self) -> bytes:
        return bytes((self.code, len(self.value))) + self.value


def options(message: bytes) -> Iterator[Option]:
    """The whole options of a message, up to the end option."""
    at = _OPTIONS
    while at < len(message) and message[at] != _END:
        if message[at] == _PAD:
            at += 1
            continue
        if at + 2 > len(message) or at + 2 + message[at + 1] > len(message):
            return
        yield Option(message[at], message[at + 2 : at + 2 + message[at + 1]])
        at += 2 + message[at + 1]


class Relayed(NamedTuple):
    """An answer for a port: its frame, and the address that it acknowledges."""

    frame: bytes
    snooped: DhcpSnooped | None


class Dhcp4Relay:
    """Carries messages between ports and servers; remembers nothing.

    Option 82 names the vif, with a token derived from `secret` that only we can make.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def _token(self, vif: bytes) -> bytes:
        return blake2b(vif, digest_size=_TOKEN, key=self._secret).digest()

    def request(self, packet: Packet, vmi: Vmi, fabric: Fabric) -> bytes | None:
        """The frame that asks the fabric's servers; None when there is none that fits."""
        message = packet.payload
        if fabric.router_id is None or len(message) < _OPTIONS:
            return None
        vif = vmi.vif_index.to_bytes(4)
        kept = [one for one in options(message) if one.code != _RELAY_AGENT]
        name = vmi.vm_name.encode(errors="replace")[:255]
        kept = [one._replace(value=name) if _is_name(one, name) else one for one in kept]
        agent = Option(_CIRCUIT, vif).encode() + Option(_REMOTE, self._token(vif)).encode()
        head = bytearray(message[:_OPTIONS])
        head[_GIADDR] = fabric.router_id.packed
        body = _join(head, [*kept, Option(_RELAY_AGENT, agent)])
        source = int(fabric.router_id)
        datagram = _udp(source, _BROADCAST, SERVER, SERVER, body)
        return _frame(fabric.vif_index, FABRIC_VRF, BROADCAST_MAC, fabric.mac, -1, datagram)

    def vif_of(self, message: bytes) -> int | None:
        """The vif that a server's answer is for; None when it is not an answer to us."""
        reply = message[:1] == bytes((_REPLY,))
        if len(message) < _OPTIONS or not reply or message[_OPTIONS - 4 : _OPTIONS] != _COOKIE:
            return None
        for code, value in options(message):
            if code == _RELAY_AGENT:
                return self._named(value)
        return None

    def _named(self, agent: bytes) -> int | None:
        vif = agent[2:6]
        own = Option(_CIRCUIT, vif).encode() + Option(_REMOTE, self._token(vif)).encode()
        return int.from_bytes(vif) if len(agent) == _AGENT_LENGTH and agent == own else None

    def answer(
        self, message: bytes, server: IPv4Address, vmi: Vmi, fabric: Fabric
    ) -> Relayed | None:
        """What the port gets of an answer from `server`; None when it is not the port's."""
        _, flags, ciaddr, address, _, _, hardware = _FIXED.unpack_from(message)
        if hardware[:6] != vmi.mac:
            return None
        found = list(options(message))
        head = bytearray(message[:_OPTIONS])
        head[_GIADDR] = bytes(4)
        body = _join(head, [one for one in found if one.code != _RELAY_AGENT])
        direct = ciaddr or not flags & _BROADCAST_FLAG
        datagram = _udp(int(server), address if direct else _BROADCAST, SERVER, CLIENT, body)
        to = vmi.mac if direct else BROADCAST_MAC
        vrf = vmi.vrf.index if vmi.vrf else 0
        frame = _frame(vmi.vif_index, vrf, to, fabric.vhost_mac, vlan_of(vmi), datagram)
        if frame is None:
            return None
        acknowledged = Option(_TYPE, bytes((DhcpType.ACK,))) in found
        usable = acknowledged and _is_guests(IPv4Address(address), fabric)
        return Relayed(frame, _snooped(vmi, address) if usable else None)


def _is_name(option: Option, name: bytes) -> bool:
    return option.code == _HOST_NAME and bool(name)


def _snooped(vmi: Vmi, address: int) -> DhcpSnooped:
    return DhcpSnooped(vmi.vif_index, IPv4Address(address), vmi.mac)


def _is_guests(address: IPv4Address, fabric: Fabric) -> bool:
    """Nobody may be given an address of the host, its gateway, or no single one."""
    special = address.is_multicast or address.is_loopback or address.is_link_local
    taken = address in (fabric.router_id, fabric.gateway)
    return not (address.is_unspecified or address.is_reserved or special or taken)


def _join(head: bytearray, kept: list[Option]) -> bytes:
    return b"".join([head, *(one.encode() for one in kept), bytes((_END,))])


def _udp(source: int, destination: int, sport: int, dport: int, body: bytes) -> bytes:
    """An IPv4 packet; without a UDP checksum, as IPv4 allows."""
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 28 + len(body), 0, 0, 64, 17, 0, source, destination)
    checksum = internet_checksum(head).to_bytes(2)
    udp = struct.pack("!4H", sport, dport, 8 + len(body), 0)
    return b"".join([head[:10], checksum, head[12:], udp, body])


def _frame(vif: int, vrf: int, to: Mac, source: Mac, vlan: int, datagram: bytes) -> bytes | None:
    """For CMD_SWITCH on `vif`; None when it does not fit into a pkt0 datagram."""
    tag = struct.pack("!HH", 0x8100, vlan) if vlan >= 0 else b""
    frame = b"".join([_ENCAP.pack(_OUTER, vif, vrf, 0), to, source, tag, b"\x08\x00", datagram])
    return frame if len(frame) <= MAX_DATAGRAM else None
