"""The kernel's rows by name."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from agent._fast.flow_sessions import ROW
from agent.values import Address

NO_VIF = 0xFFFFFFFF
NO_ROUTE = 255
"""The length of a route that is not there."""
INGRESS, LOCAL = 2, 4
"""Flags of pairs: the first packet came from a port of this host; both ends are ports of it."""
_INET6, _ICMP = 10, (1, 58)


class Row(NamedTuple):
    """One pair; `agent._fast.flow_sessions.ROW` says what each field is."""

    forward: bytes
    reverse: bytes
    serial: int
    started: int
    ended: int
    forward_bytes: int
    reverse_bytes: int
    forward_packets: int
    reverse_packets: int
    forward_total_bytes: int
    reverse_total_bytes: int
    forward_total_packets: int
    reverse_total_packets: int
    scale: float
    number: int
    from_vif: int
    to_vif: int
    source_meta: int
    destination_meta: int
    peer: int
    policy_rule: int
    sg_rule: int
    vrf: int
    flags: int
    forward_tcp_flags: int
    reverse_tcp_flags: int
    action: int
    reason: int
    end: int
    over: int
    fresh: int
    logged: int
    tunnel: int
    source_length: int
    destination_length: int


class Ends(NamedTuple):
    """The ends of a session as one of them sees it, ports in host order."""

    local: Address
    remote: Address
    service_port: int
    client_port: int


def rows(data: bytes) -> Iterator[Row]:
    """What a step of the kernel showed."""
    return map(Row._make, ROW.iter_unpack(data))


def client_ends(key: bytes) -> Ends:
    """As the client sees it, from the forward key."""
    source, destination = _addresses(key)
    return Ends(source, destination, _port(key, 6), _port(key, 4))


def server_ends(forward: bytes, reverse: bytes) -> Ends:
    """As the server sees it, translations undone. ICMP has the same ports in both keys."""
    source, destination = _addresses(reverse)
    if forward[1] in _ICMP:
        return Ends(source, destination, _port(forward, 6), _port(forward, 4))
    return Ends(source, destination, _port(reverse, 4), _port(reverse, 6))


def _addresses(key: bytes) -> tuple[Address, Address]:
    if key[0] == _INET6:
        return IPv6Address(key[12:28]), IPv6Address(key[28:44])
    return IPv4Address(key[12:16]), IPv4Address(key[16:20])


def _port(key: bytes, at: int) -> int:
    return key[at] << 8 | key[at + 1]
