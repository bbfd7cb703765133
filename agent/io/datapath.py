"""Where this host's datapath is, and how to connect to it.

Every connection is a pair of asyncio's transport and protocol, whatever is beneath: a Unix
stream socket (DPDK, the embedded forwarder), generic netlink (the kernel's module) or a named
pipe (Windows' Forwarding Extension).
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from agent.errors import WireError
from agent.io.netlink import PROBE_SECONDS, RECEIVE_BUFFER, NetlinkTransport
from agent.io.netlink_sockets import KERNEL, PORT_FILE, port_in
from agent.io.pipes import PipeAddress
from agent.io.platforms import SOCKET, WINDOWS, in_kernel, on_a_socket
from agent.sandesh.genetlink import FAMILY_NAME
from agent.telemetry.wires import NetlinkCounters

P = TypeVar("P", bound=asyncio.Protocol)
Made = Callable[[], P]


class Address(Protocol):
    """A place to connect to; `str` of it is for people."""

    async def connect(self, made: Made[P]) -> tuple[asyncio.Transport, P]:
        """A new connection that is served by what `made` gives. OSError."""
        ...


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """A Unix stream socket."""

    path: Path

    async def connect(self, made: Made[P]) -> tuple[asyncio.Transport, P]:
        """A new connection. OSError."""
        loop = asyncio.get_running_loop()
        return await loop.create_unix_connection(made, str(self.path))

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class NetlinkAddress:
    """A generic netlink family: the kernel's, or that of the process whose port id is in a file."""

    port_file: Path | None = None
    family: str = FAMILY_NAME
    receive_buffer: int = RECEIVE_BUFFER
    probe_seconds: float = PROBE_SECONDS
    counters: NetlinkCounters = field(default_factory=NetlinkCounters)

    async def connect(self, made: Made[P]) -> tuple[asyncio.Transport, P]:
        """A new connection. OSError."""
        transport = NetlinkTransport(
            self.counters,
            self.family,
            self._port(),
            receive_buffer=self.receive_buffer,
            probe_seconds=self.probe_seconds,
        )
        try:
            await transport.open()
        except WireError as problem:
            raise OSError(errno.EPROTO, str(problem)) from None
        protocol = made()
        transport.serve(protocol)
        return transport, protocol

    def _port(self) -> int:
        return KERNEL if self.port_file is None else port_in(self.port_file)

    def __str__(self) -> str:
        return f"netlink port of {self.port_file}" if self.port_file else f"kernel {self.family}"


class FirstAddress:
    """The first of several places where a datapath is, and from then on that one alone.

    So a datapath that is started anew is waited for while another one could be had.
    """

    def __init__(self, places: Sequence[Address]) -> None:
        self._places = tuple(places)

    async def connect(self, made: Made[P]) -> tuple[asyncio.Transport, P]:
        """A new connection. OSError tells of every place."""
        problems = []
        for place in self._places:
            try:
                connection = await place.connect(made)
            except OSError as problem:
                if len(self._places) == 1:
                    raise
                problems.append(f"{place}: {problem.strerror or problem}")
            else:
                self._places = (place,)
                return connection
        raise OSError(errno.ENOTCONN, "; ".join(problems))

    def __str__(self) -> str:
        return " or ".join(map(str, self._places))


def datapath_address(
    platform: str, run_dir: Path, counters: NetlinkCounters | None = None
) -> Address:
    """Where the datapath of [DEFAULT] platform is; `counters` are those of all its connections.

    `windows`: the pipe of the Forwarding Extension. `dpdk` and `nic`: the socket in the run
    directory. `kernel` and `host`: a forwarder's netlink there, else the kernel's module.
    Anything else: the socket, else a forwarder's netlink.
    """
    counters = counters or NetlinkCounters()
    stream = StreamAddress(run_dir / SOCKET)
    process = NetlinkAddress(run_dir / PORT_FILE, counters=counters)
    if platform == WINDOWS:
        return PipeAddress()
    if on_a_socket(platform):
        return stream
    if in_kernel(platform):
        return FirstAddress((process, NetlinkAddress(counters=counters)))
    return FirstAddress((stream, process))
