"""DHCPv6 messages (RFC 8415) as far as the service reads them (facts pkt0-services.md 7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from agent.errors import PacketError

_CLIENT_ID, _SERVER_ID, _IA_NA, _IA_TA = 1, 2, 3, 4

REPLY_TYPE = {1: 2, 3: 7, 4: 7, 5: 7, 6: 7, 8: 7, 9: 7, 11: 7}
"""Message type of the answer by that of the request; others get none."""


@dataclass(frozen=True, slots=True)
class Association:
    """An IA_NA or, when `temporary`, an IA_TA; `t1` and `t2` in seconds."""

    iaid: int
    t1: int
    t2: int
    temporary: bool


@dataclass(frozen=True, slots=True)
class Dhcp6Message:
    """A client's message; DUIDs are None when absent."""

    msg_type: int
    xid: int
    client_duid: bytes | None
    server_duid: bytes | None
    associations: tuple[Association, ...]


def _options(data: bytes) -> list[tuple[int, bytes]]:
    """The options up to the first that does not fit."""
    found: list[tuple[int, bytes]] = []
    at = 4
    while at + 4 <= len(data):
        code, length = struct.unpack_from(">2H", data, at)
        at += 4
        if at + length > len(data):
            break
        found.append((code, data[at : at + length]))
        at += length
    return found


def _association(code: int, value: bytes) -> Association | None:
    if code == _IA_NA and len(value) >= 12:
        iaid, t1, t2 = struct.unpack_from(">3I", value)
        return Association(iaid, t1, t2, temporary=False)
    if code == _IA_TA and len(value) >= 4:
        return Association(int.from_bytes(value[:4]), 0, 0, temporary=True)
    return None


def parse(data: bytes) -> Dhcp6Message:
    """Decode the payload of a DHCPv6 datagram; PacketError("short-header", "dhcpv6")."""
    if len(data) < 4:
        raise PacketError("short-header", "dhcpv6")
    client = server = None
    associations: list[Association] = []
    for code, value in _options(data):
        if code == _CLIENT_ID:
            client = value
        elif code == _SERVER_ID:
            server = value
        elif (association := _association(code, value)) is not None:
            associations.append(association)
    xid = int.from_bytes(data[1:4])
    return Dhcp6Message(data[0], xid, client, server, tuple(associations))
