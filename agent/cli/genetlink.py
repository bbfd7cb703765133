"""Generic netlink to the kernel's datapath: a connected socket and the family's number.

Facts: kernel-datapath.md. The kernel answers at once or, to an operation that it does not
know, not at all; an answer that finds no room in the socket's buffer is lost.
"""

from __future__ import annotations

import socket

from agent.cli import netlink
from agent.io.netlink_family import family_number
from agent.sandesh.genetlink import FAMILY_NAME, family_answer, family_request

__all__ = ["FAMILY_NAME", "connect", "family_answer", "family_number", "family_request"]


def connect(port: int = netlink.KERNEL) -> socket.socket:
    """A socket connected to this port id. OSError."""
    return netlink.connect(netlink.GENERIC, port)
