r"""Named pipes in message mode: how the Windows Forwarding Extension is spoken with.

It offers `\\.\vrouterKsync` and `\\.\vrouterPkt0` to several clients at a time, and takes each
write as one request or packet. So nothing may be joined on the way: a message goes to the
pipe only when the one before has left. What is read is one message each time.

`open_pipe` alone is Windows': asyncio's proactor loop opens the pipe. All else works on
anything that keeps messages apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import structlog

from agent._fast.packet import MAX_FRAME
from agent.io.pkt0_channel import BATCH, Pkt0Channel, Received
from agent.io.reconnect import Reconnector, reason_of
from agent.sandesh.framing import whole_frames

KSYNC = r"\\.\vrouterKsync"
PKT0 = r"\\.\vrouterPkt0"
_HIGH = 1 << 18
_ABSENT_HINT = "install and start the Forwarding Extension; trying again meanwhile"

log = structlog.get_logger(__name__)
P = TypeVar("P", bound=asyncio.Protocol)
Connection = tuple[asyncio.Transport, "MessagePipe"]
Opens = Callable[[str, Callable[[], "MessagePipe"]], Awaitable[Connection]]


async def open_pipe(path: str, made: Callable[[], MessagePipe]) -> Connection:
    """Connect to a named pipe. OSError, also for an event loop that cannot.

    While all its instances are taken the loop tries again by itself.
    """
    connect = getattr(asyncio.get_running_loop(), "create_pipe_connection", None)
    if connect is None:
        raise OSError(errno.ENOSYS, "named pipes are opened by Windows' proactor loop alone")
    transport, pipe = await connect(made, path)
    if sys.platform == "win32":
        import _winapi

        # A client's end begins as a stream. A device of the driver, which always gives whole
        # messages, refuses the question.
        with contextlib.suppress(OSError):
            handle = transport.get_extra_info("pipe").fileno()
            _winapi.SetNamedPipeHandleState(handle, _winapi.PIPE_READMODE_MESSAGE, None, None)
    return cast("Connection", (transport, pipe))


class Owner(Protocol):
    """Who has a connection."""

    def opened(self) -> None:
        """The pipe is there."""

    def message(self, data: bytes) -> None:
        """One message has come."""

    def drained(self) -> None:
        """All that was given to `send` has left."""

    def lost(self, problem: Exception | None) -> None:
        """The pipe is no more."""


class MessagePipe(asyncio.Protocol):
    """One connection: `send` whole messages, get whole messages."""

    def __init__(self, owner: Owner) -> None:
        self.waiting = 0
        """Bytes that have not left."""
        self._owner = owner
        self._pipe: asyncio.WriteTransport | None = None
        self._queue: deque[bytes] = deque()
        self._busy = False
        self._ended = False

    @property
    def is_busy(self) -> bool:
        """Whether a message would have to wait."""
        return self._busy or bool(self._queue)

    def send(self, message: bytes) -> None:
        """Have the other side read this by itself, after all before."""
        if self._ended:
            return
        self._queue.append(message)
        self.waiting += len(message)
        self._flush()

    def abort(self) -> None:
        """End at once, or as soon as it is there; what waits is dropped."""
        self._ended = True
        self._queue.clear()
        self.waiting = 0
        if self._pipe is not None:
            self._pipe.abort()

    def _flush(self) -> None:
        while self._queue and not self._busy and self._pipe is not None:
            message = self._queue.popleft()
            self.waiting -= len(message)
            self._pipe.write(message)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._pipe = cast("asyncio.WriteTransport", transport)
        if self._ended:
            self._pipe.abort()
            return
        self._pipe.set_write_buffer_limits(high=0)  # it joins what it has to keep
        self._owner.opened()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._owner.message(data)

    def pause_writing(self) -> None:
        self._busy = True

    def resume_writing(self) -> None:
        self._busy = False
        self._flush()
        if not self.is_busy:
            self._owner.drained()

    def connection_lost(self, problem: Exception | None) -> None:
        self._pipe = None
        self.abort()
        self._owner.lost(problem)


class FramePipe(asyncio.Transport):
    """A stream of netlink frames, each of which crosses the pipe `pipe` by itself."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.pipe = MessagePipe(self)
        self._protocol = protocol
        self._high = _HIGH
        self._paused = False
        self._closing = False

    # Owner

    def opened(self) -> None:
        self._protocol.connection_made(self)

    def message(self, data: bytes) -> None:
        if not self._closing:
            self._protocol.data_received(data)

    def drained(self) -> None:
        if self._paused:
            self._paused = False
            self._protocol.resume_writing()

    def lost(self, problem: Exception | None) -> None:
        self._closing = True
        self._protocol.connection_lost(problem)

    # asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send whole frames. WireError when they are not whole."""
        if self._closing:
            return
        for frame in whole_frames(bytes(data)):
            self.pipe.send(frame)
        if self.pipe.waiting > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def abort(self) -> None:
        """End at once; what waits is dropped."""
        self._closing = True
        self.pipe.abort()

    close = abort

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return self.pipe.waiting

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = _HIGH if high is None else high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


