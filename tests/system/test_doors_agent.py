"""A whole agent whose HTTP ports are reached from another address, with tokens."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path

import pytest

from agent.daemon.configuration import Sources
from agent.daemon.front import Front
from agent.errors import ConfigError
from tests.netns import ip
from tests.unit.daemon.test_daemon import Host, here

pytestmark = pytest.mark.system
ADDRESS, LOCAL = "192.0.2.1", "127.0.0.1"
REST, INTROSPECT = 9091, 8085
FIRST, SECOND = "first-token-of-this-agent", "second-token-of-this-agent"
MANY, FEW = 1000, 2


def opened(host: Host, rate: int = MANY) -> Path:
    """Let both ports listen everywhere, with one token for both; its file."""
    token = host.run_dir.parent / "token"
    token.touch(0o600)
    token.write_text(FIRST)
    more = (
        f"rest_ip = 0.0.0.0\nhttp_server_ip = 0.0.0.0\nhttp_rate_limit = {rate}\n"
        f"rest_token_file = {token}\nhttp_server_token_file = {token}\n"
    )
    host.config.write_text(host.config.read_text().replace("[DEFAULT]\n", f"[DEFAULT]\n{more}"))
    ip("addr", "add", f"{ADDRESS}/24", "dev", "fabric0")
    return token


def asked(address: str, port: int, token: str) -> int:
    client = http.client.HTTPConnection(address, port, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client.request("GET", "/healthz", headers=headers)
        return client.getresponse().status
    finally:
        client.close()


async def ask(address: str, port: int, token: str = "") -> int:
    return await asyncio.to_thread(asked, address, port, token)


def flood(port: int) -> list[int]:
    return [asked(ADDRESS, port, FIRST) for _ in range(40)]


@here
async def test_tokens_open_both_ports_and_are_taken_over_anew(host: Host) -> None:
    token = opened(host)
    async with host.agent() as daemon:
        await host.until(lambda: daemon.session.in_sync, "in sync")
        for address in (ADDRESS, LOCAL):
            for port, enters in ((INTROSPECT, 200), (REST, 404)):
                assert await ask(address, port) == 401
                assert await ask(address, port, SECOND) == 401
                assert await ask(address, port, FIRST) == enters
        token.write_text(SECOND)
        daemon.reload()
        assert await ask(LOCAL, INTROSPECT, FIRST) == 401
        assert await ask(LOCAL, INTROSPECT, SECOND) == 200
        token.chmod(0o644)
        token.write_text("third-token-that-others-know")
        daemon.reload()
        assert await ask(LOCAL, INTROSPECT, "third-token-that-others-know") == 401
        assert await ask(LOCAL, INTROSPECT, SECOND) == 200, "what was read before stays"


@here
async def test_a_flood_from_an_address_does_not_shut_out_the_host(host: Host) -> None:
    opened(host, FEW)
    async with host.agent() as daemon:
        await host.until(lambda: daemon.session.in_sync, "in sync")
        told = await asyncio.to_thread(flood, INTROSPECT)
        assert set(told) == {200, 429}
        assert told[: 2 * FEW] == [200] * 2 * FEW
        assert await ask(LOCAL, INTROSPECT, FIRST) == 200
        assert await ask(ADDRESS, REST, FIRST) == 404, "each port counts by itself"


@here
async def test_an_agent_that_would_let_everybody_in_does_not_start(host: Host) -> None:
    opened(host)
    text = host.config.read_text()
    host.config.write_text(text.replace("rest_token_file", "#rest_token_file"))
    sources = Sources(host.config, host.run_dir)
    with pytest.raises(ConfigError, match=r"\[DEFAULT\] rest_ip = 0\.0\.0\.0"):
        Front(*sources.load())
