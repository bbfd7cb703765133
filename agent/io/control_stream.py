"""One connection to a control node: slixmpp's stream, without what the nodes' dialect lacks.

Loaded with the first connection: an agent without controllers does without slixmpp.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any
from xml.etree.ElementTree import Element

from slixmpp.xmlstream import XMLStream
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher.base import MatcherBase

from agent.io.peers import watch_peer, why
from agent.io.xmpp import WHO, ControlConnections
from agent.settings import Server

READ_SIZE = 1 << 16
"""Bytes of a stream that are followed to their end before the next ones are read: some
sixty routes, a millisecond of work."""

PARSED_SIZE = 4 << 20
"""After so many bytes a stream gets a new parser: expat keeps every name that it ever met."""

# It would log every malformed stanza whole; we tell of them ourselves, in a word.
logging.getLogger("slixmpp").setLevel(logging.CRITICAL)


class _AnyStanza(MatcherBase):
    """Matches every stanza: the channel says which it knows."""

    def match(self, xml: Any) -> bool:
        return True


class ControlStream(XMLStream, asyncio.BufferedProtocol):
    """One connection to one server, from TCP connect to loss.

    Reads READ_SIZE bytes, then rests until its owner has room for what follows from them.
    The event loop by itself would read megabytes, from one peer, before anything else.
    """

    def __init__(
        self, server: Server, attempt: int, owner: ControlConnections, context: ssl.SSLContext
    ) -> None:
        super().__init__(ssl_context=context, loop=asyncio.get_running_loop())
        self.server = server
        self.attempt = attempt
        self.writable = True
        self.securing: asyncio.Task[None] | None = None
        self._owner = owner
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._resting: asyncio.Transport | None = None
        self._parsed: list[Element] = []
        self._header = b""
        self._parsed_size = 0
        self.default_ns = "jabber:client"
        self.stream_ns = "http://etherx.jabber.org/streams"
        self.stream_header = ""  # the channel says it, in its turn
        self.stream_footer = ""
        self.default_domain = str(server.address)
        self.whitespace_keepalive = False
        self.register_handler(Callback("stanza", _AnyStanza(None), self._stanza))
        self.add_event_handler("ssl_invalid_chain", self._distrusted)

    def connection_made(self, transport: asyncio.BaseTransport, send_event: bool = True) -> None:
        """The TCP connection stands, or TLS does on top of it."""
        super().connection_made(transport, send_event)
        if self.securing is None:
            watch_peer(transport.get_extra_info("socket"))
            self._owner.made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport puts what it reads."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Let slixmpp's parser see all but what the channel took, in the order of the bytes."""
        self._rest()
        for text in self._owner.received(self, bytes(self._buffer[:nbytes])):
            self._bound_parser(text)
            self.data_received(text)
            parsed, self._parsed = self._parsed, []
            for stanza in parsed:
                self._owner.stanza(self, stanza)

    def _rest(self) -> None:
        """Read no more; TLS may come between this and `read_on`, with a transport of its own."""
        self._resting = self.transport
        if self._resting is not None:
            self._resting.pause_reading()

    def read_on(self) -> None:
        """There is room for what comes next."""
        resting, self._resting = self._resting, None
        if resting is not None:
            resting.resume_reading()

    def _bound_parser(self, text: bytes) -> None:
        """Begin the stream anew for the parser, between two stanzas, when it has read enough."""
        self._parsed_size += len(text)
        if text.startswith(b"<stream:stream"):
            self._header, self._parsed_size = text, 0
        elif self._parsed_size > PARSED_SIZE:
            self._parsed_size = len(text)
            self.init_parser()
            super().data_received(self._header)

    def connection_lost(self, exception: BaseException | None) -> None:
        """The connection is gone, by whichever side."""
        super().connection_lost(exception)
        self._owner.lost(self, why(exception, WHO))

    def pause_writing(self) -> None:
        """The transport has enough."""
        self.writable = False

    def resume_writing(self) -> None:
        """The transport has room again."""
        self.writable = True
        self._owner.kick()

    def disconnect(
        self,
        wait: float | int = 2.0,
        reason: str | None = None,
        ignore_send_queue: bool = False,
    ) -> asyncio.Future[Any]:
        """slixmpp gives up: its parser refused the bytes, or a handshake was cut off."""
        securing = self.securing is not None and not self.securing.done()
        self._owner.refused(self, "TLS handshake cut off" if securing else "malformed XML")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def fileno(self) -> int:
        """The socket's descriptor; negative when there is none."""
        found = self.transport.get_extra_info("socket") if self.transport else None
        return -1 if found is None else int(found.fileno())

    def secure(self) -> None:
        """Begin the TLS handshake."""
        self.securing = asyncio.get_running_loop().create_task(self._secure())

    async def _secure(self) -> None:
        if await self.start_tls():
            self._owner.secured(self)

    def _distrusted(self, error: Any) -> None:
        self._owner.refused(self, why(error, WHO))

    def _stanza(self, stanza: Any) -> None:
        self._parsed.append(stanza.xml)
