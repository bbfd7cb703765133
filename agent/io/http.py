"""An HTTP server as a task of the running loop: uvicorn with httptools, within bounds.

uvicorn by itself waits for ever for the rest of a request and takes over the process's
signals; both are changed here. Used for every HTTP port of the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, cast

from httptools import HttpParserError
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import Server

from agent.errors import ConfigError
from agent.io.acceptor import Acceptor
from agent.io.doors import Door
from agent.io.guard import CERTIFIED

_BACKLOG = 256
_GRACE = 2
_FIELD = 32
"""Bytes that a header counts more than it has."""
_PEER_SHARE = 2
"""An address beyond this host has at most one of so many parts of all connections."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a server: seconds and bytes.

    `request` seconds may pass from a connection or a request's first byte to its last byte;
    `idle` seconds between requests. `max_request` bytes cover a request with its headers,
    `max_head` those before the body, and trailers after it. `unread` seconds may pass while a
    client reads nothing of an answer that waits for it.
    """

    connections: int = 256
    request: float = 30.0
    idle: float = 75.0
    unread: float = 60.0
    max_request: int = 64 << 20
    max_head: int = 64 << 10


class _Config(Config):
    """uvicorn's configuration with our limits, where the protocol finds them."""

    limits = Limits()
    door = Door()


class _Protocol(HttpToolsProtocol):
    """One connection, with a deadline and a size for each request."""

    config: _Config
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _size = 0
    _fields = 0
    _in_body = False
    _certified = False

    def __init__(
        self, config: _Config, server_state: Any, gone: Callable[[], None], refused: bool
    ) -> None:
        """`gone` is called when the connection is; a `refused` one is told so and closed."""
        super().__init__(config=config, server_state=server_state, app_state={})
        self._gone = gone
        self._refused = refused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._certified = bool(transport.get_extra_info("peercert"))
        if self._refused:
            self._refuse(503, "Too many connections")
        else:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
        self._disarm()
        self._read_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.config.limits.unread, self._too_slow)

    def resume_writing(self) -> None:
        self._read_on()
        super().resume_writing()

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def data_received(self, data: bytes) -> None:
        limits = self.config.limits
        # What came before: this piece may hold the end of the headers and much of the body.
        endless = not self._in_body and self._size > limits.max_head
        self._size += len(data)
        if endless:
            self._refuse(431, "The headers of the request are too long")
        elif self._size > limits.max_request:
            self._refuse(413, "The request is too long")
        else:
            super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that closes its sending half still gets the answer to what it sent, if whole."""
        if self._in_body or self.cycle is None or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[CERTIFIED] = self._certified
        self._size = self._fields = 0
        if self._deadline is None:
            self._arm()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of headers and trailers, which uvicorn keeps all; HttpParserError ends the request."""
        self._fields += len(name) + len(value) + _FIELD
        if self._fields > self.config.limits.max_head:
            raise HttpParserError("too many header fields")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._size = 0
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "Malformed HTTP request")

    def shutdown(self) -> None:
        """The server ends: nobody waits for the rest of a request."""
        if self._in_body:
            self.transport.abort()
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()

    def _refuse(self, status: int, text: str) -> None:
        body = b'{"error":"%s"}' % text.encode()
        self.transport.write(
            STATUS_LINE[status] + b"Content-Type: application/json; charset=UTF-8\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
        )
        self.transport.close()

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(self.config.limits.request, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self.transport.abort()


class _Server(Server):
    """uvicorn's server without its hold on SIGINT and SIGTERM."""

    def __init__(self, config: _Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()
        self._ended = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections ourselves: uvicorn counts none that still negotiate TLS."""
        config = cast(_Config, self.config)
        (listener,) = sockets or []
        acceptor = Acceptor(
            listener,
            lambda gone, refused: _Protocol(config, self.server_state, gone, refused),
            lambda: config.door.context,
            config.limits.connections,
            config.limits.connections // _PEER_SHARE,
        )
        acceptor.start()
        self.servers = cast(list[asyncio.base_events.Server], [acceptor])
        self.started = True
        self.serving.set()

    async def main_loop(self) -> None:
        """uvicorn's own wakes up ten times a second to look whether it shall end."""
        await self.on_tick(0)
        await self._ended.wait()

    def end(self) -> None:
        """Let `serve` return, once the requests that are being answered are finished."""
        self.should_exit = True
        self._ended.set()

    def abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class HttpServer:
    """Serves an ASGI application on one TCP address of the running loop, with TLS or without."""

    def __init__(self, app: Any, door: Door, limits: Limits | None = None) -> None:
        """The door's `host` is an IP address; port 0 lets the kernel choose."""
        config = _Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            loop="none",
            interface="asgi3",
            log_config=None,
            log_level="error",  # what clients send wrong is answered, it is nothing for the log
            access_log=False,
            proxy_headers=False,
            date_header=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE,
        )
        config.limits = limits or Limits()
        config.door = door
        config.timeout_keep_alive = config.limits.idle  # type: ignore[assignment]
        self._server = _Server(config)
        self._address = (door.host, door.port)
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The TCP port in use, once `listen` was called."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    def listen(self) -> None:
        """Open the socket: clients may connect and wait. ConfigError when it is not possible."""
        host, port = self._address
        try:
            version = ip_address(host).version
            family = socket.AF_INET if version == 4 else socket.AF_INET6
            self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except (ValueError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not an IP address"
            raise ConfigError(f"HTTP server on {host} port {port}: {reason}") from None
        self._socket.setblocking(False)

    async def start(self) -> None:
        """Answer requests from now on."""
        if self._socket is None:
            self.listen()
        assert self._socket is not None
        self._task = asyncio.create_task(self._server.serve([self._socket]), name="http-server")
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """Finish the requests that are being answered, within two seconds, and close all."""
        if self._task is not None:
            self._server.end()
            await self._task
            self._server.abort_connections()
            self._task = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
