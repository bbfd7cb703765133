"""Opening netlink sockets. Nothing here waits, and nothing heavy is imported: tools use it too."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

ROUTE, GENERIC = 0, 16
KERNEL = 0
"""The kernel's own port id."""
RECEIVE_BUFFER = 1 << 20
READ_SIZE = 1 << 17
PORT_FILE = "netlink_port"
"""In the run directory of a forwarder that serves netlink: its port id, as decimal digits."""
_SO_RCVBUFFORCE = 33


def connect(
    protocol: int, port: int = KERNEL, receive_buffer: int = RECEIVE_BUFFER
) -> socket.socket:
    """A socket that sends to, and takes answers from, this port id alone. OSError."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    try:
        widen(made, receive_buffer)
        made.bind((0, 0))
        if made.getsockname()[0] == port:  # its owner has gone, and now we have it
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        made.connect((port, 0))
    except OSError:
        made.close()
        raise
    return made


def widen(made: socket.socket, size: int) -> None:
    """A receive buffer of this size, also above the host's limit if we may."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    with contextlib.suppress(PermissionError):
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)


def port_in(file: Path) -> int:
    """The port id that a file tells. OSError, also for what is none."""
    text = file.read_text(errors="replace").strip()
    if not text.isdecimal() or not 0 < int(text) < 1 << 32:
        raise OSError(errno.EINVAL, f"{file}: expected a netlink port id")
    return int(text)
