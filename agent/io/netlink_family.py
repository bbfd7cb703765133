"""Asking the kernel for a generic netlink family, waiting for its answer (microseconds)."""

from __future__ import annotations

import socket

from agent.errors import AgentError, DatapathError, WireError
from agent.io.netlink_sockets import GENERIC, READ_SIZE, connect
from agent.sandesh.framing import GENL_ID_CTRL, NLMSG_ERROR, read_frames
from agent.sandesh.genetlink import FAMILY_NAME, family_answer, family_request, refusal

_SECONDS = 2.0


def family_number(connected: socket.socket, name: str) -> int:
    """The number of a family. DatapathError: ENOENT when there is none; OSError, WireError."""
    connected.send(family_request(name))
    for frame in read_frames(connected.recv(READ_SIZE)):
        if frame.type == NLMSG_ERROR and (code := refusal(frame.payload)):
            raise DatapathError(code, name)
        if frame.type == GENL_ID_CTRL:
            return family_answer(frame.payload)
    raise WireError(f"the kernel answered without the family {name}")


def module_is_there(name: str = FAMILY_NAME) -> bool:
    """Whether the kernel has the datapath's module, as far as we may know."""
    try:
        with connect(GENERIC) as asking:
            asking.settimeout(_SECONDS)
            family_number(asking, name)
    except (OSError, AgentError):
        return False
    return True
