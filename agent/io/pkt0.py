"""pkt0 over AF_UNIX datagrams: the packet channel of a userspace datapath.

`Pkt0Socket` is the transport, `TrapLoop` drives the services with it on the running loop.
The agent is bound to RUN_DIR/agent_pkt0 and sends from that very socket, because the datapath's
end is connected to it and a connected end takes datagrams from nobody else. It connects in turn,
as soon as the datapath lets it: between ends that are connected to each other the kernel's short
queue limit (net.unix.max_dgram_qlen) does not hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from math import ceil
from pathlib import Path

from agent._fast.packet import FrameBatch, disconnect, send_frames
from agent.errors import ConfigError
from agent.io.pkt0_channel import BATCH, DescriptorChannel, Pkt0Channel, Received
from agent.services import Learned, TrappedPackets

AGENT_SOCKET = "agent_pkt0"
DATAPATH_SOCKET = "dpdk_pkt0"

_GRAIN = 0.25
"""Seconds: services wait for seconds, so what is due soon after one another is done together."""
_MAX_PATH = 107
_RECEIVE_BUFFER = 1 << 22
# Nobody is bound there, the peer died, or it is still connected to the agent's predecessor.
_NOBODY_THERE = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.EPERM, errno.ENOTDIR})


class Pkt0Socket(DescriptorChannel):
    """The agent's end of a userspace datapath's pkt0."""

    def __init__(self, run_dir: Path, received: Received) -> None:
        """Bind the agent's end; ConfigError when the run directory does not allow it."""
        super().__init__(received)
        self._path = run_dir / AGENT_SOCKET
        self._peer = os.fsencode(run_dir / DATAPATH_SOCKET)
        self._socket = _bind(self._path)

    def pair(self) -> None:
        """Connect to the datapath's end, which is connected to ours."""
        with contextlib.suppress(OSError):  # it is not there yet: sending works all the same
            self._socket.connect(self._peer)

    def unpair(self) -> None:
        """Give up the datapath's end: it died, and the next one could not connect to ours."""
        disconnect(self._socket.fileno())

    def _descriptor(self) -> int:
        return self._socket.fileno()

    def _free(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> bool:
        return self._batch.receive(self._socket.fileno()) == BATCH

    def _send_some(self, batch: list[bytes]) -> int:
        try:
            sent = send_frames(self._socket.fileno(), self._peer, batch)
        except OSError as error:
            if error.errno in _NOBODY_THERE:
                self.counters.not_connected += len(batch)
                return len(batch)
            self.counters.send_errors += 1
            return 1  # the first one is what it refused
        self.counters.sent += sent
        return sent


def _bind(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > _MAX_PATH:
        raise ConfigError(
            f"{path}: a socket's path has at most {_MAX_PATH} bytes; use a shorter --run-dir"
        )
    end = socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        end.bind(os.fspath(path))
        path.chmod(0o660)
    except OSError as error:
        end.close()
        raise ConfigError(f"{path}: {error.strerror}") from None
    return end


class TrapLoop:
    """Runs the services on the trapped packets of the channel that `opened` makes, and on time.

    `learned` is called with the events of a turn, when there are any. `flows` takes what flows
    are made of out of a batch and tells the places of what is left. Whoever makes a service
    send by itself (e.g. `arp.wanted`) hands the frames to `send`.
    """

    def __init__(
        self,
        opened: Callable[[Received], Pkt0Channel],
        services: TrappedPackets,
        learned: Callable[[list[Learned]], None],
        flows: Callable[[FrameBatch, float], list[int]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.socket = opened(self._received)
        self._services = services
        self._learned = learned
        self._flows = flows
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._turn: asyncio.Handle | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        self.socket.start()
        self._settle()

    def close(self) -> None:
        """Stop and free the socket."""
        for handle in (self._timer, self._turn):
            if handle is not None:
                handle.cancel()
        self.socket.close()

    def send(self, frames: Iterable[bytes]) -> None:
        """Send frames of a service, and wake up for what it now waits for."""
        self.socket.send(frames)
        self._settle()

    def relayed(self, message: bytes, server: IPv4Address) -> None:
        """A DHCP server on the fabric answers."""
        self.send(self._services.relayed(message, server, self._clock()))

    def _received(self, batch: FrameBatch) -> bool:
        """Whether all were flows, which wait for their own turn."""
        now = self._clock()
        left = None if self._flows is None else self._flows(batch, now)
        if left is not None and not left:
            return True
        self.send(self._services.receive(batch, now, left))
        return False

    def _wait_over(self) -> None:
        self._timer = self._armed_for = None
        self.send(self._services.tick(self._clock()))

    def _next_turn(self) -> None:
        self._turn = None
        self.send(self._services.turn(self._clock()))

    def _settle(self) -> None:
        """Report what was learned and arrange for the next call."""
        loop = asyncio.get_running_loop()
        if self._services.pending and self._turn is None:
            self._turn = loop.call_soon(self._next_turn)
        due = self._services.next_deadline()
        at = None if due is None else ceil(due / _GRAIN) * _GRAIN
        if at != self._armed_for:
            if self._timer is not None:
                self._timer.cancel()
            self._armed_for = at
            wait = 0.0 if at is None else max(0.0, at - self._clock())
            self._timer = None if at is None else loop.call_later(wait, self._wait_over)
        events = self._services.take_events()
        if events:
            self._learned(events)
