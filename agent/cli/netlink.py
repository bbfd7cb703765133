"""Netlink for the tools: refusals and reasons, in a tool's words."""

from __future__ import annotations

import errno
import os

from agent.errors import DatapathError
from agent.io.netlink_sockets import (
    GENERIC,
    KERNEL,
    PORT_FILE,
    READ_SIZE,
    RECEIVE_BUFFER,
    ROUTE,
    connect,
    port_in,
)
from agent.sandesh.framing import NLMSG_ERROR, Frame
from agent.sandesh.genetlink import NESTED, attribute, attributes, refusal

__all__ = [
    "GENERIC",
    "KERNEL",
    "NESTED",
    "PORT_FILE",
    "READ_SIZE",
    "RECEIVE_BUFFER",
    "ROUTE",
    "attribute",
    "attributes",
    "connect",
    "port_in",
    "reason",
    "refuse",
]


def refuse(frame: Frame, what: str = "netlink") -> None:
    """DatapathError when the frame is a netlink error (0 is none); WireError: a broken one."""
    if frame.type != NLMSG_ERROR:
        return
    if code := refusal(frame.payload):
        raise DatapathError(code, what)


def reason(error: OSError) -> str:
    """Why a socket failed, for a person."""
    if error.errno == errno.ENOBUFS:
        return "the answer found no room in the receive buffer and is lost"
    return os.strerror(error.errno) if error.errno else str(error)
