"""The host's network interfaces, as rtnetlink reports them.

A raw non-blocking socket on the loop; what it brings is taken apart by `rtnetlink`.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable

import structlog

from agent.errors import WireError
from agent.inputs import Link
from agent.io.rtnetlink import (
    RTM_DELLINK,
    RTM_NEWLINK,
    RTMGRP_LINK,
    LinkFields,
    RouteMessage,
    link_dump,
    link_fields,
    messages,
)
from agent.values import Mac

log = structlog.get_logger(__name__)

_IFF_UP = 1
_AF_BRIDGE = 7
_MAC_SIZE = 6
_RECEIVE_BUFFER = 1 << 20
_READ_SIZE = 1 << 16

Changed = Callable[[list[Link], list[str]], None]
"""Called with the links that are new or different, and the names of those gone."""


class LinkMonitor:
    """Keeps `links` (by name) equal to the kernel's and reports each difference."""

    def __init__(self, changed: Changed) -> None:
        self.links: dict[str, Link] = {}
        self.listed = asyncio.Event()
        """Set once all links that exist at the start are known."""
        self._changed = changed
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.bind((0, RTMGRP_LINK))
        self._sequence = 0
        self._seen: set[str] | None = None  # while a dump runs: the names in it
        self._again = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Ask for all links and follow their changes on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._dump()

    def close(self) -> None:
        """Stop and free the socket."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _dump(self) -> None:
        if self._seen is not None:  # the kernel refuses a second dump beside the first
            self._again = True
            return
        self._sequence += 1
        self._seen = set()
        self._socket.send(link_dump(self._sequence))

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._dump()  # the kernel dropped events: only a new dump tells what is there
            return
        try:
            self._apply(list(messages(data)))
        except WireError as error:
            log.error("links not understood", reason=str(error))

    def _apply(self, told: Iterable[RouteMessage]) -> None:
        changed: dict[str, Link] = {}
        gone: dict[str, None] = {}
        for message in told:
            if message.type in (RTM_NEWLINK, RTM_DELLINK):
                self._one(message, changed, gone)
            elif self._answers(message):
                self._dumped(changed, gone)
        if changed or gone:
            self._changed(list(changed.values()), list(gone))
        if self._seen is None:
            self.listed.set()

    def _one(self, message: RouteMessage, changed: dict[str, Link], gone: dict[str, None]) -> None:
        link = _link(link_fields(message.body))
        if link is None:
            return
        there = message.type == RTM_NEWLINK
        if self._seen is not None and there and self._answers(message):
            self._seen.add(link.name)
        for name in [old.name for old in self.links.values() if old.index == link.index]:
            if name != link.name:  # renamed
                self._forget(name, changed, gone)
        if not there:
            self._forget(link.name, changed, gone)
        elif self.links.get(link.name) != link:
            self.links[link.name] = changed[link.name] = link
            gone.pop(link.name, None)

    def _forget(self, name: str, changed: dict[str, Link], gone: dict[str, None]) -> None:
        if self.links.pop(name, None) is not None:
            gone[name] = None
        changed.pop(name, None)

    def _dumped(self, changed: dict[str, Link], gone: dict[str, None]) -> None:
        if self._seen is None:
            return
        for name in set(self.links) - self._seen:
            self._forget(name, changed, gone)
        self._seen = None
        if self._again:
            self._again = False
            self._dump()

    def _answers(self, message: RouteMessage) -> bool:
        """Whether it belongs to our dump; an event that waited before it says nothing of it."""
        return message.sequence == self._sequence


def _link(told: LinkFields) -> Link | None:
    """A message as a Link; None for interfaces without an Ethernet address.

    None also for what tells that a link becomes or ceases to be a port of a bridge: it stays.
    """
    if told.family == _AF_BRIDGE or not told.name or len(told.address) != _MAC_SIZE:
        return None
    return Link(told.name, told.number, Mac(told.address), bool(told.flags & _IFF_UP))
