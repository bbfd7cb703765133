"""The host's network interfaces, as rtnetlink reports them.

A raw non-blocking socket on the loop: pyroute2's own asynchronous sockets do not run
under uvloop (facts libraries.md 4), its message parser does.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from pyroute2.netlink.marshal import Marshal
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from agent.inputs import Link
from agent.io.netlink_sockets import widen
from agent.sandesh.framing import NLMSG_ERROR
from agent.values import Mac

_RTMGRP_LINK = 1
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_REQUEST_DUMP = 0x301
_IFF_UP = 1
_AF_BRIDGE = 7
_RECEIVE_BUFFER = 1 << 20
_READ_SIZE = 1 << 16
_AGAIN_SECONDS = 0.2

Changed = Callable[[list[Link], list[str]], None]
"""Called with the links that are new or different, and the names of those gone."""


class _Marshal(Marshal):  # type: ignore[misc]
    """Reads messages about links, which are all that the socket gets."""

    msg_map: ClassVar[Mapping[int, type[ifinfmsg]]] = {
        _RTM_NEWLINK: ifinfmsg,
        _RTM_DELLINK: ifinfmsg,
    }


class LinkMonitor:
    """Keeps `links` (by name) equal to the kernel's and reports each difference."""

    def __init__(self, changed: Changed) -> None:
        self.links: dict[str, Link] = {}
        self.listed = asyncio.Event()
        """Set once all links that exist at the start are known."""
        self._changed = changed
        self._marshal = _Marshal()
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        widen(self._socket, _RECEIVE_BUFFER)
        self._socket.bind((0, _RTMGRP_LINK))
        self._sequence = 0
        self._seen: set[str] | None = None  # while a dump runs: the names in it
        self._again = False
        self._retry: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Ask for all links and follow their changes on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._dump()

    def close(self) -> None:
        """Stop and free the socket."""
        if self._retry is not None:
            self._retry.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _watch_again(self) -> None:
        """uvloop watches a descriptor no more that had an error pending."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.add_reader(self._socket.fileno(), self._readable)

    def _dump(self) -> None:
        if self._seen is not None:  # the kernel refuses a second dump beside the first
            self._again = True
            return
        self._sequence += 1
        self._seen = set()
        request = struct.pack(
            "=IHHII16x", 32, _RTM_GETLINK, _REQUEST_DUMP, self._sequence, 0
        )  # nlmsghdr and an empty ifinfomsg
        self._socket.send(request)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._watch_again()
            self._dump()  # the kernel dropped events: only a new dump tells what is there
            return
        self._apply(self._marshal.parse(data))

    def _apply(self, messages: Iterable[ifinfmsg]) -> None:
        changed: dict[str, Link] = {}
        gone: dict[str, None] = {}
        for message in messages:
            kind = message["header"]["type"]
            if kind in (_RTM_NEWLINK, _RTM_DELLINK):
                self._one(message, kind == _RTM_NEWLINK, changed, gone)
            elif self._answers(message):
                if kind == NLMSG_ERROR:
                    self._refused()
                else:
                    self._dumped(changed, gone)
        if changed or gone:
            self._changed(list(changed.values()), list(gone))
        if self._seen is None:
            self.listed.set()

    def _one(
        self, message: ifinfmsg, there: bool, changed: dict[str, Link], gone: dict[str, None]
    ) -> None:
        link = _link(message)
        if link is None:
            return
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

    def _refused(self) -> None:
        """There was no room for the dump, or another one is under way: soon ask again."""
        if self._retry is None and self._loop is not None:
            self._retry = self._loop.call_later(_AGAIN_SECONDS, self._ask_again)

    def _ask_again(self) -> None:
        self._retry = self._seen = None
        self._dump()

    def _dumped(self, changed: dict[str, Link], gone: dict[str, None]) -> None:
        if self._seen is None:
            return
        for name in set(self.links) - self._seen:
            self._forget(name, changed, gone)
        self._seen = None
        if self._again:
            self._again = False
            self._dump()

    def _answers(self, message: ifinfmsg) -> bool:
        """Whether it belongs to our dump; an event that waited before it says nothing of it."""
        return bool(message["header"]["sequence_number"] == self._sequence)


def _link(message: ifinfmsg) -> Link | None:
    """A message as a Link; None for interfaces without an Ethernet address.

    None also for what tells that a link becomes or ceases to be a port of a bridge: it stays.
    """
    if message["family"] == _AF_BRIDGE:
        return None
    name = message.get_attr("IFLA_IFNAME")
    address = message.get_attr("IFLA_ADDRESS")
    if not isinstance(name, str) or not isinstance(address, str) or address.count(":") != 5:
        return None
    return Link(name, message["index"], Mac.parse(address), bool(message["flags"] & _IFF_UP))
