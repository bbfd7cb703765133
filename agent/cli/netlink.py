"""Netlink for the tools: connected sockets, attributes, refusals."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator

from agent.errors import DatapathError, WireError
from agent.sandesh.framing import NLMSG_ERROR, Frame

ROUTE, GENERIC = 0, 16
KERNEL = 0
"""The kernel's own port id."""
NESTED = 0x8000
RECEIVE_BUFFER = 1 << 20
READ_SIZE = 1 << 17
_SO_RCVBUFFORCE = 33
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")


def connect(protocol: int, port: int = KERNEL) -> socket.socket:
    """A socket that sends to, and takes answers from, this port id alone. OSError."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    try:
        _widen(made)
        made.bind((0, 0))
        made.connect((port, 0))
    except OSError:
        made.close()
        raise
    return made


def _widen(made: socket.socket) -> None:
    """A receive buffer for whole dumps, also above the host's limit if we may."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    with contextlib.suppress(PermissionError):
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute with its padding."""
    head = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind)
    return head + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, value) of each attribute. WireError when one does not fit."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if not _ATTRIBUTE.size <= size <= len(data) - offset:
            raise WireError(f"a netlink attribute says it has {size} bytes")
        yield kind & ~NESTED, data[offset + _ATTRIBUTE.size : offset + size]
        offset += size + -size % 4


def refuse(frame: Frame, what: str = "netlink") -> None:
    """DatapathError when the frame is a netlink error (0 is none); WireError: a broken one."""
    if frame.type != NLMSG_ERROR:
        return
    if len(frame.payload) < _ERROR.size:
        raise WireError("the kernel sent an error without its number")
    (code,) = _ERROR.unpack_from(frame.payload)
    if code:
        raise DatapathError(abs(code), what)


def reason(error: OSError) -> str:
    """Why a socket failed, for a person."""
    if error.errno == errno.ENOBUFS:
        return "the answer found no room in the receive buffer and is lost"
    return os.strerror(error.errno) if error.errno else str(error)
