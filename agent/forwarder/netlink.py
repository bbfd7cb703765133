"""The module's generic netlink family, served by a process at a port id of its own.

Frames, ends of replies, refusals and silences are those of the kernel module (facts
kernel-datapath.md, sandesh-ksync.md 3.3), over real netlink sockets. As in the kernel, a reply
that finds no room in its receiver's buffer is lost. Only a process with CAP_NET_ADMIN can send
to another one, so nobody is let in who could not use the module.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from agent.errors import SandeshError, WireError
from agent.forwarder import rundir
from agent.forwarder.replies import Replies
from agent.sandesh.framing import (
    GENL_ID_CTRL,
    HEADER_SIZE,
    NL_ATTR_VR_MESSAGE_PROTOCOL,
    NLM_F_REQUEST,
    SANDESH_REQUEST,
    announcement_frame,
    kernel_reply_frames,
)
from agent.sandesh.genetlink import (
    FAMILY_NAME,
    family_asked,
    family_description,
    refusal_frame,
    split_datagram,
)
from agent.sandesh.vrouter import SandeshOp, VrRouteReq, iter_messages

log = logging.getLogger(__name__)

FAMILY = 32
GROUP = 9
"""The numbers that the module had where it was recorded; the kernel gives others each time."""
RECEIVE_BUFFER = 8 << 20
_GENERIC = 16
_SO_RCVBUFFORCE = 33
_READ_SIZE = 1 << 17
_DATAGRAMS_A_TURN = 64
_CLIENTS = 1024
_HEADER = struct.Struct("=IHHIIBBHHH")
_NETLINK = struct.Struct("=IHHII")
_ROUTE = b"\0\0\0\x0cvr_route_req"
_CHANGES = (SandeshOp.ADD, SandeshOp.DEL)
_CODE = slice(25, 29)
"""Where a vr_response has its code."""

Answer = Callable[[bytes], Replies]


class NetlinkServer:
    """Serves requests with `answer`; `greet` is told of each client that asks for the family.

    The port id is in the file `port_file` while it serves. `lost`: replies without room.
    """

    def __init__(
        self,
        port_file: Path,
        answer: Answer,
        greet: Callable[[], None] = lambda: None,
        *,
        family: int = FAMILY,
        receive_buffer: int = RECEIVE_BUFFER,
    ) -> None:
        self.lost = 0
        self._file = port_file
        self._answer = answer
        self._greet = greet
        self._family = family
        self._receive_buffer = receive_buffer
        self._clients: set[int] = set()
        self._socket: socket.socket | None = None

    async def start(self) -> None:
        """Take a port id and tell it. OSError."""
        made = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            _GENERIC,
        )
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        with contextlib.suppress(PermissionError):
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, self._receive_buffer)
        made.bind((0, 0))
        self._socket = made
        asyncio.get_running_loop().add_reader(made, self._readable)
        _write(self._file, f"{self.port}\n")
        log.info("netlink port %d, family %d", self.port, self._family)

    async def stop(self) -> None:
        """Give the port id back."""
        rundir.remove(self._file)
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    @property
    def port(self) -> int:
        """The port id while it serves."""
        assert self._socket is not None
        return int(self._socket.getsockname()[0])

    def _readable(self) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            if self._socket is None:
                return
            try:
                data, (sender, _) = self._socket.recvfrom(_READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            try:
                for message in split_datagram(data):
                    self._one(message, sender)
            except WireError as problem:
                log.warning("client %d: %s", sender, problem)

    def _one(self, message: bytes, sender: int) -> None:
        _, kind, flags, _, _ = _NETLINK.unpack_from(message)
        if kind < GENL_ID_CTRL or not flags & NLM_F_REQUEST:
            return
        if kind == GENL_ID_CTRL:
            self._describe(message, sender)
        elif kind != self._family:
            self._refuse(errno.ENOENT, message, sender)
        else:
            self._request(message, sender)

    def _describe(self, message: bytes, sender: int) -> None:
        if family_asked(message[_NETLINK.size :]) != FAMILY_NAME:
            self._refuse(errno.ENOENT, message, sender)
            return
        seq = _NETLINK.unpack_from(message)[3]
        self._send(family_description(self._family, GROUP, seq=seq, pid=sender), sender)
        if sender not in self._clients:
            if len(self._clients) >= _CLIENTS:
                self._clients.clear()
            self._clients.add(sender)
            self._greet()

    def _request(self, message: bytes, sender: int) -> None:
        if len(message) < HEADER_SIZE:
            self._refuse(errno.EINVAL, message, sender)
            return
        _, _, _, seq, _, command, _, _, size, kind = _HEADER.unpack_from(message)
        room = len(message) - HEADER_SIZE
        if command != SANDESH_REQUEST:
            self._refuse(errno.EOPNOTSUPP, message, sender)
        elif kind != NL_ATTR_VR_MESSAGE_PROTOCOL or not 4 <= size <= room + 4:
            self._refuse(errno.EINVAL, message, sender)
        else:
            payload = message[HEADER_SIZE : HEADER_SIZE - 4 + size]
            self._reply(self._answer(payload), payload, seq, sender)

    def _reply(self, replies: Replies, payload: bytes, seq: int, sender: int) -> None:
        announced = _announced(payload, replies) if _ROUTE in payload else []
        for frame in kernel_reply_frames(
            replies, family=self._family, seq=seq, pid=sender, multi=bool(announced)
        ):
            self._send(frame, sender)
        for told in announced:
            self._announce(announcement_frame(told, family=self._family))

    def _refuse(self, number: int, message: bytes, sender: int) -> None:
        self._send(refusal_frame(number, message, pid=sender), sender)

    def _announce(self, frame: bytes) -> None:
        """Tell whoever listens. A group is told beside a port id: our own, which passes it over."""
        assert self._socket is not None
        with contextlib.suppress(OSError):
            self._socket.sendto(frame, (self.port, 1 << (GROUP - 1)))

    def _send(self, frame: bytes, sender: int) -> None:
        assert self._socket is not None
        try:
            self._socket.sendto(frame, (sender, 0))
        except BlockingIOError:
            self.lost += 1
        except OSError:  # it has gone
            self._clients.discard(sender)


def _announced(payload: bytes, replies: Replies) -> list[bytes]:
    """What a request for routes and its replies have the group told: each change that was made."""
    try:
        requests = list(iter_messages(payload))
    except SandeshError:
        return []
    if len(requests) != len(replies):
        return []
    return [
        reply + request.encode()
        for request, reply in zip(requests, replies, strict=True)
        if isinstance(request, VrRouteReq) and request.h_op in _CHANGES and _accepted(reply)
    ]


def _accepted(reply: bytes) -> bool:
    return int.from_bytes(reply[_CODE], "big", signed=True) >= 0


def _write(path: Path, text: str) -> None:
    """The file appears with its text."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.rename(path)
