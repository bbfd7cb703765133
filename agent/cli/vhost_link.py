"""Making the kernel module's vhost interface: one rtnetlink request."""

from __future__ import annotations

import socket
import struct

from agent.errors import DatapathError, UsageError
from agent.values import Mac

_HEADER = struct.Struct("<IHHII")
_INTERFACE = struct.Struct("<BxHiII")
_ATTRIBUTE = struct.Struct("<HH")
_NEWLINK, _ERROR = 16, 2
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
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.settimeout(_TIMEOUT)
        link.bind((0, 0))
        link.send(request(name, mac, kind))
        answer = link.recv(1 << 16)
    number = refusal(answer)
    if number:
        raise DatapathError(number, "vhost_create")


def request(name: str, mac: Mac, kind: str) -> bytes:
    """RTM_NEWLINK of an interface (rtnetlink(7), linux/if_link.h)."""
    body = _INTERFACE.pack(0, 0, 0, 0, 0)
    body += _attribute(_NAME, name.encode() + b"\0")
    body += _attribute(_ADDRESS, bytes(mac))
    body += _attribute(_LINK_INFO, _attribute(_KIND, kind.encode() + b"\0"))
    return _HEADER.pack(_HEADER.size + len(body), _NEWLINK, _REQUEST_ACK_CREATE, 1, 0) + body


def refusal(answer: bytes) -> int:
    """The errno of an acknowledgement, 0 for success."""
    if len(answer) < _HEADER.size + 4 or _HEADER.unpack_from(answer)[1] != _ERROR:
        raise UsageError("the kernel answered a request for an interface with something else")
    return -int.from_bytes(answer[_HEADER.size : _HEADER.size + 4], "little", signed=True)


def _attribute(kind: int, value: bytes) -> bytes:
    text = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
    return text + bytes(-len(text) % 4)
