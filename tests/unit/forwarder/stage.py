"""A control side on small tables, without a process: what the message tests run on."""

from __future__ import annotations

from pathlib import Path

from agent._fast.forwarding import Datapath
from agent.forwarder.control import Control
from agent.forwarder.devices import Device
from agent.forwarder.dispatcher import answer
from agent.forwarder.handlers.ops import reset
from agent.forwarder.links import Link
from agent.forwarder.opening import Wanted
from agent.forwarder.ports import Ports
from agent.forwarder.sizes import Sizes
from agent.sandesh.framing import Frame, FrameReader, reply_frame
from agent.sandesh.vrouter import Message, VrResponse, decode_messages, encode_many

SMALL = Sizes(
    interfaces=300,
    vrfs=64,
    nexthops=4096,
    labels=5120,
    flow_entries=1024,
    bridge_entries=1024,
)


class Unplugged:
    """Opens nothing: as on a host that has none of the interfaces."""

    def __init__(self) -> None:
        self.asked: list[Wanted] = []

    def open(self, wanted: Wanted) -> Device | None:
        self.asked.append(wanted)
        return None

    def matches(self, wanted: Wanted, link: Link) -> bool:
        return False


class Stage:
    """One control side; `ask` returns the messages of each reply frame."""

    def __init__(self, run_dir: Path, sizes: Sizes = SMALL) -> None:
        flows = sizes.flow_entries + sizes.flow_overflow_entries
        bridges = sizes.bridge_entries + sizes.bridge_overflow_entries
        self.flow_table = bytearray(flows * 256)
        self.bridge_table = bytearray(bridges * 64)
        self.datapath = Datapath(
            flow_table=self.flow_table,
            flow_entries=sizes.flow_entries,
            bridge_table=self.bridge_table,
            bridge_entries=sizes.bridge_entries,
            interfaces=sizes.interfaces,
            vrfs=sizes.vrfs,
            nexthops=sizes.nexthops,
            labels=sizes.labels,
            hold_limit=sizes.flow_hold_limit,
        )
        self.opener = Unplugged()
        ports = Ports(self.datapath, run_dir, self.opener)
        self.control = Control(self.datapath, ports, sizes, run_dir)
        reset(self.control)

    def close(self) -> None:
        """Give back descriptors and memory."""
        self.datapath.reset()
        self.control.ports.clear()
        self.datapath.close()

    def frames(self, request: bytes) -> list[bytes]:
        """The reply frames to one request frame."""
        reader = FrameReader()
        reader.feed(request)
        (frame,) = list(reader)
        replies = answer(self.control, frame.payload)
        last = len(replies) - 1
        return [
            reply_frame(payload, family=frame.type, seq=frame.seq, more=position < last)
            for position, payload in enumerate(replies)
        ]

    def ask(self, *requests: Message) -> list[list[Message]]:
        """The messages of each reply payload."""
        payloads = answer(self.control, encode_many(requests))
        return [decode_messages(payload) for payload in payloads]

    def code(self, request: Message) -> int:
        """The code of a request that gets nothing but a vr_response."""
        ((response,),) = self.ask(request)
        assert isinstance(response, VrResponse)
        return response.resp_code

    def get(self, request: Message) -> Message:
        """The object that a GET gets."""
        ((response, found),) = self.ask(request)
        assert response == VrResponse(h_op=4)
        return found


def cut(data: bytes) -> Frame:
    """One frame."""
    reader = FrameReader()
    reader.feed(data)
    (frame,) = list(reader)
    return frame
