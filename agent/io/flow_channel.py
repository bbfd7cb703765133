"""The flows' own connection to a datapath's control socket.

Carries bytes between the socket and the pairs of flows, gives these their turns and their
time, and connects again with back-off whenever the connection is lost. It decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from agent._fast.flow_pairs import FlowPairs
from agent.errors import WireError
from agent.io.reconnect import Reconnector

_OUTPUT = 1 << 18
_INPUT = 1 << 18
_READS = 4
"""Reads in one wake-up, so that a fast datapath does not keep the loop."""

log = structlog.get_logger(__name__)


class Flows(Protocol):
    """What the channel serves. `pairs` None: there is nothing to carry yet."""

    @property
    def pairs(self) -> FlowPairs | None: ...

    def turn(self, now: float) -> bool:
        """Do a bounded amount of what waits; whether more does."""
        ...

    def deadline(self) -> float | None:
        """When the next turn is wanted though nothing comes in."""
        ...


class FlowChannel:
    """Keeps `flows` connected to the stream socket at `path`, and turning.

    Call `kick` when something may wait for a turn: trapped packets, a changed world.
    """

    def __init__(
        self,
        path: Path | str,
        flows: Flows,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._path = str(path)
        self._flows = flows
        self._clock = clock
        self._connection = Reconnector(
            "flows", self._connect, self._carry, self._tell_absent, jitter
        )
        self._wake: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._socket: socket.socket | None = None
        self._lost: asyncio.Future[None] | None = None
        self._served: FlowPairs | None = None
        self._rest = memoryview(b"")
        self._writing = False
        self._input = memoryview(bytearray(_INPUT))
        self.connects = 0

    @property
    def failed_connects(self) -> int:
        """Attempts to connect that failed."""
        return self._connection.failed

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._socket is not None

    def start(self) -> None:
        """Begin to connect and to turn; needs a running loop. BugError when started twice."""
        self._connection.start()
        self.kick()

    async def close(self) -> None:
        """Disconnect for good. The datapath keeps every flow that it was told."""
        await self._connection.close()
        for handle in (self._timer, self._wake):
            if handle is not None:
                handle.cancel()
        self._timer = self._wake = None

    def kick(self) -> None:
        """Soon give the flows a turn and carry what they have to send."""
        if self._wake is None and self._connection.running:
            self._wake = asyncio.get_running_loop().call_soon(self._turn)

    # The connection

    async def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _tell_absent(self, reason: str) -> None:
        """Attempts go on until the datapath is there."""
        log.warning("no datapath for flows", socket=self._path, reason=reason)

    async def _carry(self, connection: socket.socket) -> None:
        """Serve one connection until it is gone."""
        loop = asyncio.get_running_loop()
        self.connects += 1
        self._socket, self._lost = connection, loop.create_future()
        loop.add_reader(connection, self._readable)
        self.kick()
        try:
            await self._lost
        finally:
            loop.remove_reader(connection)
            self._stop_writing(connection)
            self._socket = self._lost = None
            self._rest = memoryview(b"")
            connection.close()
            self._leave()
            self.kick()

    def _leave(self) -> None:
        """The pairs whose requests went over this connection get no answers any more."""
        served, self._served = self._served, None
        if served is not None:
            served.disconnected(self._clock())

    def _lose(self, reason: str) -> None:
        log.warning("the flows lost the datapath", socket=self._path, reason=reason)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    # Bytes

    def _readable(self) -> None:
        for _ in range(_READS):
            if self._socket is None or not self._receive(self._socket):
                break
        self._turn()

    def _receive(self, connection: socket.socket) -> bool:
        """Take what has come; whether there may be more."""
        try:
            size = connection.recv_into(self._input)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as problem:
            self._lose(problem.strerror or str(problem))
            return False
        if not size:
            self._lose("it closed the connection")
            return False
        try:
            if self._served is not None:
                self._served.answers(self._input[:size], self._clock())
        except WireError as problem:
            self._lose(str(problem))
            return False
        return size == len(self._input)

    def _send(self, connection: socket.socket, pairs: FlowPairs) -> None:
        """Write until nothing is left or the socket takes no more."""
        more = True
        while True:
            if not self._rest and more:
                self._rest = pairs.take_output(_OUTPUT, self._clock())
                more = len(self._rest) > _OUTPUT // 2  # less is all that there was
            if not self._rest:
                self._stop_writing(connection)
                return
            try:
                self._rest = self._rest[connection.send(self._rest) :]
            except (BlockingIOError, InterruptedError):
                self._wait_to_write(connection)
                return
            except OSError as problem:
                self._lose(problem.strerror or str(problem))
                return

    def _wait_to_write(self, connection: socket.socket) -> None:
        if not self._writing:
            self._writing = True
            asyncio.get_running_loop().add_writer(connection, self._turn)

    def _stop_writing(self, connection: socket.socket) -> None:
        if self._writing:
            self._writing = False
            with contextlib.suppress(OSError):
                asyncio.get_running_loop().remove_writer(connection)

    # Turns

    def _turn(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        more = self._flows.turn(self._clock())
        pairs = self._flows.pairs
        if self._socket is not None and self._lost is not None and not self._lost.done():
            self._serve(self._socket, pairs)
        if more:
            self.kick()
        self._arm()

    def _serve(self, connection: socket.socket, pairs: FlowPairs | None) -> None:
        if self._served is not None and pairs is not self._served:
            self._lose("the flow table is another one")  # answers to the old pairs may come
            return
        if pairs is None:
            return
        if self._served is None:
            self._served = pairs
            pairs.connected(self._clock())
        self._send(connection, pairs)

    def _arm(self) -> None:
        """A timer that is early enough is left: it costs less than another one."""
        deadline = self._flows.deadline()
        if deadline is None or not self._connection.running:
            return
        if self._timer is not None:
            if self._armed_for <= deadline:
                return
            self._timer.cancel()
        wait = max(0.0, deadline - self._clock())
        self._armed_for = deadline
        self._timer = asyncio.get_running_loop().call_later(wait, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._turn()
