"""A port API on a real socket, and requests to it byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake.rest_server import RestServer, rest_server

U = "11111111-2222-3333-4444-555555555555"
M = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
N = "99999999-8888-7777-6666-555555555555"
PROJECT = "b02a3bfb-7946-4b1c-8cc4-bf8cedcbc48d"
PORT: dict[str, Any] = {
    "id": U, "instance-id": M, "ip-address": "10.1.1.3", "ip6-address": "None", "vn-id": N,
    "display-name": "web 01", "vm-project-id": PROJECT, "mac-address": "02:11:22:33:44:55",
    "system-name": "tap11111111-22", "type": 0, "rx-vlan-id": -1, "tx-vlan-id": -1,
    "vhostuser-mode": 0,
}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestServer]:
    with rest_server(tmp_path / "ports") as running:
        yield running


def exchange(server: RestServer, data: bytes, *, half_close: bool = False) -> bytes:
    """Send raw bytes, return everything until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(data)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    pieces = []
    while piece := client.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def head(server: RestServer, request: str, *headers: str) -> bytes:
    lines = [request, f"Host: localhost:{server.port}", *headers, "", ""]
    return "\r\n".join(lines).encode()
