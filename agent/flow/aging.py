"""How long flows may be silent: from the settings and the global configuration to numbers.

Facts shared-memory.md 12.3. The reference agent knows one timeout and those of services
(flow-aging-timeout-list); that of dropped flows and those of TCP's states are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.oper.world import BadConfig, items
from agent.settings import Settings

DEFAULT_SECONDS = 180
MOST_SERVICES = 256
"""What the scanner has room for."""
_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
_MOST_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class ServiceTimeout:
    """Seconds for flows of a protocol from or to a port; port 0: to any port without its own."""

    protocol: int
    port: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, all above 0. Of several that hold for a flow the least counts.

    `common` is for what nothing else is said of, `dropped` for flows that are dropped both
    ways, `tcp_half_open` until a handshake is complete, `tcp_closed` once both sides closed.
    """

    common: float = DEFAULT_SECONDS
    dropped: float = DEFAULT_SECONDS
    tcp_half_open: float = 60
    tcp_closed: float = 10
    services: tuple[ServiceTimeout, ...] = ()


def timeouts(settings: Settings, services: Iterable[ServiceTimeout] = ()) -> Timeouts:
    """The file's timeouts with those of services; 0 in the file stands for the common one.

    Of two for the same service the later counts; what the scanner has no room for is left out.
    """
    common = min(settings.get("DEFAULT", "flow_cache_timeout", int), _MOST_SECONDS)
    common = common or DEFAULT_SECONDS

    def seconds(option: str) -> int:
        return min(settings.get("FLOWS", option, int), _MOST_SECONDS) or common

    unique = {(service.protocol, service.port): service for service in services}
    return Timeouts(
        common=common,
        dropped=seconds("dropped_timeout"),
        tcp_half_open=seconds("tcp_half_open_timeout"),
        tcp_closed=seconds("tcp_closed_timeout"),
        services=tuple(unique.values())[:MOST_SERVICES],
    )


def service_timeouts(properties: Mapping[str, Any]) -> tuple[ServiceTimeout, ...]:
    """Those of the global vrouter configuration; what makes no sense is left out.

    A timeout of 0 says that the service has none of its own.
    """
    try:
        rows = items(properties, "flow-aging-timeout-list", "flow-aging-timeout")
    except BadConfig:
        return ()
    return tuple(_readable(rows))


def _readable(rows: Iterable[Mapping[str, Any]]) -> Iterator[ServiceTimeout]:
    for row in rows:
        protocol = _protocol(row.get("protocol") or "")
        port = row.get("port") or 0
        seconds = row.get("timeout-in-seconds") or 0
        if protocol is not None and 0 <= port <= 0xFFFF and seconds > 0:
            yield ServiceTimeout(protocol, port, min(seconds, _MOST_SECONDS))


def _protocol(text: str) -> int | None:
    word = text.strip().lower()
    if word.isascii() and word.isdigit() and int(word) < 256:
        return int(word)
    return _NUMBERS.get(word)
