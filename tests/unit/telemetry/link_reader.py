"""`Node.datapath` over the fake datapath in memory, pages and all; counters are scripted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from agent.errors import DatapathError, WireError
from agent.sandesh.framing import FrameReader, request_frame
from agent.sandesh.vrouter import Message, VrResponse, decode_messages
from tests.fake.datapath import FakeDatapath

Row = TypeVar("Row", bound=Message)

_INCOMPLETE = 0x40000000


class LinkReader:
    """Asks `datapath`; what it does not know is answered from `scripted`, by request's kind.

    `asked` are the requests that were answered so.
    """

    def __init__(self, datapath: FakeDatapath) -> None:
        self._link = datapath.connect()
        self.scripted: dict[type[Message], list[Message]] = {}
        self.asked: list[Any] = []

    def _ask(self, request: Message) -> tuple[int, list[Message]]:
        if type(request) in self.scripted:
            self.asked.append(request)
            return len(self.scripted[type(request)]), self.scripted[type(request)]
        self._link.feed(request_frame(request.encode(), family=32, seq=1, pid=0))
        frames = FrameReader()
        frames.feed(self._link.take())
        found = [each for frame in frames for each in decode_messages(frame.payload)]
        if not found or not isinstance(found[0], VrResponse):
            raise WireError("the datapath answered without a vr_response")
        if found[0].resp_code < 0:
            raise DatapathError(-found[0].resp_code, type(request).__name__)
        return found[0].resp_code, found[1:]

    async def get(self, request: Message, kind: type[Row]) -> Row:
        rows = [each for each in self._ask(request)[1] if isinstance(each, kind)]
        if not rows:
            raise WireError(f"the datapath answered without a {kind.__name__}")
        return rows[0]

    async def dump(
        self, request: Callable[[Row | None], Message], kind: type[Row]
    ) -> AsyncIterator[Row]:
        last: Row | None = None
        while True:
            code, objects = self._ask(request(last))
            for each in objects:
                if isinstance(each, kind):
                    last = each
                    yield each
            if not code & _INCOMPLETE:
                return
