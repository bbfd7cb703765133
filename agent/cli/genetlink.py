"""Generic netlink to the kernel's datapath: the family's number and a connected socket.

Facts: kernel-datapath.md. The kernel answers at once or, to an operation that it does not
know, not at all; an answer that finds no room in the socket's buffer is lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator

from agent.errors import DatapathError, WireError
from agent.sandesh.framing import GENL_ID_CTRL, NLM_F_REQUEST, NLMSG_ERROR, Frame, read_frames

FAMILY_NAME = "vrouter"
KERNEL = 0
"""The kernel's own port id."""
RECEIVE_BUFFER = 1 << 20
READ_SIZE = 1 << 17
_GENERIC = 16  # NETLINK_GENERIC
_SO_RCVBUFFORCE = 33
_GETFAMILY = 3
_FAMILY_NAME, _FAMILY_ID = 2, 1  # CTRL_ATTR_*
_CONTROL_VERSION = 1
_HEADERS = struct.Struct("=IHHIIBBH")
_GENERIC_HEADER = 4
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=H")
_ERROR = struct.Struct("=i")


def connect(port: int = KERNEL) -> socket.socket:
    """A socket that sends to, and takes answers from, this port id alone. OSError."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _GENERIC)
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


def family_request(name: str, seq: int = 0, pid: int = 0) -> bytes:
    """CTRL_CMD_GETFAMILY for a family's name."""
    text = name.encode() + b"\0"
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(text), _FAMILY_NAME) + text
    attribute += bytes(-len(attribute) % 4)
    size = _HEADERS.size + len(attribute)
    head = _HEADERS.pack(
        size, GENL_ID_CTRL, NLM_F_REQUEST, seq, pid, _GETFAMILY, _CONTROL_VERSION, 0
    )
    return head + attribute


def family_number(connected: socket.socket, name: str) -> int:
    """The number of a family. DatapathError: ENOENT when there is none; OSError, WireError."""
    connected.send(family_request(name))
    for frame in read_frames(connected.recv(READ_SIZE)):
        refuse(frame)
        if frame.type == GENL_ID_CTRL:
            return family_answer(frame.payload)
    raise WireError(f"the kernel answered without the family {name}")


def refuse(frame: Frame) -> None:
    """DatapathError when the frame is a netlink error; WireError when it is a broken one."""
    if frame.type != NLMSG_ERROR:
        return
    if len(frame.payload) < _ERROR.size:
        raise WireError("the kernel sent an error without its number")
    (code,) = _ERROR.unpack_from(frame.payload)
    raise DatapathError(-code if code < 0 else errno.EPROTO, "netlink")


def family_answer(payload: bytes) -> int:
    """The family number in CTRL_CMD_NEWFAMILY (generic header and attributes). WireError."""
    for kind, value in _attributes(payload[_GENERIC_HEADER:]):
        if kind == _FAMILY_ID and len(value) == _NUMBER.size:
            return int(_NUMBER.unpack(value)[0])
    raise WireError("the kernel described a family without its number")


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if not _ATTRIBUTE.size <= size <= len(data) - offset:
            raise WireError(f"a netlink attribute says it has {size} bytes")
        yield kind, data[offset + _ATTRIBUTE.size : offset + size]
        offset += size + -size % 4


def reason(error: OSError) -> str:
    """Why a socket failed, for a person."""
    if error.errno == errno.ENOBUFS:
        return "the answer found no room in the receive buffer and is lost"
    return os.strerror(error.errno) if error.errno else str(error)
