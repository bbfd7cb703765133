"""Questions to a datapath, on a connection of their own.

One question is out at a time; others wait their turn, so many of them that none waits without
end. Each page of a dump is a question by itself, so a long dump does not hold up a short one,
and no more than a page is decoded at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import TypeVar, cast

import structlog

from agent.errors import WireError
from agent.io.datapath import Address
from agent.io.reconnect import Reconnector
from agent.sandesh.answers import Dump, got
from agent.sandesh.framing import (
    FAMILY_TOOL,
    NLMSG_DONE,
    NLMSG_ERROR,
    Frame,
    FrameReader,
    request_frame,
)
from agent.sandesh.vrouter import Message, VrResponse, decode_messages
from agent.telemetry.wires import ConnectCounters, QuestionCounters

TIMEOUT = 5.0
"""Seconds for the answer to one question, its turn included."""
QUEUE = 64
"""Questions that may wait for their turn."""
ANSWER_LIMIT = 1 << 20
"""Bytes of one answer; a page of a dump has 4096 at most."""

_LAST_SEQUENCE = 0xFFFFFFFE

log = structlog.get_logger(__name__)

Row = TypeVar("Row", bound=Message)


class _Answer:
    """The answer to one question, as far as it has come."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.payloads: list[bytes] = []
        self.size = 0
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, frame: Frame) -> None:
        """One part; WireError when there is no end to it, or it says that nothing was read."""
        if frame.type == NLMSG_ERROR:
            raise WireError("the datapath could not read the request")
        self.size += len(frame.payload)
        if self.size > ANSWER_LIMIT:
            raise WireError(f"an answer of more than {ANSWER_LIMIT} bytes")
        if frame.type != NLMSG_DONE:
            self.payloads.append(frame.payload)
        if not frame.more and not self.whole.done():
            self.whole.set_result(None)

    def fail(self, problem: WireError) -> None:
        """It will not come."""
        if not self.whole.done():
            self.whole.set_exception(problem)


class _Wire(asyncio.Protocol):
    """One connection, and the question that is out."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._answer: _Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def ask(self, answer: _Answer, frame: bytes) -> None:
        self._answer = answer
        if self._transport is not None:
            self._transport.write(frame)

    def forget(self) -> None:
        """Nobody waits any more; what still comes for it is passed over."""
        self._answer = None

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            for frame in self._reader:
                if self._answer is not None and frame.seq == self._answer.sequence:
                    self._answer.take(frame)
        except WireError as problem:
            self.close(problem)

    def close(self, problem: WireError) -> None:
        """Give the connection up."""
        if self._answer is not None:
            self._answer.fail(problem)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, problem: Exception | None) -> None:
        if self._answer is not None:
            self._answer.fail(WireError("the datapath closed the connection without an answer"))
        if not self.lost.done():
            self.lost.set_result(None)


Ask = Callable[[Message], Awaitable[tuple[int, list[Message]]]]
"""Gives the response code and the objects after it. WireError."""


@asynccontextmanager
async def conversation(address: Address, timeout: float = TIMEOUT) -> AsyncIterator[Ask]:
    """A connection for a few questions, one after the other. OSError when there is no datapath."""
    _, wire = await address.connect(_Wire)
    sequences = count(1)

    async def ask(request: Message) -> tuple[int, list[Message]]:
        answer = _Answer(next(sequences))
        wire.ask(answer, _framed(request, answer))
        try:
            async with asyncio.timeout(timeout):
                await answer.whole
        except TimeoutError:
            raise WireError(f"the datapath did not answer within {timeout:g} s") from None
        return _read(answer.payloads)

    try:
        yield ask
    finally:
        wire.close(WireError("the conversation is over"))


class DatapathReader:
    """`agent.telemetry.Datapath` at `address`."""

    def __init__(
        self,
        address: Address,
        *,
        timeout: float = TIMEOUT,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._connection = Reconnector(
            "datapath reader", self._connect, self._carry, self._tell_absent, jitter
        )
        self._wire: _Wire | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._sequence = 0
        self.counters = QuestionCounters()

    @property
    def tries(self) -> ConnectCounters:
        """How often it has connected, or tried to."""
        return self._connection.tries

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._wire is not None

    @property
    def waiting(self) -> int:
        """Questions without an answer, the one that is out included."""
        return self._waiting

    def start(self) -> None:
        """Begin to connect; needs a running loop. BugError when started twice."""
        self._connection.start()

    async def close(self) -> None:
        """Disconnect for good; questions without an answer fail."""
        if self._wire is not None:
            self._wire.close(WireError("the agent ends"))
        await self._connection.close()

    # Questions

    async def get(self, request: Message, kind: type[Row]) -> Row:
        """The one object that a GET answers with; DatapathError, WireError."""
        return got(*await self._answer(request), kind)

    async def dump(
        self, request: Callable[[Row | None], Message], kind: type[Row]
    ) -> AsyncIterator[Row]:
        """Every object of a kind; `request(last)` is the DUMP that follows `last`.

        DatapathError, WireError: also for a dump that does not advance.
        """
        dump = Dump(request, kind)
        while not dump.whole:
            for row in dump.page(*await self._answer(dump.question())):
                yield row

    async def _answer(self, request: Message) -> tuple[int, list[Message]]:
        """The response code and the objects after it."""
        if self._waiting >= QUEUE:
            self.counters.refused += 1
            raise WireError(f"{QUEUE} questions to the datapath wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout) as limit, self._turn:
                payloads = await self._exchange(request, limit)
        except TimeoutError:
            self.counters.late += 1
            raise WireError(f"the datapath did not answer within {self._timeout:g} s") from None
        finally:
            self._waiting -= 1
        return _read(payloads)

    async def _exchange(self, request: Message, limit: asyncio.Timeout) -> list[bytes]:
        """Our turn: send the question, wait for the whole answer."""
        wire = self._wire
        if wire is None:
            raise WireError(f"there is no datapath at {self._address}")
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        self.counters.asked += 1
        answer = _Answer(self._sequence)
        wire.ask(answer, _framed(request, answer))
        try:
            await answer.whole
        finally:
            wire.forget()
            if limit.expired():  # not when the one who asked has gone: its answer comes
                wire.close(WireError("the datapath does not answer"))
        return answer.payloads

    # The connection

    async def _connect(self) -> _Wire:
        _, wire = await self._address.connect(_Wire)
        return wire

    async def _carry(self, wire: _Wire) -> None:
        """Serve one connection until it is gone."""
        self._wire = wire
        try:
            await wire.lost
        finally:
            self._wire = None
            wire.close(WireError("the connection to the datapath is closed"))

    def _tell_absent(self, reason: str) -> None:
        """Attempts go on until the datapath is there."""
        log.info("no datapath to be read", socket=str(self._address), reason=reason)


def _framed(request: Message, answer: _Answer) -> bytes:
    return request_frame(request.encode(), family=FAMILY_TOOL, seq=answer.sequence, pid=0)


def _read(payloads: list[bytes]) -> tuple[int, list[Message]]:
    """The messages of a whole answer; WireError when they are not one."""
    objects = [each for payload in payloads for each in decode_messages(payload)]
    if not objects or not isinstance(objects[0], VrResponse):
        raise WireError("the datapath answered without a vr_response")
    return objects[0].resp_code, objects[1:]
