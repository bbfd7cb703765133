"""How the kernel module begins: without tables until it is told of huge pages, once.

Facts: kernel-datapath.md, "Start-up order that matters".
"""

from __future__ import annotations

from collections.abc import Callable

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
    encode_many,
    iter_messages,
)

NO_DEVICE = 65535
_WORD = 0xFFFFFFFF


class ModuleStart:
    """Answers as the module does before it has tables, and then as `answer`.

    `take` is given the first word of huge pages and says what is in vhp_resp.
    """

    def __init__(self, answer: Answer, take: Callable[[VrHugepageConfig], int]) -> None:
        self._then = answer
        self._take = take
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
                return found(message.replace(vhp_resp=self._take(message) & _WORD))
            case VrFlowTableData() | VrBridgeTableData():
                return _without_device(self._then(message.encode()))
            case VrRouteReq(h_op=SandeshOp.ADD) | VrFlowReq():
                return ack(EINVAL)
        return self._then(message.encode())


def _without_device(replies: Replies) -> Replies:
    """What is told of a table that is not there yet: its size, but no place."""
    response, *tables = (each for reply in replies for each in iter_messages(reply))
    told: list[Message] = []
    for table in tables:
        match table:
            case VrFlowTableData():
                told.append(table.replace(ftable_dev=NO_DEVICE, ftable_file_path=""))
            case VrBridgeTableData():
                told.append(table.replace(btable_dev=NO_DEVICE, btable_file_path=""))
    return [response.encode() + encode_many(told)]
