"""The control socket: frames of several clients in, replies out, nobody waits for another.

One request of a client is executed at a time; all its answers are queued before the
next is looked at. Requests for flows, of which there are very many, go from the bytes that
were read straight to their answers, a stretch of them in one call. A client whose replies
pile up is not read from until it takes them; one that does not take them in time, or that
needs more than the limit, is closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import cast

from agent.errors import WireError
from agent.forwarder import rundir
from agent.forwarder.replies import Replies
from agent.sandesh.framing import GENL_ID_CTRL, FrameReader, reply_frame

log = logging.getLogger(__name__)

MAX_CLIENTS = 63
MAX_OUTPUT = 8 << 20
"""Bytes of replies that one client may leave unread."""
PAUSE_ABOVE = 256 << 10
STALL_SECONDS = 30.0
FLOW_ROOM = 64 << 10
"""Bytes of replies to flow requests that are made in one call."""
_SO_PEERGROUPS = 59
_MOST_GROUPS = 256
_UNTYPED_HEADERS = 8
"""Generic netlink and attribute header, which frames of a low type carry all the same."""

Answer = Callable[[bytes], Replies]
ServeFlows = Callable[[bytearray, int], tuple[int, bytes]]
"""Executes the flow requests that bytes start with; at most so many bytes of replies. Returns
how many bytes they were, and the replies."""


def no_flows(frames: bytearray, room: int) -> tuple[int, bytes]:
    """For a server whose `answer` gets everything."""
    return 0, b""


class Session(asyncio.Protocol):
    """One client."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=PAUSE_ABOVE)
        refusal = self._server.admit(self, transport.get_extra_info("socket"))
        if refusal:
            log.warning("client refused: %s", refusal)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._transport = None
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._serve()

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()
            loop = asyncio.get_running_loop()
            self._stalled = loop.call_later(STALL_SECONDS, self._drop, "takes no replies")

    def resume_writing(self) -> None:
        self._disarm()
        if self._transport is not None:
            self._transport.resume_reading()
            self._serve()

    def abort(self) -> None:
        """Close at once, replies that were not taken are lost."""
        if self._transport is not None:
            self._transport.abort()

    def _disarm(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _drop(self, why: str) -> None:
        log.warning("client closed: %s", why)
        self.abort()

    def _serve(self) -> None:
        try:
            while self._takes_replies():
                if self._serve_flows():
                    continue
                frame = self._reader.next_frame()
                if frame is None:
                    return
                payload = frame.payload
                if frame.type <= GENL_ID_CTRL:
                    payload = payload[_UNTYPED_HEADERS:]
                self._reply(frame.type, frame.seq, self._server.answer(payload))
        except WireError as error:
            self._drop(str(error))

    def _takes_replies(self) -> bool:
        return self._stalled is None and self._transport is not None

    def _serve_flows(self) -> bool:
        """Answer the flow requests that come next; False when there are none."""
        used, replies = self._server.flows(self._reader.waiting, FLOW_ROOM)
        self._reader.skip(used)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(replies)
        return used > 0

    def _reply(self, family: int, seq: int, replies: Replies) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        last = len(replies) - 1
        # Not writelines, which in some releases of asyncio fails with no line and stalls nobody.
        transport.write(
            b"".join(
                reply_frame(payload, family=family, seq=seq, more=position < last)
                for position, payload in enumerate(replies)
            )
        )
        if transport.get_write_buffer_size() > MAX_OUTPUT:
            self._drop(f"{transport.get_write_buffer_size()} bytes of replies not taken")


class ControlServer:
    """Listens on a path and serves requests with `answer`; `greet` is told of each new client.

    `flows` sees the bytes first and answers what it can. Clients are root, our own user, or
    members of `group`.
    """

    def __init__(
        self,
        path: Path,
        answer: Answer,
        greet: Callable[[], None] = lambda: None,
        flows: ServeFlows = no_flows,
        group: int | None = None,
    ) -> None:
        self.answer = answer
        self.flows = flows
        self._greet = greet
        self._path = path
        self._group = group
        self._sessions: set[Session] = set()
        self._listener: asyncio.Server | None = None

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._sessions)

    async def start(self) -> None:
        """Bind the socket (0660, replacing one that a dead process left) and listen."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        rundir.remove(self._path)
        listener.bind(os.fspath(self._path))
        os.chmod(self._path, rundir.SOCKET_MODE)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(
            lambda: Session(self), sock=listener, backlog=MAX_CLIENTS
        )

    async def stop(self) -> None:
        """Close the socket and every client, and remove the path."""
        if self._listener is not None:
            self._listener.close()
        for session in list(self._sessions):
            session.abort()
        if self._listener is not None:
            await self._listener.wait_closed()
        rundir.remove(self._path)

    def admit(self, session: Session, peer: socket.socket) -> str:
        """Take a new client in; else the reason why not."""
        if len(self._sessions) >= MAX_CLIENTS:
            return f"there are {MAX_CLIENTS} already"
        uid = _peer_uid(peer)
        if uid not in (0, os.geteuid()) and self._group not in _peer_groups(peer):
            return f"it runs as user {uid}"
        self._sessions.add(session)
        self._greet()
        return ""

    def left(self, session: Session) -> None:
        """A client has gone."""
        self._sessions.discard(session)


def _peer_uid(peer: socket.socket) -> int:
    _, uid, _ = struct.unpack("3i", _option(peer, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def _peer_groups(peer: socket.socket) -> frozenset[int]:
    """The group of a client and the further ones, as of when it connected."""
    _, _, first = struct.unpack("3i", _option(peer, socket.SO_PEERCRED, struct.calcsize("3i")))
    try:
        raw = _option(peer, _SO_PEERGROUPS, _MOST_GROUPS * 4)
    except OSError:  # more than a list of a sane length, or none are told
        raw = b""
    return frozenset({first, *struct.unpack(f"{len(raw) // 4}I", raw)})


def _option(peer: socket.socket, option: int, size: int) -> bytes:
    return peer.getsockopt(socket.SOL_SOCKET, option, size)
