"""Pipes in message mode for Linux: ends of SOCK_SEQPACKET pairs as a proactor loop gives pipes.

As of those, what the transport has to keep is joined to one write, and each read is one message.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from agent.io.pipes import Connection, MessagePipe


class Duplex(asyncio.Transport):
    """One end; `high` is the write buffer's limit."""

    def __init__(self, end: socket.socket, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._end = end
        self._protocol = protocol
        self._buffer = bytearray()
        self._high = 1 << 16
        self._paused = False
        end.setblocking(False)
        self._loop.add_reader(end, self._readable)
        self._loop.call_soon(protocol.connection_made, self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._buffer:
            try:
                self._end.send(data)
            except BlockingIOError:
                self._loop.add_writer(self._end, self._writable)
            else:
                return
        self._buffer += data
        if len(self._buffer) > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def _writable(self) -> None:
        try:
            self._end.send(self._buffer)
        except BlockingIOError:
            return
        self._loop.remove_writer(self._end)
        self._buffer.clear()
        if self._paused:
            self._paused = False
            self._protocol.resume_writing()

    def _readable(self) -> None:
        try:
            data = self._end.recv(1 << 18)
        except OSError:
            data = b""
        if data:
            self._protocol.data_received(data)
        else:
            self.abort()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 1 << 16 if high is None else high

    def abort(self) -> None:
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end)
            self._loop.remove_writer(self._end)
            self._end.close()
            self._loop.call_soon(self._protocol.connection_lost, None)


class PipeServer:
    """What creates the pipe: `open` connects clients, `served` has the other end of each."""

    def __init__(self, *, room: int = 1 << 20) -> None:
        self.served: list[socket.socket] = []
        self.absent = False
        self._room = room

    async def open(self, path: str, made: Callable[[], MessagePipe]) -> Connection:
        """As `agent.io.pipes.open_pipe`."""
        if self.absent:
            raise FileNotFoundError(2, "No such pipe", path)
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._room)
        other.setblocking(False)
        self.served.append(other)
        pipe = made()
        return Duplex(own, pipe), pipe

    async def read(self, client: int = 0) -> bytes:
        """The next message of a client; b"" when it has gone."""
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(self.served[client], 1 << 18), 20)

    def close(self) -> None:
        """All clients lose their pipe."""
        for one in self.served:
            one.close()
