"""Ports of the host that NAT to link-local services may take: sockets bound to them.

A bound port is nobody else's, so what comes back to it is the flow's. Some are always kept
ready, more are bound as flows take them, up to a limit. Nothing is ever read from the sockets.
"""

from __future__ import annotations

import resource
import socket
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

READY = 32
"""Ports of each protocol that are kept free for the next flows."""
_OTHERS = 513
"""Open files that are left to the rest of the agent (facts oper-db.md 7)."""
_TYPES = {6: socket.SOCK_STREAM, 17: socket.SOCK_DGRAM}


class Pool(Protocol):
    """Who hands the ports out: agent._fast.flow_world.World."""

    def give_port(self, protocol: int, port: int) -> None: ...
    def withdraw_port(self, protocol: int, port: int) -> bool: ...
    def free_ports(self, protocol: int) -> int: ...


class BoundPorts:
    """Keeps `pool` supplied; call `fill` after anything may have taken ports."""

    def __init__(self, pool: Pool, limit: int) -> None:
        """`limit` is the most sockets of all protocols together, as far as files may be open."""
        self._pool = pool
        self._limit = min(limit, max(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHERS))
        self._bound: dict[tuple[int, int], socket.socket] = {}
        self._told = False

    def __len__(self) -> int:
        return len(self._bound)

    def fill(self) -> None:
        """Bind as many ports as are missing and allowed."""
        for protocol in _TYPES:
            missing = READY - self._pool.free_ports(protocol)
            for _ in range(min(missing, self._limit - len(self._bound))):
                if not self._bind(protocol):
                    return

    def close(self) -> None:
        """Free all sockets."""
        for (protocol, port), one in self._bound.items():
            self._pool.withdraw_port(protocol, port)
            one.close()
        self._bound.clear()

    def _bind(self, protocol: int) -> bool:
        """One more; False when the host has none to give, which is logged once."""
        one = None
        try:
            one = socket.socket(socket.AF_INET, _TYPES[protocol] | socket.SOCK_CLOEXEC)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
            one.bind(("", 0))
        except OSError as error:
            if one is not None:
                one.close()
            if not self._told:
                self._told = True
                log.warning(
                    "no more ports for link-local services",
                    bound=len(self._bound),
                    reason=error.strerror,
                    hint="raise the limit of open files, or lower max_system_linklocal_flows",
                )
            return False
        port = one.getsockname()[1]
        self._bound[protocol, port] = one
        self._pool.give_port(protocol, port)
        return True
