"""What pkt0's transports share: batches in as they come, frames out through a bounded queue."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from agent._fast.packet import FrameBatch
from agent.telemetry.wires import Pkt0Counters

BATCH = 256
_SEND_QUEUE = 4096
_RETRY_SECONDS = 0.005
_READS = 8
"""Batches of one wake-up. Flows of a port that floods stand in one line with all others only
until they are read, and in its own queue then."""

Received = Callable[[FrameBatch], bool]
"""Takes a batch and says whether it cost little: more is read at once."""


class Pkt0Channel(ABC):
    """One end of pkt0. Never blocks; what waits to be sent is bounded."""

    def __init__(self, received: Received) -> None:
        self.counters = Pkt0Counters()
        self._received = received
        self._batch = FrameBatch(BATCH)
        self._queue: deque[bytes] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._retry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Deliver batches on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._begin(self._loop)

    @abstractmethod
    def pair(self) -> None:
        """The datapath has the agent's vif: it can be spoken with."""

    @abstractmethod
    def unpair(self) -> None:
        """The datapath is lost."""

    def close(self) -> None:
        """Stop for good; what waits is dropped."""
        if self._retry is not None:
            self._retry.cancel()
        self._end()

    def send(self, frames: Iterable[bytes]) -> None:
        """Send now what the datapath takes, the rest as soon as it does."""
        for frame in frames:
            if len(self._queue) >= _SEND_QUEUE:
                self.counters.queue_full += 1
            else:
                self._queue.append(frame)
        if self._retry is None:
            self._flush()

    @abstractmethod
    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have `_readable` called whenever something has come."""

    @abstractmethod
    def _end(self) -> None:
        """Free what was opened."""

    @abstractmethod
    def _read(self) -> bool:
        """Fill the batch; whether it is full, so that there may be more."""

    @abstractmethod
    def _send_some(self, batch: list[bytes]) -> int:
        """How many of the batch are done with: sent, or without a chance of it."""

    def _readable(self) -> None:
        for _ in range(_READS):
            more = self._read()
            self.counters.received += len(self._batch)
            self.counters.batches += len(self._batch) > 0
            if len(self._batch) and not self._received(self._batch):
                return
            if not more:
                return

    def _flush(self) -> None:
        self._retry = None
        while self._queue:
            batch = list(islice(self._queue, 64))
            sent = self._send_some(batch)
            for _ in range(sent):
                self._queue.popleft()
            if sent < len(batch):
                self._retry_soon()
                return

    def _retry_soon(self) -> None:
        """The datapath's queue is full: neither a datagram socket nor a tap can be waited for."""
        loop = self._loop or asyncio.get_running_loop()
        self._retry = loop.call_later(_RETRY_SECONDS, self._flush)


class DescriptorChannel(Pkt0Channel):
    """A channel that the loop watches by its descriptor."""

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_reader(self._descriptor(), self._readable)

    def _end(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._descriptor())
        self._free()

    @abstractmethod
    def _descriptor(self) -> int: ...

    @abstractmethod
    def _free(self) -> None: ...
