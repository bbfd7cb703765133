"""The other end of a netlink socket: a process of the user's in the kernel's place."""

from __future__ import annotations

import socket
import struct

import pytest

from agent.io import netlink_sockets
from agent.sandesh.genetlink import family_description, refusal_frame

FAMILY = 32


class Peer:
    """A bound socket that answers when it is told to."""

    def __init__(self, receive_buffer: int = 1 << 20) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_sockets.GENERIC)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((0, 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[0]

    def take(self) -> tuple[bytes, tuple[int, int]]:
        """A datagram that is there, and its sender."""
        data, sender = self.socket.recvfrom(1 << 17)
        return data, sender

    def describe(self, number: int = FAMILY) -> bytes:
        """Answer the question for the family; the question."""
        data, sender = self.take()
        seq = struct.unpack_from("=I", data, 8)[0]
        described = family_description(number, 9, seq=seq, pid=sender[0])
        self.socket.sendto(described, sender)
        return data

    def refuse(self, errno: int) -> None:
        """Refuse what is there."""
        data, sender = self.take()
        self.socket.sendto(refusal_frame(errno, data, pid=sender[0]), sender)

    def close(self) -> None:
        self.socket.close()


def needs_netlink_between_processes() -> None:
    """Skip where it is not allowed."""
    peer = Peer()
    try:
        with netlink_sockets.connect(netlink_sockets.GENERIC, peer.port) as trial:
            trial.send(bytes(16))
    except PermissionError:
        pytest.skip("netlink between processes needs CAP_NET_ADMIN")
    finally:
        peer.close()
