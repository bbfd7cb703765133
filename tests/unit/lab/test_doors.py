"""Ways into a host: each connection is a command of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from agent.lab.doors import Door


@pytest.fixture
def door() -> Iterator[Door]:
    opened = Door(socket.create_server(("127.0.0.1", 0)), ["cat"])
    yield opened
    opened.close()


def visit(door: Door) -> socket.socket:
    where = urlsplit(door.url)
    assert where.hostname
    assert where.port
    return socket.create_connection((where.hostname, where.port), timeout=10)


def test_visitors_are_served_side_by_side(door: Door) -> None:
    with visit(door) as first, visit(door) as second:
        second.sendall(b"two")
        assert second.recv(10) == b"two"
        first.sendall(b"one")
        assert first.recv(10) == b"one"


def test_closing_ends_visits(door: Door) -> None:
    with visit(door) as visitor:
        visitor.sendall(b"x")
        assert visitor.recv(10) == b"x"
        door.close()
        assert visitor.recv(10) == b""
    with pytest.raises(ConnectionRefusedError):
        visit(door)


def test_closing_twice_is_nothing_more(door: Door) -> None:
    door.close()
    door.close()
