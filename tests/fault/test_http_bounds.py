"""Requests that are made to take the agent's memory or time, on real sockets of the port API."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import falcon.asgi
import pytest

from agent.io.http import Limits
from agent.rest import bodies
from agent.rest.bodies import ARRIVING, SMALL, Bodies
from tests.fake.rest_server import RestServer, rest_server

START = b"POST /port HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
TIMEOUT = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestServer]:
    with rest_server(tmp_path) as running:
        yield running


def connected(server: RestServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), TIMEOUT)


def answer(client: socket.socket) -> bytes:
    """What comes until the server closes; nothing where it has cut the connection."""
    pieces = []
    try:
        while piece := client.recv(65536):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


# Headers


@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (START, b"a:b\r\n"),
        (START + b"X: ", b"x"),
        (START, b"x"),
        (b"GET /", b"x"),
        (CHUNKED + b"0\r\n", b"a:b\r\n"),
    ],
    ids=["many headers", "a long header", "a long name", "a long path", "trailers"],
)
def test_endless_headers_are_cut_off_early(
    server: RestServer, start: bytes, endless: bytes
) -> None:
    with connected(server) as client:
        client.sendall(start)
        with pytest.raises(ConnectionError):
            client.sendall(endless * (32_000_000 // len(endless)))
        assert answer(client)[:10] in (b"HTTP/1.1 4", b"")
    assert server.request("GET", "/x").status == 404


def test_long_headers_that_browsers_send_are_fine(server: RestServer) -> None:
    cookies = {f"Cookie-{at}": "x" * 4000 for at in range(12)}
    assert server.request("GET", "/x", headers=cookies).status == 404
    assert server.request("POST", "/port", raw=b"x" * 100_000, headers=cookies).status == 500


def test_each_request_of_a_connection_has_its_own_share(tmp_path: Path) -> None:
    one = START + b"X: " + b"x" * 900 + b"\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
    with (
        rest_server(tmp_path, limits=Limits(max_head=2048, max_request=4096)) as server,
        connected(server) as client,
    ):
        for _ in range(10):
            client.sendall(one)
            told = b""
            while not told.endswith(b'"}'):
                told += client.recv(65536)
            assert told.startswith(b"HTTP/1.1 500 ")


# Bodies


def test_long_bodies_have_bounded_room_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that never end keep others out, but for the small ones that everybody sends."""
    monkeypatch.setattr(bodies, "ROOM", 1 << 20)
    with rest_server(tmp_path) as server:
        waiting = [connected(server) for _ in range(2)]
        for client in waiting:
            client.sendall(START + b"Content-Length: 700000\r\n\r\n" + b"x" * 600_000)
        (refused, *_), _, _ = select.select(waiting, [], [], TIMEOUT)
        told = answer(refused)
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b"Too many long requests at once" in told
        assert server.request("POST", "/port", raw=b"x" * SMALL).status == 500
        for client in waiting:
            client.close()
        # Room is given back once the loop has seen that the client is gone.
        found = (server.request("POST", "/port", raw=b"x" * 900_000).status for _ in range(200))
        assert 500 in found


@pytest.mark.parametrize("size", [SMALL, 1 << 20])
@pytest.mark.parametrize("deep", [b"[", b'{"a":', b'[{"a":['])
def test_deep_json_is_refused_as_any_other(server: RestServer, deep: bytes, size: int) -> None:
    told = server.request("POST", "/port", raw=deep * (size // len(deep)))
    assert told.status == 500
    assert told.json["error"].startswith("{ Invalid Json string ==> ")


class Stream:
    """Of a request: its pieces as they come."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


def request(*pieces: bytes) -> falcon.asgi.Request:
    """A whole one."""
    scope = {ARRIVING: SimpleNamespace(whole=True)}
    return cast(falcon.asgi.Request, SimpleNamespace(stream=Stream(*pieces), scope=scope))


async def test_the_loop_goes_on_while_a_long_body_is_read() -> None:
    turned, loop = threading.Event(), asyncio.get_running_loop()

    def reader(body: bytes) -> int:
        loop.call_soon_threadsafe(turned.set)
        assert turned.wait(TIMEOUT), "the loop stands"
        return len(body)

    assert await Bodies(1 << 20).read(request(b"x" * SMALL, b"y"), reader) == SMALL + 1


async def test_long_bodies_are_read_one_after_another() -> None:
    read, together = Bodies(1 << 20).read, []
    inside = threading.Lock()

    def reader(body: bytes) -> None:
        together.append(inside.acquire(blocking=False))
        inside.release()

    await asyncio.gather(*(read(request(b"x" * SMALL * 2), reader) for _ in range(8)))
    assert together == [True] * 8
