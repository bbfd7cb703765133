"""Strangers at the HTTP ports, on real sockets: each way in is tried, and what comes of it.

What the guard decides on is in tests/unit/io/test_doors.py; slow, endless and malformed requests
of the port API in tests/system/test_rest_http.py.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from agent.cli import port_control, status
from agent.cli.agent_client import AgentClient, NoAnswerError, RefusedError
from agent.cli.credentials import Credentials
from agent.io import acceptor, introspect_api
from agent.io.doors import Door
from agent.io.http import Limits
from agent.io.introspect_api import IntrospectApi
from agent.io.peers import TlsFiles, tls_server
from agent.telemetry.meters import Meters
from tests.fake.authority import Authority, Issued
from tests.fake.rest_server import RestServer, rest_server
from tests.netns import ip
from tests.unit.telemetry.node_world import NodeWorld

TOKEN = "0123456789abcdef0123456789abcdef"
U = "11111111-2222-3333-4444-555555555555"
PORT = {
    "id": U, "instance-id": U, "ip-address": "10.1.1.3", "ip6-address": "", "vn-id": U,
    "display-name": "web", "vm-project-id": "", "mac-address": "02:11:22:33:44:55",
    "system-name": "tap1", "type": 0, "rx-vlan-id": -1, "tx-vlan-id": -1,
}  # fmt: skip
OPTIONS = ("certfile", "keyfile", "ca_cert")
TIMEOUT = 20
NO_ENTRY = (ConnectionError, ssl.SSLError)
"""What a client sees whose TLS does not come to stand, or is cut."""


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "lab")


@pytest.fixture
def server_files(ca: Authority) -> TlsFiles:
    return ca.files(ca.issue("server", names=("127.0.0.1", "localhost")))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o600)
    return path


def tls(files: TlsFiles, *, optional: bool = False) -> ssl.SSLContext:
    return tls_server(files, "SANDESH", OPTIONS, optional=optional)


@contextmanager
def introspect(door: Door) -> Iterator[int]:
    """An introspect port, by its number, on a loop of its own."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> IntrospectApi:
        api = IntrospectApi(door, Meters())
        api.show(NodeWorld().node)
        await api.start()
        return api

    try:
        api = asyncio.run_coroutine_threadsafe(begin(), loop).result(TIMEOUT)
        yield api.port
        asyncio.run_coroutine_threadsafe(api.stop(), loop).result(TIMEOUT)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def ask(port: int, path: str = "/healthz", method: str = "GET", **headers: str) -> int:
    """The status of the answer."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        client.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            client.putheader(name.replace("_", "-"), value)
        client.endheaders()
        return client.getresponse().status
    finally:
        client.close()


def ask_tls(port: int, ca: Authority, shown: Issued | None = None, **headers: str) -> int:
    """The status, or NO_ENTRY."""
    context = ssl.create_default_context(cafile=ca.path)
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    client = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT, context=context)
    try:
        client.request("GET", "/healthz", headers=headers)
        return client.getresponse().status
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from None
    finally:
        client.close()


# Web pages of others


def test_a_rebound_name_plugs_nothing(tmp_path: Path) -> None:
    with rest_server(tmp_path) as server:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert server.request("POST", "/port", PORT, headers=headers).status == 403
        assert server.on_loop(server.api.store.ports) == []
        assert server.told == []
        assert server.request("POST", "/port", PORT).status == 200
        assert len(server.on_loop(server.api.store.ports)) == 1


def test_a_request_with_two_hosts_is_none(tmp_path: Path) -> None:
    with rest_server(tmp_path) as server:
        for hosts in (("localhost", "evil.example"), ("evil.example", "localhost")):
            lines = "".join(f"Host: {name}\r\n" for name in hosts)
            with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as client:
                client.sendall(f"POST /syncports HTTP/1.1\r\n{lines}\r\n".encode())
                assert client.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_picture_of_another_site_deletes_no_flows_and_mutes_no_log() -> None:
    image = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "image"}
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "document"}
    with introspect(Door()) as port:
        for path in ("/Snh_DeleteAllFlowRecords", "/json/SandeshLoggingParamsSet?enable=false"):
            assert ask(port, path, **image) == 403
            assert ask(port, path, **link) == 403
            assert ask(port, path, Referer="http://evil.example/") == 403
        assert ask(port, "/log-level?category=xmpp", "POST", Origin="http://evil.example") == 403
        told = AgentClient(f"http://127.0.0.1:{port}", TIMEOUT).ask("/log-level")
        assert told["enabled"]
        assert told["category"] == ""
        assert ask(port, "/Snh_VrouterInfoReq", **link) == 200


# Tokens


def test_a_token_is_wanted_of_everybody(tmp_path: Path) -> None:
    with rest_server(tmp_path, door=Door(token=TOKEN.encode())) as server:
        for headers in ({}, {"Authorization": f"Bearer {TOKEN[:-1]}0"}):
            answer = server.request("POST", "/port", PORT, headers=headers)
            assert answer.status == 401
            assert TOKEN not in answer.text
        assert server.on_loop(server.api.store.ports) == []
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert server.request("POST", "/port", PORT, headers=right).status == 200


def test_who_is_not_let_in_is_told_so_after_a_long_request_too(tmp_path: Path) -> None:
    with rest_server(tmp_path, door=Door(token=TOKEN.encode())) as server:
        answer = server.request("POST", "/port", [PORT] * 10_000)
        assert answer.status == 401
        assert "bearer token" in answer.text
        assert server.on_loop(server.api.store.ports) == []


def test_introspect_tells_nothing_without_its_token() -> None:
    with introspect(Door(token=TOKEN.encode())) as port:
        for path in ("/", "/metrics", "/Snh_ItfReq", "/status", "/trace?prefix=10.0.0.0/8"):
            assert ask(port, path) == 401
        assert ask(port, Authorization=f"Bearer {TOKEN}") == 200
        counted = ask(port, "/metrics", Authorization=f"Bearer {TOKEN}")
        assert counted == 200


# TLS


def test_certificates_open(ca: Authority, server_files: TlsFiles) -> None:
    with introspect(Door(context=tls(server_files))) as port:
        assert ask_tls(port, ca, ca.issue("client")) == 200


def test_wrong_certificates_do_not(ca: Authority, server_files: TlsFiles, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    wrong = [
        None,
        other.issue("stranger"),
        ca.issue("expired", days=(-9, -2)),
        ca.issue("early", days=(2, 9)),
    ]
    with introspect(Door(context=tls(server_files))) as port:
        for shown in wrong:
            with pytest.raises(NO_ENTRY):
                ask_tls(port, ca, shown)
        with pytest.raises(ssl.SSLCertVerificationError):
            ask_tls(port, other)
        assert ask_tls(port, ca, ca.issue("client")) == 200


def test_a_token_may_stand_for_a_certificate_but_not_for_a_wrong_one(
    ca: Authority, server_files: TlsFiles, tmp_path: Path
) -> None:
    context = tls(server_files, optional=True)
    right = {"Authorization": f"Bearer {TOKEN}"}
    with introspect(Door(context=context, token=TOKEN.encode())) as port:
        assert ask_tls(port, ca) == 401
        assert ask_tls(port, ca, **right) == 200
        assert ask_tls(port, ca, ca.issue("client")) == 200
        with pytest.raises(NO_ENTRY):
            ask_tls(port, ca, Authority(tmp_path, "other").issue("stranger"), **right)


def test_plain_http_gets_nothing_from_a_tls_port(ca: Authority, server_files: TlsFiles) -> None:
    with introspect(Door(context=tls(server_files))) as port:
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(port)
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
            client.sendall(b"\x16\x03\x01" + bytes(range(256)))
            with suppress(ConnectionError):
                assert not client.recv(4096).startswith(b"HTTP")
        assert ask_tls(port, ca, ca.issue("client")) == 200


def test_old_tls_is_refused(ca: Authority, server_files: TlsFiles) -> None:
    shown = ca.issue("client")
    context = ssl.create_default_context(cafile=ca.path)
    context.load_cert_chain(shown.certificate, shown.key)
    context.set_ciphers("DEFAULT@SECLEVEL=0")  # our side would speak it
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        introspect(Door(context=tls(server_files))) as port,
        socket.create_connection(("127.0.0.1", port), TIMEOUT) as client,
        pytest.raises((ConnectionError, ssl.SSLError), match=r"(?i)alert|EOF|reset"),
    ):
        context.wrap_socket(client, server_hostname="127.0.0.1")


def test_new_certificates_and_tokens_are_taken_over(
    ca: Authority, server_files: TlsFiles, tmp_path: Path
) -> None:
    next_ca = Authority(tmp_path, "next")
    next_files = next_ca.files(next_ca.issue("renewed", names=("127.0.0.1",)))
    door = Door(context=tls(server_files, optional=True), token=TOKEN.encode())
    with introspect(door) as port:
        assert ask_tls(port, ca, Authorization=f"Bearer {TOKEN}") == 200
        door.renew(Door(context=tls(next_files, optional=True), token=b"another-token-for-us"))
        with pytest.raises(ssl.SSLCertVerificationError):
            ask_tls(port, ca)
        assert ask_tls(port, next_ca, Authorization=f"Bearer {TOKEN}") == 401
        assert ask_tls(port, next_ca, Authorization="Bearer another-token-for-us") == 200
        assert ask_tls(port, next_ca, next_ca.issue("client")) == 200


# Floods


def test_who_never_finishes_a_handshake_is_closed(
    ca: Authority, server_files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 0.2)
    with introspect(Door(context=tls(server_files))) as port:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
            client.sendall(b"\x16\x03\x01\x02")
            with suppress(ConnectionError):
                assert client.recv(4096) == b""
        assert ask_tls(port, ca, ca.issue("client")) == 200


def test_connections_are_bounded_before_tls_stands(
    ca: Authority, server_files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspect_api, "_LIMITS", Limits(connections=2))
    with introspect(Door(context=tls(server_files))) as port:
        address = ("127.0.0.1", port)
        with (
            socket.create_connection(address, TIMEOUT) as one,
            socket.create_connection(address, TIMEOUT),
            socket.create_connection(address, TIMEOUT) as third,
        ):
            with suppress(ConnectionError):
                assert third.recv(1) == b""
            one.close()
            _until(lambda: _enters(port, ca))


def _enters(port: int, ca: Authority) -> bool:
    try:
        return ask_tls(port, ca, ca.issue("client")) == 200
    except NO_ENTRY:
        return False


def _until(condition: Callable[[], bool]) -> None:
    """Each try waits for an answer, so this is no busy loop."""
    assert any(condition() for _ in range(200))


def test_a_host_has_one_share_of_connections_for_all_its_ipv6_addresses(
    own_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspect_api, "_LIMITS", Limits(connections=4))
    for last in range(1, 5):
        ip("addr", "add", f"fd00::{last}/64", "dev", "lo", "nodad")

    def told(source: str) -> bytes:
        client = socket.create_connection((source, port), TIMEOUT, source_address=(source, 0))
        clients.append(client)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: [fd00::1]\r\n\r\n")
        return client.recv(12)

    clients: list[socket.socket] = []
    with introspect(Door(host="::")) as port:
        answers = [told(f"fd00::{last}") for last in (1, 2, 3)]
        assert answers == [b"HTTP/1.1 200", b"HTTP/1.1 200", b"HTTP/1.1 503"]
        assert told("::1") == b"HTTP/1.1 200"
        for client in clients:
            client.close()


def test_the_port_api_outlives_a_flood_of_connections(tmp_path: Path) -> None:
    with rest_server(tmp_path, limits=Limits(connections=16)) as server:
        flood = [socket.create_connection(("127.0.0.1", server.port), TIMEOUT) for _ in range(200)]
        told = [client.recv(12) for client in flood[16:]]
        assert set(told) == {b"HTTP/1.1 503"}
        for client in flood:
            client.close()
        _until(lambda: server.request("GET", "/x").status == 404)


def test_introspect_takes_no_big_and_no_slow_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(request=0.2, max_request=introspect_api._LIMITS.max_request)
    monkeypatch.setattr(introspect_api, "_LIMITS", limits)
    with introspect(Door()) as port:
        for start, wanted in (
            (
                b"POST /log-level HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + bytes(1 << 17),
                b"413",
            ),
            (b"POST /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx", b""),
            (b"GET /healthz HTTP/1.1\r\nHo", b""),
        ):
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
                with suppress(ConnectionError):
                    client.sendall(start)
                answer = b""
                with suppress(ConnectionError):
                    answer = client.recv(4096)
                assert wanted in answer
                assert b" 200 " not in answer
        assert ask(port) == 200


# Clients


def agent_url(port: int, scheme: str = "https") -> str:
    return f"{scheme}://127.0.0.1:{port}"


def test_commands_show_certificates(
    ca: Authority, server_files: TlsFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, other = ca.issue("client"), Authority(tmp_path, "other")
    with introspect(Door(context=tls(server_files))) as port:
        files = ["--cert", str(shown.certificate), "--key", str(shown.key)]
        words = ["--json", "--agent", agent_url(port)]
        capsys.readouterr()
        assert status.main([*words, *files, "--cacert", str(ca.path)]) != status.UNKNOWN
        assert json.loads(capsys.readouterr().out)["host"]
        for wrong in (["--cacert", str(ca.path)], [*files, "--cacert", str(other.path)]):
            assert status.main([*words, *wrong]) == status.DOWN
            assert "host" not in json.loads(capsys.readouterr().out)
        assert status.main([*words, "--cacert", "/nowhere"]) == status.UNKNOWN
        assert "/nowhere" in capsys.readouterr().err


def test_commands_do_not_trust_a_certificate_of_another_name(ca: Authority, tmp_path: Path) -> None:
    files = ca.files(ca.issue("elsewhere", names=("elsewhere.example",)))
    with introspect(Door(context=tls(files, optional=True), token=TOKEN.encode())) as port:
        client = AgentClient(agent_url(port), TIMEOUT, Credentials(cacert=str(ca.path)))
        with pytest.raises(NoAnswerError, match=r"(?i)verify failed"):
            client.ask("/status")


def test_commands_show_tokens(
    token_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with introspect(Door(token=TOKEN.encode())) as port:
        url = agent_url(port, "http")
        told = AgentClient(url, TIMEOUT, Credentials(token_file=str(token_file))).ask("/status")
        assert told["host"]
        with pytest.raises(RefusedError, match=r"401.*bearer token"):
            AgentClient(url, TIMEOUT).ask("/status")
        assert status.main(["--agent", url]) == status.UNKNOWN
        assert "wants a bearer token" in capsys.readouterr().err
        token_file.chmod(0o644)
        assert status.main(["--agent", url, "--token-file", str(token_file)]) == status.UNKNOWN
        assert "chmod 600" in capsys.readouterr().err


def plug(server: RestServer, directory: Path, *more: str) -> int:
    words = [
        "--oper=add", f"--uuid={U}", f"--instance_uuid={U}", f"--vn_uuid={U}", "--vm_name=web",
        "--ip_address=10.1.1.3", "--ipv6_address=::", "--mac=02:11:22:33:44:55", "--tap_name=tap1",
        "--rx_vlan_id=-1", "--tx_vlan_id=-1", "--agent_host=127.0.0.1",
        f"--agent_port={server.port}", f"--port_json_path={directory}/", *more,
    ]  # fmt: skip
    return port_control.main(words)


@pytest.mark.parametrize("by_environment", [False, True])
def test_port_control_enters_with_token_and_tls(
    ca: Authority,
    server_files: TlsFiles,
    token_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_environment: bool,
) -> None:
    door = Door(context=tls(server_files, optional=True), token=TOKEN.encode())
    given: dict[str, Any] = {"cacert": ca.path, "token_file": token_file}
    words = [] if by_environment else [f"--agent_{name}={one}" for name, one in given.items()]
    for name, one in given.items() if by_environment else ():
        monkeypatch.setenv(f"VROUTER_AGENT_{name.upper()}", str(one))
    with rest_server(tmp_path / "ports", door=door) as server:
        assert plug(server, tmp_path, *words) == 0
        assert len(server.on_loop(server.api.store.ports)) == 1


def test_port_control_says_that_it_is_not_let_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rest_server(tmp_path / "ports", door=Door(token=TOKEN.encode())) as server:
        assert plug(server, tmp_path) == 4
        assert "wants a bearer token" in capsys.readouterr().out
        assert server.on_loop(server.api.store.ports) == []
