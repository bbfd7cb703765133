"""Connections to control nodes: slixmpp's streams, carrying bytes for `Controllers`.

Each connection is a slixmpp `XMLStream`: its parser and handlers take the stream's header
and every stanza but route messages, which are cut out of the bytes before (a tree of each
would cost most of the time of a full table). What the control nodes' dialect lacks is
switched off: SASL, binding, slixmpp's own keepalive, reconnection and parting words.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from agent.errors import BugError
from agent.io.peers import TlsFiles, tls_client, why
from agent.settings import Server
from agent.xmpp import Controllers, Event

if TYPE_CHECKING:
    from agent.io.control_stream import ControlStream

EventHandler = Callable[[Sequence[Event]], None]
WHO = "controller"


def tls_context(
    certificate: Path, key: Path, authorities: Path, *, named: bool = False
) -> ssl.SSLContext:
    """TLS as both ends of the dialect want it: each side shows a certificate of the CA.

    With `named` a controller's is for its address. ConfigError names the file that cannot be
    used.
    """
    options = ("xmpp_server_cert", "xmpp_server_key", "xmpp_ca_cert")
    files = TlsFiles(certificate, key, authorities)
    return tls_client(files, "DEFAULT", options, named=named)


class ControlConnections:
    """Keeps the connections that `controllers` asks for.

    `on_events` is called in the loop with the events in order, outside of any call of
    `controllers`, so that it may use it. After changing `controllers` call `kick`.
    `busy` says whether what they told waits to be worked on: nothing more is read then, until
    a `kick` finds it done. So no peer can fill queues, and none waits for another's flood.
    `source` is the address to connect from, `context` is needed where TLS is configured.
    """

    def __init__(
        self,
        controllers: Controllers,
        on_events: EventHandler,
        *,
        busy: Callable[[], bool] = lambda: False,
        source: IPv4Address | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._controllers = controllers
        self._on_events = on_events
        self._busy = busy
        self._source = (str(source), 0) if source else None
        self._context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._streams: dict[Server, ControlStream] = {}
        self._dialling: dict[Server, tuple[int, asyncio.Task[None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wake: asyncio.Handle | None = None
        self._running = False

    def secure(self, context: ssl.SSLContext) -> None:
        """Use these certificates for connections made from now on."""
        self._context = context

    def start(self) -> None:
        """Begin to connect; needs a running loop. BugError when started twice."""
        if self._running:
            raise BugError("the control connections are started already")
        self._running = True
        self.kick()

    async def close(self) -> None:
        """Disconnect for good; what the controllers said is kept by whoever was told."""
        self._running = False
        for handle in (self._timer, self._wake):
            if handle is not None:
                handle.cancel()
        self._timer = self._wake = None
        tasks = [task for _, task in self._dialling.values()]
        tasks += [stream.securing for stream in self._streams.values() if stream.securing]
        for task in tasks:
            task.cancel()
        for stream in self._streams.values():
            stream.abort()
        self._streams.clear()
        self._dialling.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    def kick(self) -> None:
        """Soon do what the controllers ask for."""
        if self._wake is None and self._running:
            self._wake = asyncio.get_running_loop().call_soon(self._pump)

    # What streams tell

    def made(self, stream: ControlStream) -> None:
        """The TCP connection stands."""
        if not self._wanted(stream.server, stream.attempt):
            stream.abort()
            return
        self._streams[stream.server] = stream
        self._controllers.connected(stream.server, self._now())
        self.kick()

    def received(self, stream: ControlStream, data: bytes) -> Iterator[bytes]:
        """Give the controllers the bytes; gives what the stream's parser must see."""
        if self._wanted(stream.server, stream.attempt):
            yield from self._controllers.receive(stream.server, data, self._now())
            self.kick()

    def stanza(self, stream: ControlStream, stanza: Element) -> None:
        """The parser completed a stanza."""
        if self._wanted(stream.server, stream.attempt):
            self._controllers.stanza(stream.server, stanza, self._now())

    def refused(self, stream: ControlStream, reason: str) -> None:
        """The parser refused the bytes, or the handshake failed."""
        if self._wanted(stream.server, stream.attempt):
            self._controllers.fault(stream.server, reason, self._now())
            self.kick()

    def secured(self, stream: ControlStream) -> None:
        """TLS is on, with a peer that the CA vouches for."""
        if self._wanted(stream.server, stream.attempt):
            self._controllers.secured(stream.server, self._now())
            self.kick()

    def lost(self, stream: ControlStream, reason: str) -> None:
        """The connection is gone."""
        if self._streams.get(stream.server) is stream:
            del self._streams[stream.server]
        self._failed(stream.server, stream.attempt, reason)

    def _failed(self, server: Server, attempt: int, reason: str) -> None:
        if self._wanted(server, attempt):
            self._controllers.disconnected(server, self._now(), reason)
            self.kick()

    # What the controllers ask for

    def _pump(self) -> None:
        """Events first, since their handler may want more to be said."""
        self._wake = None
        events = self._controllers.events()
        if events:
            self._on_events(events)
        self._drop_unwanted()
        for server in list(self._controllers.servers):
            attempt = self._controllers.channel(server).attempt
            if server in self._streams:
                self._serve(self._streams[server])
            elif attempt is not None and server not in self._dialling:
                self._begin(server, attempt)
        if self._controllers.has_events:
            self.kick()
        elif not self._busy():
            for stream in self._streams.values():
                stream.read_on()
        self._arm()

    def _drop_unwanted(self) -> None:
        for server, stream in list(self._streams.items()):
            if not self._wanted(server, stream.attempt):
                del self._streams[server]
                stream.abort()
        for server, (attempt, task) in list(self._dialling.items()):
            if not self._wanted(server, attempt):
                del self._dialling[server]
                task.cancel()

    def _serve(self, stream: ControlStream) -> None:
        """Fill the transport until it pauses us or nothing is left."""
        if self._controllers.channel(stream.server).handshake and stream.securing is None:
            stream.secure()
        while stream.writable and stream.is_connected():
            data = self._controllers.data_to_send(stream.server, self._now())
            if not data:
                return
            stream.send_raw(data)

    def _begin(self, server: Server, attempt: int) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._dial(server, attempt), name=f"xmpp {server}")
        self._dialling[server] = (attempt, task)

    async def _dial(self, server: Server, attempt: int) -> None:
        """Connect; the channel's own timer says how long that may take."""
        from agent.io.control_stream import ControlStream

        stream = ControlStream(server, attempt, self, self._context)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: stream, str(server.address), server.port, local_addr=self._source
            )
        except OSError as error:
            self._failed(server, attempt, f"connect: {why(error, WHO)}")
        finally:
            if self._dialling.get(server, (None,))[0] == attempt:
                del self._dialling[server]

    # Time

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._controllers.deadline()
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._controllers.tick(self._now(), self._unread())
        self.kick()

    def _unread(self) -> set[Server]:
        """The servers whose bytes wait: after a long turn of the loop, time alone misleads."""
        poller = select.poll()
        waiting: dict[int, Server] = {}
        for server, stream in self._streams.items():
            number = stream.fileno()
            if number >= 0:
                waiting[number] = server
                poller.register(number, select.POLLIN)
        return {waiting[number] for number, event in poller.poll(0) if event & select.POLLIN}

    def _wanted(self, server: Server, attempt: int) -> bool:
        """Whether this connection is the one that is asked for."""
        return (
            self._running
            and server in self._controllers.servers
            and self._controllers.channel(server).attempt == attempt
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
