"""Where DHCP servers on the fabric answer the relay: UDP port 67 of the router id."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Address

from agent.errors import ConfigError

_PORT = 67
_LARGEST = 2048
_A_WAKE_UP = 64
_IP_FREEBIND = 15


Received = Callable[[bytes, IPv4Address], None]
"""Takes a datagram and the address of its sender."""


class RelaySocket:
    """Hands on each datagram that comes, from `start` on."""

    def __init__(
        self,
        address: IPv4Address,
        port: int = _PORT,
    ) -> None:
        """Bind, whether or not the host has the address yet; ConfigError when it cannot be."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            self._socket.bind((str(address), port))
        except OSError as error:
            self._socket.close()
            where = f"{address}:{port}"
            raise ConfigError(
                f"[DEFAULT] dhcp_relay_mode: cannot use UDP {where}: {error.strerror}"
            ) from None

    def start(self, received: Received) -> None:
        """Deliver on the running loop."""
        fd = self._socket.fileno()
        asyncio.get_running_loop().add_reader(fd, self._readable, received)

    def close(self) -> None:
        """Free the port."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self, received: Received) -> None:
        for _ in range(_A_WAKE_UP):
            try:
                message, (sender, _port) = self._socket.recvfrom(_LARGEST)
            except OSError:  # empty, or an ICMP error of no concern
                return
            received(message, IPv4Address(sender))
