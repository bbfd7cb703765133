"""The HTTP of the port API: paths, methods, malformed, slow and endless requests."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from agent.errors import ConfigError
from agent.io.doors import Door
from agent.io.http import HttpServer, Limits
from tests.fake.rest_server import RestServer, rest_server
from tests.system.rest_scene import PORT, M, N, U, exchange, head, read_all, server

__all__ = ["server"]  # the fixture


def test_answer_headers(server: RestServer) -> None:
    raw = exchange(server, head(server, "GET /nothing HTTP/1.1", "Connection: close"))
    assert raw.split(b"\r\n\r\n")[1] == b'{"error":"Unknown Request"}'
    lines = raw.split(b"\r\n\r\n")[0].decode().lower().split("\r\n")
    assert lines[0] == "http/1.1 404 not found"
    assert set(lines[1:]) == {
        "content-type: application/json; charset=utf-8",
        "content-length: 27",
        "connection: close",
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "OPTIONS", "HEAD", "DELETE", "TRACE"])
def test_a_wrong_method_is_an_unknown_request(server: RestServer, method: str) -> None:
    answer = server.request(method, "/syncports")
    assert answer.status == 404
    if method != "HEAD":
        assert answer.text == '{"error":"Unknown Request"}'


@pytest.mark.parametrize(
    "path",
    [
        "/port/",
        f"/port/{U}/",
        f"/port/{M.upper()}",
        f"/port//{U}",
        f"/port%2F{U}",
        f"//port/{U}",
        f"/port/{U}%20",
        f"/port/{U[:-1]}\u0661",
        "/vm/",
        "/port\xe9",
        "*",
    ],
)
def test_paths_match_whole_and_as_sent(server: RestServer, path: str) -> None:
    raw = exchange(server, head(server, f"DELETE {path} HTTP/1.1", "Connection: close"))
    assert raw.split(b" ")[1] in (b"404", b"400")
    assert server.told == []


def test_names_in_paths_are_not_decoded(server: RestServer) -> None:
    server.view.config = {
        "vn": {"fq_name": "a:b"},
        "vm": {"name": "a%20b/c"},
        "vmi": {"uuid": U, "vm": M, "vn": N, "mac": "02:00:00:00:00:01"},
    }
    assert server.request("GET", "/vm-cfg/a%20b/c").json[0]["vn-name"] == "a:b"
    assert server.request("GET", "/vm-cfg/a%2520b/c").status == 404


_START = b"POST /port HTTP/1.1\r\nHost: localhost\r\n"
SMUGGLED = [
    _START + lines.replace(b"|", b"\r\n")
    for lines in (
        b"Content-Length: 4|Transfer-Encoding: chunked||0||GET /x HTTP/1.1||",
        b"Transfer-Encoding: xchunked||0||GET /x HTTP/1.1||",
        b"Transfer-Encoding: chunked, identity||0||GET /x HTTP/1.1||",
        b"Transfer-Encoding : chunked||0||",
        b"Transfer-Encoding: chunked||2|{}GET /x HTTP/1.1||",
        b"Transfer-Encoding: chunked||2\n{}\n0\n\n",
        b"Transfer-Encoding: chunked||fffffffffffffffff|",
        b"Content-Length: +2||{}",
        b"Content-Length: 0x2||{}",
        b"Content-Length: 2, 2||{}",
        b"Content-Length: 2|Content-Length: 2||{}",
        b"X: a| Content-Length: 2||{}",
        b"X: \0||",
    )
]
"""What two readers could take for two different requests (RFC 9112, 11.2)."""


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\nnonsense\r\n\r\n",
        b"\x16\x03\x01\x00\xa5",
        b"POST /port HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /port HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /port HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        *SMUGGLED,
    ],
)
def test_malformed_requests_get_400(
    server: RestServer, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    raw = exchange(server, data)
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert raw.endswith(b'{"error":"Malformed HTTP request"}')
    assert caplog.messages == [], "clients cannot fill the log"


def test_a_websocket_is_an_unknown_request(
    server: RestServer, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    assert exchange(server, upgrade, half_close=True).endswith(b'{"error":"Unknown Request"}')
    assert caplog.messages == []


def test_expect_100_continue(server: RestServer) -> None:
    body = json.dumps(PORT).encode()
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(
            head(
                server,
                "POST /port HTTP/1.1",
                f"Content-Length: {len(body)}",
                "Expect: 100-continue",
                "Connection: close",
            )
        )
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert read_all(client).startswith(b"HTTP/1.1 200 ")


def test_chunked_body(server: RestServer) -> None:
    body = json.dumps(PORT).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, body[at : at + 1]) for at in range(len(body)))
    request = head(server, "POST /port HTTP/1.1", "Transfer-Encoding: chunked", "Connection: close")
    assert exchange(server, request + chunks + b"0\r\n\r\n").endswith(b"{}")
    assert len(server.told) == 1


def test_client_that_closes_its_sending_half(server: RestServer) -> None:
    body = json.dumps(PORT).encode()
    request = head(server, "POST /port HTTP/1.1", f"Content-Length: {len(body)}")
    assert exchange(server, request + body, half_close=True).endswith(b"{}")


def test_one_connection_serves_many_requests_and_pipelines(server: RestServer) -> None:
    request = head(server, f"PUT /enable-port/{U} HTTP/1.1", "Content-Length: 0")
    last = head(server, "GET /last HTTP/1.1", "Connection: close")
    raw = exchange(server, request * 20 + last)
    assert raw.count(b"{Port Not found ") == 20
    assert raw.endswith(b'{"error":"Unknown Request"}')


def test_http_1_0(server: RestServer) -> None:
    assert exchange(server, b"GET / HTTP/1.0\r\n\r\n").endswith(b'{"error":"Unknown Request"}')


def test_a_megabyte_of_ports(server: RestServer) -> None:
    ports = [
        PORT | {"id": f"{number:08x}{U[8:]}", "system-name": f"tap{number}", "filler": "x" * 600}
        for number in range(1, 1001)
    ]
    body = json.dumps(ports).encode()
    assert len(body) > 1_000_000
    assert server.request("POST", "/port", raw=body).status == 200
    assert len(server.told) == 1000
    assert len(list(server.directory.iterdir())) == 1001


def test_too_long_a_body_gets_413(server: RestServer) -> None:
    answer = server.request("POST", "/port", raw=b"x" * (5 << 20))
    assert answer.status == 413
    assert "4194304" in answer.json["error"]
    assert server.request("GET", "/x").status == 404


def test_an_endless_body_is_cut_off(tmp_path: Path) -> None:
    with (
        rest_server(tmp_path, limits=Limits(max_request=1 << 20)) as server,
        socket.create_connection(("127.0.0.1", server.port), 20) as client,
    ):
        client.sendall(head(server, "POST /port HTTP/1.1", "Transfer-Encoding: chunked"))
        with pytest.raises(ConnectionError):
            client.sendall((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 10_000)
        assert server.request("GET", "/x").status == 404


def test_endless_headers_are_cut_off(tmp_path: Path) -> None:
    with (
        rest_server(tmp_path, limits=Limits(max_request=1 << 20)) as server,
        socket.create_connection(("127.0.0.1", server.port), 20) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            client.sendall((b"X-Header: " + b"x" * 4096 + b"\r\n") * 10_000)
        assert server.request("GET", "/x").status == 404


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"POST /port HT",
        b"POST /port HTTP/1.1\r\nHost: x\r\n",
        b"POST /port HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        b"POST /port HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[",
    ],
)
def test_slow_requests_are_closed(tmp_path: Path, start: bytes) -> None:
    with rest_server(tmp_path, limits=Limits(request=0.1)) as server:
        raw = b""
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(start)
            with contextlib.suppress(ConnectionResetError):
                raw = read_all(client)
        assert raw == b""
        assert server.told == []
        assert server.request("GET", "/x").status == 404


def test_idle_connections_are_closed(tmp_path: Path) -> None:
    with (
        rest_server(tmp_path, limits=Limits(idle=0.1)) as server,
        socket.create_connection(("127.0.0.1", server.port), 20) as client,
    ):
        client.sendall(head(server, "GET /x HTTP/1.1"))
        assert read_all(client).endswith(b'{"error":"Unknown Request"}')


@pytest.mark.parametrize("chunked", [False, True])
def test_half_a_request_is_not_taken(server: RestServer, chunked: bool) -> None:
    """A body cut off by the client is refused, even if what came is a whole JSON text."""
    body = json.dumps(PORT).encode()
    size = f"Content-Length: {len(body) + 1}"
    request = head(server, "POST /port HTTP/1.1", "Transfer-Encoding: chunked" if chunked else size)
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(request + (b"%x\r\n%s\r\n" % (len(body), body) if chunked else body))
        client.shutdown(socket.SHUT_WR)
        assert not read_all(client).startswith(b"HTTP/1.1 2")
    assert server.request("PUT", f"/enable-port/{U}").json["error"].startswith("{Port Not found")


def test_the_end_waits_for_no_half_of_a_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with rest_server(tmp_path) as server:
        lines = ("Content-Length: 100", "Expect: 100-continue")
        client = socket.create_connection(("127.0.0.1", server.port), 20)
        client.sendall(head(server, "POST /port HTTP/1.1", *lines))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{")
    with client, contextlib.suppress(ConnectionError):
        assert client.recv(1) == b""
    assert caplog.messages == []


def test_fifty_connections_at_once(server: RestServer) -> None:
    def client(number: int) -> list[int]:
        url = f"http://127.0.0.1:{server.port}"
        uuid = f"{number + 1:08x}{U[8:]}"
        record = PORT | {"id": uuid, "system-name": f"tap{number}"}
        with requests.Session() as session:
            statuses = [session.post(f"{url}/port", json=record, timeout=60).status_code]
            for _ in range(4):
                statuses.append(session.get(f"{url}/port/{uuid}", timeout=60).status_code)
            statuses.append(session.delete(f"{url}/port/{uuid}", timeout=60).status_code)
        return statuses

    with ThreadPoolExecutor(50) as pool:
        for statuses in pool.map(client, range(50)):
            assert statuses == [200, 404, 404, 404, 404, 200]
    assert len(server.told) == 100
    assert server.on_loop(server.api.store.ports) == []


def test_connections_beyond_the_limit_get_503(tmp_path: Path) -> None:
    with rest_server(tmp_path, limits=Limits(connections=2)) as server:
        address = ("127.0.0.1", server.port)
        with socket.create_connection(address, 20), socket.create_connection(address, 20):
            raw = exchange(server, b"")
        assert raw.startswith(b"HTTP/1.1 503 ")


def test_an_error_that_nobody_expected_is_a_500(server: RestServer) -> None:
    server.view.config = {"vmi": {}}
    assert server.request("POST", "/port", PORT).status == 200
    answer = server.request("GET", f"/port/{U}")
    assert (answer.status, answer.text) == (500, '{"error":"{ Internal error }"}')


def test_the_address_in_use_is_said(server: RestServer) -> None:
    second = HttpServer(None, Door(port=server.port))
    with pytest.raises(ConfigError, match=f"port {server.port}: Address already in use"):
        second.listen()
    with pytest.raises(ConfigError, match="localhost port 1: not an IP address"):
        HttpServer(None, Door("localhost", 1)).listen()


PROGRAM = """
import asyncio, signal, sys
from pathlib import Path
import uvloop
from agent.io.doors import Door
from agent.io.port_api import PortApi
from agent.rest import PortStore

async def main():
    where = Path(sys.argv[1])
    api = PortApi(PortStore(), directory=where, door=Door())
    await api.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(api.port, flush=True)
    await ended.wait()
    await api.stop()
    print("stopped", flush=True)

uvloop.run(main())
"""


def test_signals_stay_with_the_program_and_the_end_is_clean(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            port = next(line for line in program.stdout if line.strip().isdigit())
            with socket.create_connection(("127.0.0.1", int(port)), 20) as client:
                client.sendall(b"POST /port HTTP/1.1\r\nContent-Length: 9\r\n\r\n[")
                program.send_signal(signal.SIGTERM)
                assert "stopped\n" in program.stdout.readlines()
            assert program.wait(10) == 0
        finally:
            program.kill()
