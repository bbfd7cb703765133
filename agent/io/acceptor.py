"""Takes the connections of a listening socket, within bounds that also hold before TLS stands."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from ssl import SSLContext

from agent.io.rates import network

HANDSHAKE_SECONDS = 10.0
"""How long a client may take until TLS stands."""
_PAUSE = 0.1
"""Seconds of rest when the process has no descriptor left."""

Make = Callable[[Callable[[], None], bool], asyncio.Protocol]
"""Makes a protocol from what it calls when its connection is gone, and whether it is refused."""


class Acceptor:
    """At most `most` connections at once, `most_of_peer` of one address beyond this host,
    or one /64 of IPv6.

    One too many is handed to a protocol that refuses it; with TLS it is closed, since to say
    anything would cost a handshake. `context` is asked for at each connection.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Make,
        context: Callable[[], SSLContext | None],
        most: int,
        most_of_peer: int,
    ) -> None:
        self._listener = listener
        self._make = make
        self._context = context
        self._most = most
        self._most_of_peer = most_of_peer
        self._peers: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._joining: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._accept(), name="accept")

    def close(self) -> None:
        """Take no more, and give up who has not come in yet."""
        for task in (self._task, *self._joining):
            if task is not None:
                task.cancel()

    async def wait_closed(self) -> None:
        """Return when that is done."""
        tasks = [task for task in (self._task, *self._joining) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener)
            except ConnectionError:  # it was gone before it was taken
                continue
            except OSError:
                await asyncio.sleep(_PAUSE)
                continue
            task = loop.create_task(self._join(connection, address[0]))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    async def _join(self, connection: socket.socket, peer: str) -> None:
        context = self._context()
        key = network(peer)
        refused = self._peers.total() >= self._most or (
            self._peers[key] >= self._most_of_peer and not ip_address(peer).is_loopback
        )
        if refused and context is not None:
            connection.close()
            return
        leave = self._enter(key)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._make(leave, refused),
                connection,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if context is not None else None,
            )
        except BaseException as error:
            leave()
            connection.close()
            if not isinstance(error, (OSError, EOFError)):  # what a client can do wrong
                raise

    def _enter(self, peer: str) -> Callable[[], None]:
        """Count a connection; what is returned counts it no more, once."""
        self._peers[peer] += 1
        callback = contextlib.ExitStack()
        callback.callback(self._left, peer)
        return callback.close

    def _left(self, peer: str) -> None:
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]
