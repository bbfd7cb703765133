"""Generic netlink to the kernel's datapath: a connected socket and the family's number.

Facts: kernel-datapath.md. The kernel answers at once or, to an operation that it does not
know, not at all; an answer that finds no room in the socket's buffer is lost.
"""

from __future__ import annotations

import socket

from agent.cli import netlink
from agent.errors import WireError
from agent.sandesh.framing import GENL_ID_CTRL, read_frames
from agent.sandesh.genetlink import FAMILY_NAME, family_answer, family_request

__all__ = ["FAMILY_NAME", "connect", "family_answer", "family_number", "family_request"]


def connect(port: int = netlink.KERNEL) -> socket.socket:
    """A socket connected to this port id. OSError."""
    return netlink.connect(netlink.GENERIC, port)


def family_number(connected: socket.socket, name: str) -> int:
    """The number of a family. DatapathError: ENOENT when there is none; OSError, WireError."""
    connected.send(family_request(name))
    for frame in read_frames(connected.recv(netlink.READ_SIZE)):
        netlink.refuse(frame, name)
        if frame.type == GENL_ID_CTRL:
            return family_answer(frame.payload)
    raise WireError(f"the kernel answered without the family {name}")
