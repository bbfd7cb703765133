"""The host's links, by name and by index, as rtnetlink tells them.

A small reader of its own: the forwarder needs four attributes of a link message and
starts without the agent's libraries. Numbers: rtnetlink(7), <linux/if_link.h>.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.errors import WireError
from agent.values import Mac

_RTMGRP_LINK = 1
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_REQUEST_DUMP = 0x301
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU = 1, 3, 4
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_AF_BRIDGE = 7
_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_READ_SIZE = 1 << 17
_RECEIVE_BUFFER = 1 << 20
_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface of the host. `mac` is None where it has no Ethernet address."""

    index: int
    name: str
    mac: Mac | None
    mtu: int
    up: bool


def parse_messages(data: bytes) -> Iterator[tuple[int, tuple[int, int], Link | None]]:
    """Read one datagram: (message type, (port, sequence) it answers, link or None).

    Raises WireError on lengths that do not fit.
    """
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, port = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            raise WireError(f"netlink message of {length} bytes with {len(data) - at} left")
        body = data[at + _HEADER.size : at + length]
        link = _link(body) if kind in (_RTM_NEWLINK, _RTM_DELLINK) else None
        yield kind, (port, sequence), link
        at += (length + 3) & ~3


def _link(body: bytes) -> Link | None:
    if len(body) < _IFINFO.size:
        raise WireError(f"link message of {len(body)} bytes")
    family, _, index, flags, _ = _IFINFO.unpack_from(body)
    if family == _AF_BRIDGE:  # a link that becomes or ceases to be a port of a bridge: it stays
        return None
    attributes = dict(_attributes(body[_IFINFO.size :]))
    name = attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="surrogateescape")
    if not name:
        return None
    address = attributes.get(_IFLA_ADDRESS, b"")
    mtu = attributes.get(_IFLA_MTU, b"")
    return Link(
        index=index,
        name=name,
        mac=Mac(address) if len(address) == 6 else None,
        mtu=int.from_bytes(mtu, "little") if len(mtu) == 4 else 0,
        up=flags & (_IFF_UP | _IFF_LOWER_UP) == _IFF_UP | _IFF_LOWER_UP,
    )


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            raise WireError(f"link attribute of {length} bytes with {len(data) - at} left")
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


Changed = Callable[[Link], None]


class LinkWatch:
    """Keeps the host's links and reports each that appears, changes or goes.

    `appeared` is called for a link that is new or different, `gone` with the last
    known state of one that was removed (or renamed away).
    """

    def __init__(self, appeared: Changed, gone: Changed) -> None:
        self.by_index: dict[int, Link] = {}
        self._appeared = appeared
        self._gone = gone
        self._sequence = 0
        self._seen: set[int] | None = None
        self._once_more = False
        self._retry: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            socket.NETLINK_ROUTE,
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.bind((0, _RTMGRP_LINK))
        self._port: int = self._socket.getsockname()[0]

    def named(self, name: str) -> Link | None:
        """The link with this name now, or None."""
        return next((link for link in self.by_index.values() if link.name == name), None)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask for every link and follow changes on `loop`."""
        self._loop = loop
        loop.add_reader(self._socket.fileno(), self.read)
        self._dump()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop following and free the socket."""
        if self._retry is not None:
            self._retry.cancel()
        loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _dump(self) -> None:
        if self._seen is not None:  # the kernel runs one dump of a socket at a time
            self._once_more = True
            return
        self._sequence += 1
        self._seen = set()
        self._socket.send(
            _HEADER.pack(32, _RTM_GETLINK, _REQUEST_DUMP, self._sequence, 0) + bytes(16)
        )

    def _watch_again(self) -> None:
        """uvloop watches a descriptor no more that had an error pending."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.add_reader(self._socket.fileno(), self.read)

    def read(self) -> None:
        """Take what the kernel has sent; ask for everything again after a loss."""
        while True:
            try:
                data = self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._watch_again()
                self._dump()
                continue
            self._apply(data)

    def _apply(self, data: bytes) -> None:
        for kind, answered, link in parse_messages(data):
            dumped = answered == (self._port, self._sequence)
            if kind == _RTM_NEWLINK and link is not None:
                self._there(link, dumped)
            elif kind == _RTM_DELLINK and link is not None:
                self._away(link.index)
            elif kind == _NLMSG_ERROR and dumped:
                self._refused()
            elif kind == _NLMSG_DONE and dumped:
                self._dumped()

    def _there(self, link: Link, dumped: bool) -> None:
        # An event that was queued before the dump proves nothing about what is there now.
        if self._seen is not None and dumped:
            self._seen.add(link.index)
        known = self.by_index.get(link.index)
        if known == link:
            return
        if known is not None and known.name != link.name:
            self._away(link.index)
        self.by_index[link.index] = link
        self._appeared(link)

    def _away(self, index: int) -> None:
        if (link := self.by_index.pop(index, None)) is not None:
            self._gone(link)

    def _refused(self) -> None:
        """There was no room for the dump, or another one is under way: soon ask again."""
        if self._retry is None and self._loop is not None:
            self._retry = self._loop.call_later(_AGAIN_SECONDS, self._ask_again)

    def _ask_again(self) -> None:
        self._retry = self._seen = None
        self._dump()

    def _dumped(self) -> None:
        if self._seen is None:
            return
        for index in set(self.by_index) - self._seen:
            self._away(index)
        self._seen = None
        if self._once_more:
            self._once_more = False
            self._dump()