@dataclass(frozen=True, slots=True)
class PipeAddress:
    """The ksync pipe of a Forwarding Extension."""

    path: str = KSYNC
    opens: Opens = open_pipe

    async def connect(self, made: Callable[[], P]) -> tuple[asyncio.Transport, P]:
        """A new connection. OSError."""
        protocol = made()
        transport = FramePipe(protocol)
        await self.opens(self.path, lambda: transport.pipe)
        return transport, protocol

    def __str__(self) -> str:
        return self.path


class Pkt0Pipe(Pkt0Channel):
    """The packet channel of a Forwarding Extension; connects again whenever it is lost."""

    def __init__(
        self,
        received: Received,
        path: str = PKT0,
        opens: Opens = open_pipe,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(received)
        self._path = path
        self._opens = opens
        self._pipe: MessagePipe | None = None
        self._next = MessagePipe(self)
        self._lost = asyncio.Event()
        self._inbox: list[bytes] = []
        self._due: asyncio.Handle | None = None
        self._connection = Reconnector("pkt0", self._connect, self._carry, self._absent, jitter)

    def pair(self) -> None:
        """A pipe has its other end as long as it is there."""

    unpair = pair

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._connection.start()

    def _end(self) -> None:
        self._connection.stop()
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._next.abort()

    async def _connect(self) -> asyncio.Event:
        self._lost = asyncio.Event()
        self._next = made = MessagePipe(self)
        await self._opens(self._path, lambda: made)
        return self._lost

    async def _carry(self, lost: asyncio.Event) -> None:
        await lost.wait()

    def _absent(self, reason: str) -> None:
        self.counters.fault = reason
        log.warning("no packet channel", pipe=self._path, reason=reason, hint=_ABSENT_HINT)

    # Owner

    def opened(self) -> None:
        self._pipe = self._next
        self.counters.fault = ""

    def message(self, data: bytes) -> None:
        if len(data) > MAX_FRAME:
            self.counters.foreign += 1
            return
        self._inbox.append(data)
        self._deliver_soon()

    def drained(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._flush()

    def lost(self, problem: Exception | None) -> None:
        if problem is not None:
            log.warning("packet channel failed", pipe=self._path, reason=reason_of(problem))
        self.counters.fault = "the pipe was closed" if problem is None else reason_of(problem)
        self._pipe = None
        self._lost.set()

    # Pkt0Channel

    def _deliver_soon(self) -> None:
        if self._due is None:
            self._due = asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._due = None
        self._readable()
        if self._inbox:
            self._deliver_soon()

    def _read(self) -> bool:
        taken, self._inbox = self._inbox[:BATCH], self._inbox[BATCH:]
        self._batch.fill(taken)
        return bool(self._inbox)

    def _send_some(self, batch: list[bytes]) -> int:
        pipe = self._pipe
        if pipe is None:
            self.counters.not_connected += len(batch)
            return len(batch)
        for at, frame in enumerate(batch):
            if pipe.is_busy:
                return at
            pipe.send(frame)
            self.counters.sent += 1
        return len(batch)
