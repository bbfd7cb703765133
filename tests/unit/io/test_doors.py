"""Which HTTP ports a configuration allows, and whom their guard lets in."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.io.doors import Door, introspect_door, port_api_door
from agent.io.guard import CERTIFIED, Guard, Refusal
from agent.io.rates import PeerRates
from agent.io.secret_files import read_token
from agent.settings import Settings, parse
from tests.fake.authority import Authority

TOKEN = "0123456789abcdef0123456789abcdef"
AWAY = "192.0.2.7"
Make = Callable[[Settings], Door]


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


# What a configuration may say

PORTS = [
    pytest.param(introspect_door, "http_server_ip", "http_server_token_file", id="introspect"),
    pytest.param(port_api_door, "rest_ip", "rest_token_file", id="port API"),
]


@pytest.mark.parametrize(("make", "address", "token"), PORTS)
class TestConfiguration:
    def test_loopback_is_open(self, make: Make, address: str, token: str) -> None:
        for host in ("127.0.0.1", "127.0.0.2", "::1"):
            door = make(parse(f"[DEFAULT]\n{address} = {host}\n"))
            assert (door.host, door.guarded, door.local) == (host, False, True)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.1.1", "fd00::1"])
    def test_an_open_port_beyond_loopback_is_refused(
        self, make: Make, address: str, token: str, host: str
    ) -> None:
        with pytest.raises(ConfigError) as raised:
            make(parse(f"[DEFAULT]\n{address} = {host}\n"))
        told = str(raised.value)
        assert f"[DEFAULT] {address} = {host}" in told
        assert f"[DEFAULT] {token}" in told
        assert "ssl_enable" in told
        assert "http_insecure" in told

    def test_it_may_be_wanted(self, make: Make, address: str, token: str) -> None:
        text = f"[DEFAULT]\n{address} = 10.1.1.1\nhttp_insecure = true\n"
        assert not make(parse(text)).guarded

    def test_a_token_is_enough(
        self, make: Make, address: str, token: str, token_file: Path
    ) -> None:
        door = make(parse(f"[DEFAULT]\n{address} = 10.1.1.1\n{token} = {token_file}\n"))
        assert door.guarded
        assert door.token == TOKEN.encode()
        assert TOKEN not in repr(door)

    def test_files_read_again_replace_the_token(
        self, make: Make, address: str, token: str, token_file: Path
    ) -> None:
        settings = parse(f"[DEFAULT]\n{token} = {token_file}\n")
        door = make(settings)
        token_file.write_text("fedcba9876543210\n")
        door.renew(make(settings))
        assert door.token == b"fedcba9876543210"
        door.renew(make(parse("")))
        assert door.token == b"fedcba9876543210", "what a port wants never changes while it runs"


def test_tls_files_are_named_when_they_cannot_be_used(tmp_path: Path) -> None:
    ca = Authority(tmp_path, "lab")
    ours = ca.issue("ours")
    text = (
        f"[SANDESH]\nintrospect_ssl_enable = true\nsandesh_certfile = {ours.certificate}\n"
        f"sandesh_keyfile = {ours.key}\nsandesh_ca_cert = "
    )
    assert introspect_door(parse(f"{text}{ca.path}\n")).context is not None
    with pytest.raises(ConfigError, match=r"\[SANDESH\] sandesh_ca_cert = .*none.pem"):
        introspect_door(parse(f"{text}{tmp_path}/none.pem\n"))
    rest = f"[DEFAULT]\nrest_ssl_enable = 1\nrest_ssl_ca_cert = {ca.path}\n"
    with pytest.raises(ConfigError, match=r"\[DEFAULT\] rest_ssl_certfile = .*/none.pem"):
        port_api_door(parse(f"{rest}rest_ssl_certfile = {tmp_path}/none.pem\n"))


def test_a_key_with_a_password_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    ca = Authority(tmp_path, "lab")
    ours = ca.issue("ours")
    key = serialization.load_pem_private_key(ours.key.read_bytes(), None)
    closed = serialization.BestAvailableEncryption(b"hunter2")
    ours.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, closed)
    )
    with pytest.raises(ConfigError, match=r"\[SANDESH\] sandesh_certfile.*sandesh_keyfile = "):
        introspect_door(
            parse(
                "[SANDESH]\nintrospect_ssl_enable = 1\n"
                f"sandesh_certfile = {ours.certificate}\nsandesh_keyfile = {ours.key}\n"
                f"sandesh_ca_cert = {ca.path}\n"
            )
        )


# The file of a token


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o601])
def test_a_token_that_others_may_read_is_none(token_file: Path, mode: int) -> None:
    token_file.chmod(mode)
    with pytest.raises(ConfigError, match=rf"token = .*its mode is {mode:04o}.*chmod 600"):
        read_token(token_file, "token")


def test_a_group_of_clients_may_read_it(token_file: Path) -> None:
    token_file.chmod(0o640)
    assert read_token(token_file, "token") == TOKEN.encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_token_of_somebody_else_is_none(token_file: Path) -> None:
    os.chown(token_file, 4711, -1)
    with pytest.raises(ConfigError, match="belongs to user 4711"):
        read_token(token_file, "token")


def test_only_regular_files_hold_tokens(token_file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(token_file)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "pipe", "missing", "."):
        with pytest.raises(ConfigError, match="token = "):
            read_token(tmp_path / name, "token")


@pytest.mark.parametrize(
    "text",
    ["", "short", "two words in one line of it", "0123456789abcdef\n0123456789abcdef", "é" * 20],
)
def test_what_is_no_token_is_not_told(token_file: Path, text: str) -> None:
    token_file.write_text(text)
    with pytest.raises(ConfigError, match="openssl rand") as raised:
        read_token(token_file, "token")
    assert not text or text not in str(raised.value)


# The guard


class Asked:
    """A guard before an application that answers 200; `ask` gives the status."""

    def __init__(self, door: Door, changes: Callable[[str], bool] = lambda path: False) -> None:
        self.now = 0.0
        self.refused: list[tuple[str, Refusal]] = []
        self.reached = 0
        self.headers: dict[bytes, bytes] = {}
        self._guard = Guard(
            self._app, door, lambda *told: self.refused.append(told), changes, lambda: self.now
        )

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def ask(
        self, path: str = "/x", method: str = "GET", peer: str = "127.0.0.1", **headers: str
    ) -> int:
        statuses = []

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                self.headers = dict(message["headers"])

        given = [
            (name.replace("_", "-").encode(), value.encode("latin-1"))
            for name, value in headers.items()
        ]
        scope = {
            "type": "http", "method": method, "path": path, "client": (peer, 4711),
            "headers": given, CERTIFIED: False,
        }  # fmt: skip
        with pytest.raises(StopIteration):
            self._guard(scope, None, send).send(None)  # type: ignore[arg-type]
        return int(statuses[0])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8085", "[::1]:8085", "localhost:8085", "LOCALHOST", "10.1.1.1:80",
     "compute-1", "compute-1:9091", "localhost.", ""],
)  # fmt: skip
def test_own_names_and_addresses_are_fine(host: str) -> None:
    asked = Asked(Door(names=frozenset({"localhost", "compute-1"})))
    assert asked.ask(host=host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8085", "127.0.0.1.evil.example", "localhost.evil.example",
     "[::1", "127.0.0.1@evil.example", "evil.example#127.0.0.1", "compute-2"],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    asked = Asked(Door(names=frozenset({"localhost", "compute-1"})))
    assert asked.ask(host=host) == 403
    assert asked.reached == 0


def test_names_of_the_host_come_from_its_configuration() -> None:
    text = "[DEFAULT]\nagent_name = Compute-7\nhttp_host_names = c7.example.org\n"
    names = introspect_door(parse(text)).names
    own = socket.gethostname().lower()
    assert {"localhost", "compute-7", "c7.example.org", own, own.partition(".")[0]} == names


OTHERS: list[dict[str, str]] = [
    {"origin": "http://evil.example"},
    {"origin": "http://127.0.0.1:3000"},
    {"origin": "null"},
    {"sec_fetch_site": "cross-site", "sec_fetch_dest": "image"},
    {"sec_fetch_site": "same-site", "sec_fetch_dest": "empty"},
    {"sec_fetch_site": "cross-site", "sec_fetch_dest": "iframe"},
]
FOLLOWED = {"sec_fetch_site": "cross-site", "sec_fetch_dest": "document"}


@pytest.mark.parametrize("headers", OTHERS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_scripts_and_forms_of_other_sites_are_refused(method: str, headers: dict[str, str]) -> None:
    asked = Asked(Door())
    assert asked.ask(method=method, host="127.0.0.1:8085", **headers) == 403
    assert asked.reached == 0


def test_own_pages_may_ask_everything() -> None:
    asked = Asked(Door(), changes=lambda path: True)
    own = {"host": "127.0.0.1:8085", "referer": "http://127.0.0.1:8085/ports"}
    for site in ("same-origin", "none"):
        assert asked.ask(sec_fetch_site=site, sec_fetch_dest="document", **own) == 200
    assert asked.ask(method="POST", origin="http://127.0.0.1:8085", **own) == 200
    assert asked.ask(method="POST", host="127.0.0.1:8085") == 200, "programs say nothing of sites"


def test_links_may_lead_here_but_change_nothing() -> None:
    asked = Asked(Door(), changes=lambda path: path == "/Snh_DeleteAllFlowRecords")
    own = "127.0.0.1:8085"
    assert asked.ask("/ports", host=own, referer="http://wiki.example/", **FOLLOWED) == 200
    assert asked.ask("/Snh_DeleteAllFlowRecords", host=own, **FOLLOWED) == 403
    referred = {"host": own, "referer": "http://wiki.example/"}
    assert asked.ask("/Snh_DeleteAllFlowRecords", **referred) == 403, "of browsers without Fetch"
    assert asked.ask("/Snh_DeleteAllFlowRecords", host=own) == 200


@pytest.mark.parametrize(
    "given",
    [None, "", TOKEN, "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}",
     f"Bearer {TOKEN}0", f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN} {TOKEN}", "Bearer \xe9"],
)  # fmt: skip
def test_wrong_tokens_are_refused(given: str | None) -> None:
    asked = Asked(Door(token=TOKEN.encode()))
    headers = {} if given is None else {"authorization": given}
    assert asked.ask(host="compute-1.example.org", **headers) == 401
    assert asked.headers[b"www-authenticate"] == b"Bearer"
    assert asked.reached == 0
    assert TOKEN not in repr(asked.refused)


@given(
    headers=st.dictionaries(
        st.sampled_from(
            ["host", "origin", "referer", "sec_fetch_site", "sec_fetch_dest", "authorization"]
        ),
        st.one_of(
            st.text(st.characters(max_codepoint=255), max_size=40),
            st.text("[]:/@?#%.http127localhost", max_size=40).map("http://".__add__),
        ),
    ),
    peer=st.sampled_from(["", "127.0.0.1", "::1", "fe80::1%eth0", AWAY, "?"]),
    method=st.sampled_from(["GET", "POST"]),
    token=st.sampled_from([b"", TOKEN.encode()]),
)
def test_no_header_brings_the_guard_down(
    headers: dict[str, str], peer: str, method: str, token: bytes
) -> None:
    asked = Asked(Door(token=token, rate=5))
    status = asked.ask(method=method, peer=peer, **headers)
    assert status in ((401,) if token else (200, 403))
    assert asked.reached == (status == 200)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_opens(scheme: str) -> None:
    asked = Asked(Door(token=TOKEN.encode()))
    assert asked.ask(host="compute-1.example.org", authorization=f"{scheme} {TOKEN}") == 200


def test_a_flood_is_cut_off_for_its_address_alone() -> None:
    asked = Asked(Door(rate=10))
    statuses = [asked.ask(peer=AWAY) for _ in range(50)]
    assert statuses == [200] * 20 + [429] * 30
    assert asked.headers[b"retry-after"] == b"1"
    assert asked.ask(peer="192.0.2.8") == 200
    assert [asked.ask() for _ in range(50)] == [200] * 50, "the host itself is never cut off"
    asked.now = 1.0
    assert [asked.ask(peer=AWAY) for _ in range(11)] == [200] * 10 + [429]


def test_guessing_costs_more_than_asking() -> None:
    asked = Asked(Door(token=TOKEN.encode(), rate=10))
    assert [asked.ask(peer=AWAY) for _ in range(4)] == [401, 401, 429, 429]
    asked.now = 1.0
    assert asked.ask(peer=AWAY, authorization=f"Bearer {TOKEN}") == 200


def test_the_table_of_peers_is_bounded() -> None:
    rates = PeerRates(1.0, 1.0, most=100)
    assert all(rates.take(f"10.0.{at >> 8}.{at & 255}", 0.0) for at in range(10_000))
    assert len(rates) == 100
    assert not rates.take("10.0.39.15", 0.0), "the last ones are remembered"


def test_a_host_has_one_share_for_all_its_ipv6_addresses() -> None:
    rates = PeerRates(1.0, 2.0)
    assert [rates.take(f"2001:db8::{at:x}", 0.0) for at in range(1, 4)] == [True, True, False]
    assert rates.take("2001:db8:0:1::1", 0.0)
    assert [rates.take(one, 0.0) for one in ("::ffff:192.0.2.7", AWAY, AWAY)] == [True, True, False]
