"""How the kernel module begins: without tables until it is told of huge pages, once.

Facts: kernel-datapath.md, "Start-up order that matters".
"""

from __future__ import annotations

from agent.errors import SandeshError
from agent.forwarder.netlink import Answer
from agent.forwarder.replies import EINVAL, UNDECODABLE, Replies, ack, found
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrBridgeTableData,
    VrFlowReq,
    VrFlowTableData,
    VrHugepageConfig,
    VrRouteReq,
    iter_messages,
)

NO_DEVICE = 65535
ORDINARY_MEMORY = 0xFFFFFFFE
"""-2 in the u32 that vhp_resp is: no usable argument, memory initialised."""


class ModuleStart:
    """Answers as the module does before it has tables, and then as `answer`."""

    def __init__(self, answer: Answer) -> None:
        self._then = answer
        self._ready = False

    def answer(self, payload: bytes) -> Replies:
        """The replies to the messages of one request."""
        if self._ready:
            return self._then(payload)
        replies: Replies = []
        try:
            for message in iter_messages(payload):
                replies += self._one(message)
        except SandeshError:
            replies += ack(UNDECODABLE)
        return replies

    def _one(self, message: Message) -> Replies:
        if self._ready:
            return self._then(message.encode())
        match message:
            case VrHugepageConfig(vhp_op=SandeshOp.ADD):
                self._ready = True
                return found(message.replace(vhp_resp=ORDINARY_MEMORY))
            case VrFlowTableData():
                return found(message.replace(ftable_dev=NO_DEVICE))
            case VrBridgeTableData():
                return found(message.replace(btable_dev=NO_DEVICE))
            case VrRouteReq(h_op=SandeshOp.ADD) | VrFlowReq():
                return ack(EINVAL)
        return self._then(message.encode())
