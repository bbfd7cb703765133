"""Generic netlink to the kernel's datapath: a connected socket and the family's number.

Facts: kernel-datapath.md. The kernel answers at once or, to an operation that it does not
know, not at all; an answer that finds no room in the socket's buffer is lost.
"""

from __future__ import annotations

import socket
import struct

from agent.cli import netlink
from agent.errors import WireError
from agent.sandesh.framing import GENL_ID_CTRL, NLM_F_REQUEST, read_frames

FAMILY_NAME = "vrouter"
_GETFAMILY = 3
_FAMILY_NAME, _FAMILY_ID = 2, 1  # CTRL_ATTR_*
_CONTROL_VERSION = 1
_HEADERS = struct.Struct("=IHHIIBBH")
_GENERIC_HEADER = 4
_NUMBER = struct.Struct("=H")


def connect(port: int = netlink.KERNEL) -> socket.socket:
    """A socket connected to this port id. OSError."""
    return netlink.connect(netlink.GENERIC, port)


def family_request(name: str, seq: int = 0, pid: int = 0) -> bytes:
    """CTRL_CMD_GETFAMILY for a family's name."""
    asked = netlink.attribute(_FAMILY_NAME, name.encode() + b"\0")
    head = _HEADERS.pack(
        _HEADERS.size + len(asked), GENL_ID_CTRL, NLM_F_REQUEST, seq, pid,
        _GETFAMILY, _CONTROL_VERSION, 0,
    )  # fmt: skip
    return head + asked


def family_number(connected: socket.socket, name: str) -> int:
    """The number of a family. DatapathError: ENOENT when there is none; OSError, WireError."""
    connected.send(family_request(name))
    for frame in read_frames(connected.recv(netlink.READ_SIZE)):
        netlink.refuse(frame, name)
        if frame.type == GENL_ID_CTRL:
            return family_answer(frame.payload)
    raise WireError(f"the kernel answered without the family {name}")


def family_answer(payload: bytes) -> int:
    """The family number in CTRL_CMD_NEWFAMILY (generic header and attributes). WireError."""
    for kind, value in netlink.attributes(payload[_GENERIC_HEADER:]):
        if kind == _FAMILY_ID and len(value) == _NUMBER.size:
            return int(_NUMBER.unpack(value)[0])
    raise WireError("the kernel described a family without its number")
