"""A generic netlink socket as an asyncio transport, so that it serves like a stream socket.

Frames go out one a datagram, with the family's number put in; what comes back is handed on
as the stream that a socket datapath would send. The kernel executes a request while it is
sent and drops an answer that finds no room, so answers are taken between the sends. When it
had to drop one it says so once (ENOBUFS, which NETLINK_NO_ENOBUFS would hide): the connection
ends, and the next one reads everything anew.

Nothing tells that the peer has gone or is another one. So the family is asked for again from
time to time: its number is another one after the module was loaded again, and a process that
ended refuses.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from collections import deque
from typing import Any

from agent.errors import WireError
from agent.io import netlink_sockets
from agent.sandesh.framing import GENL_ID_CTRL, NLMSG_ERROR
from agent.sandesh.genetlink import (
    FAMILY_NAME,
    family_answer,
    family_request,
    refusal,
    refused_type,
    split_datagram,
    split_requests,
)
from agent.telemetry.wires import NetlinkCounters

RECEIVE_BUFFER = 4 << 20
"""Bytes; the answers to a whole window of requests fit, each of which costs the kernel 768."""
PROBE_SECONDS = 2.0
OPEN_SECONDS = 5.0
_SENDS_A_TURN = 32
_READS_A_TURN = 512
_RETRY_SECONDS = 0.002
_HIGH = 1 << 18
_NLMSG_NOOP = 1
_CAP_ACK = 10
_SOL_NETLINK = 270


class NetlinkTransport(asyncio.Transport):
    """One connection to the family `name` at port id `port`: `open` it, then `serve`."""

    def __init__(
        self,
        counters: NetlinkCounters,
        name: str = FAMILY_NAME,
        port: int = netlink_sockets.KERNEL,
        *,
        receive_buffer: int = RECEIVE_BUFFER,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        """OSError when netlink cannot be used."""
        super().__init__()
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._kernel = port == netlink_sockets.KERNEL
        self._probe_seconds = probe_seconds
        self._socket = netlink_sockets.connect(netlink_sockets.GENERIC, port, receive_buffer)
        self._socket.setblocking(False)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._family: asyncio.Future[int] = self._loop.create_future()
        self._protocol: asyncio.Protocol | None = None
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._high = _HIGH
        self._paused = False
        self._inbox: list[bytes] = []
        self._buffer = memoryview(bytearray(netlink_sockets.READ_SIZE))
        self._flush_due: asyncio.Handle | None = None
        self._deliver_due: asyncio.Handle | None = None
        self._probe: asyncio.TimerHandle | None = None
        self._closing = False

    async def open(self) -> None:
        """Learn the family's number. OSError: there is no such family, nobody, no answer."""
        self._loop.add_reader(self._socket, self._readable)
        try:
            self._socket.send(family_request(self._name))
            async with asyncio.timeout(OPEN_SECONDS):
                await self._family
        except BaseException:
            self.abort()
            raise
        self._probe = self._loop.call_later(self._probe_seconds, self._ask_again)

    def serve(self, protocol: asyncio.Protocol) -> None:
        """Begin to hand on what comes."""
        self._protocol = protocol
        protocol.connection_made(self)

    # asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send whole frames, now or as soon as the peer takes them."""
        if self._closing:
            return
        frames = split_requests(bytes(data), self._family.result())
        self._queue.extend(frames)
        self._queued += len(data)
        if self._flush_due is None:
            self._flush()
        if self._queued > self._high and not self._paused and self._protocol is not None:
            self._paused = True
            self._protocol.pause_writing()

    def abort(self) -> None:
        """End at once; what waits is dropped."""
        self._end(None)

    def close(self) -> None:
        """As `abort`: a request that was not sent is nothing to wait for."""
        self._end(None)

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return self._queued

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = _HIGH if high is None else high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    # Out

    def _flush(self) -> None:
        """Send some of what waits; the rest in turns of its own, so that none takes long."""
        self._flush_due = None
        for _ in range(_SENDS_A_TURN):
            if not self._queue or self._closing:
                break
            if not self._send(self._queue[0]):
                return
            self._queued -= len(self._queue.popleft())
            if self._kernel:
                self._collect()
        if self._queue and not self._closing:
            self._flush_due = self._loop.call_soon(self._flush)
        if self._paused and self._queued <= self._high // 2 and self._protocol is not None:
            self._paused = False
            self._loop.call_soon(self._protocol.resume_writing)

    def _send(self, frame: bytes) -> bool:
        try:
            self._socket.send(frame)
        except (BlockingIOError, InterruptedError):
            self._counters.waits += 1  # one cannot wait for room in a peer's buffer but by trying
            self._flush_due = self._loop.call_later(_RETRY_SECONDS, self._flush)
            return False
        except OSError as problem:
            self._end(problem)
            return False
        return True

    # In

    def _readable(self) -> None:
        self._collect()
        self._deliver()

    def _collect(self) -> None:
        """Take the datagrams that are there."""
        for _ in range(_READS_A_TURN):
            if self._closing:
                return
            try:
                size = self._socket.recv_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as problem:
                self._counters.overruns += problem.errno == errno.ENOBUFS
                self._end(problem)
                return
            try:
                for message in split_datagram(bytes(self._buffer[:size])):
                    self._take(message)
            except WireError as problem:
                self._end(problem)
                return
        if self._inbox and self._deliver_due is None:
            self._deliver_due = self._loop.call_soon(self._deliver)

    def _take(self, message: bytes) -> None:
        """One netlink message: an answer to our own question, or something for the protocol."""
        kind = int.from_bytes(message[4:6], sys.byteorder)
        payload = message[16:]
        if kind == GENL_ID_CTRL:
            self._told(family_answer(payload))
        elif kind == NLMSG_ERROR and refused_type(payload) == GENL_ID_CTRL:
            self._refused(refusal(payload))
        elif kind != _NLMSG_NOOP:
            self._inbox.append(message)

    def _deliver(self) -> None:
        if self._deliver_due is not None:
            self._deliver_due.cancel()
            self._deliver_due = None
        inbox, self._inbox = self._inbox, []
        if inbox and self._protocol is not None and not self._closing:
            self._protocol.data_received(b"".join(inbox))

    # The family

    def _told(self, number: int) -> None:
        if not self._family.done():
            self._family.set_result(number)
        elif number != self._family.result():
            self._end(OSError(errno.ENETRESET, f"the {self._name} module was loaded again"))

    def _refused(self, number: int) -> None:
        reason = f"there is no generic netlink family {self._name}: load the module"
        gone = OSError(number, f"{reason} (modprobe {self._name})")
        if not self._family.done():
            self._family.set_exception(gone)
        else:
            self._end(gone)

    def _ask_again(self) -> None:
        self._probe = self._loop.call_later(self._probe_seconds, self._ask_again)
        try:
            self._socket.send(family_request(self._name))
        except (BlockingIOError, InterruptedError):
            pass  # it is there, and has much to do
        except OSError as problem:
            self._end(problem)

    def _end(self, problem: Exception | None) -> None:
        if self._closing:
            return
        self._closing = True
        for handle in (self._probe, self._flush_due, self._deliver_due):
            if handle is not None:
                handle.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._queue.clear()
        self._inbox.clear()
        if not self._family.done():
            self._family.cancel() if problem is None else self._family.set_exception(problem)
        if self._protocol is not None:
            self._loop.call_soon(self._protocol.connection_lost, problem)
