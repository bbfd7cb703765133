"""Making the kernel module's vhost interface: one rtnetlink request."""

from __future__ import annotations

import struct

from agent.cli import netlink
from agent.errors import UsageError
from agent.sandesh.framing import read_frames
from agent.values import Mac

_HEADER = struct.Struct("<IHHII")
_INTERFACE = struct.Struct("<BxHiII")
_NEWLINK = 16
_REQUEST_ACK_CREATE = 0x1 | 0x4 | 0x400
_ADDRESS, _NAME, _LINK_INFO, _KIND = 1, 3, 18, 1
_LONGEST_NAME = 15
_TIMEOUT = 10.0


def create(name: str, mac: Mac, kind: str = "vhost") -> None:
    """Make the interface `name`, or give the one that is there this MAC address.

    DatapathError with the kernel's errno, EOPNOTSUPP where it has no such kind; UsageError for
    a name that no interface can have.
    """
    if not 0 < len(name.encode()) <= _LONGEST_NAME:
        raise UsageError(f"--create {name!r}: an interface's name has 1 to {_LONGEST_NAME} bytes")
    with netlink.connect(netlink.ROUTE) as link:
        link.settimeout(_TIMEOUT)
        link.send(request(name, mac, kind))
        for frame in read_frames(link.recv(netlink.READ_SIZE)):
            netlink.refuse(frame, "vhost_create")


def request(name: str, mac: Mac, kind: str) -> bytes:
    """RTM_NEWLINK of an interface (rtnetlink(7), linux/if_link.h)."""
    body = _INTERFACE.pack(0, 0, 0, 0, 0)
    body += netlink.attribute(_NAME, name.encode() + b"\0")
    body += netlink.attribute(_ADDRESS, bytes(mac))
    body += netlink.attribute(_LINK_INFO, netlink.attribute(_KIND, kind.encode() + b"\0"))
    return _HEADER.pack(_HEADER.size + len(body), _NEWLINK, _REQUEST_ACK_CREATE, 1, 0) + body
