"""Sockets in another network namespace, and HTTP over them."""

from __future__ import annotations

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

from cffi import FFI

from agent.lab.errors import LabError

_CLONE_NEWNET = 0x40000000
_ffi = FFI()
_ffi.cdef("int setns(int fd, int nstype);")  # os.setns needs Python 3.12
_libc: Any = _ffi.dlopen(None)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise LabError(f"cannot enter a network namespace: {os.strerror(_ffi.errno)}")


def tcp_socket_in(namespace: Path) -> socket.socket:
    """A TCP socket that belongs to the network namespace held by a file.

    Only the calling thread changes its namespace, and only for the moment.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(target)
        finally:
            os.close(target)
        try:
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            _setns(home)
    finally:
        os.close(home)


def call(
    namespace: Path, port: int, method: str, path: str, body: Any = None, limit: float = 10.0
) -> tuple[int, str]:
    """One HTTP request to 127.0.0.1 in a namespace: status and body.

    Blocking; OSError when nobody answers within `limit` seconds.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port)
    with tcp_socket_in(namespace) as sock:
        sock.settimeout(limit)
        sock.connect(("127.0.0.1", port))
        connection.sock = sock
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
