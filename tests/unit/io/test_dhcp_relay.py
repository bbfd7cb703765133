"""The relay's socket on a real network namespace."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address

import pytest

from agent.errors import ConfigError
from agent.io.dhcp_relay import RelaySocket
from tests.netns import ip, own_network

pytestmark = pytest.mark.system
ROUTER = IPv4Address("192.168.0.1")


def test_answers_of_servers_arrive() -> None:
    """Also where the host gets its address only later; a port that is taken is named."""

    async def main() -> list[tuple[bytes, IPv4Address]]:
        got: asyncio.Queue[tuple[bytes, IPv4Address]] = asyncio.Queue()
        relay = RelaySocket(ROUTER)
        relay.start(lambda *what: got.put_nowait(what))
        with pytest.raises(ConfigError, match=r"dhcp_relay_mode: cannot use UDP 192.168.0.1:67"):
            RelaySocket(ROUTER)
        ip("address", "add", "192.168.0.1/32", "dev", "lo")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.9", 0))
            server.sendto(b"first", (str(ROUTER), 67))
            server.sendto(b"", (str(ROUTER), 67))
        try:
            return [await asyncio.wait_for(got.get(), 10) for _ in range(2)]
        finally:
            relay.close()

    with own_network():
        sender = IPv4Address("127.0.0.9")
        assert asyncio.run(main()) == [(b"first", sender), (b"", sender)]
