"""Which flows of a table are wanted, as the compiled scan takes it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_network

from agent.errors import UsageError
from agent.values import Prefix

ANY = -1
_MATCH = struct.Struct("<16s16si4x16s16si4xq4i")
"""struct flow_match of the kernel."""


@dataclass(frozen=True, slots=True)
class FlowEnd:
    """One side of a flow; None is any. `port` is the key's, read in network order."""

    prefix: Prefix | None = None
    port: int | None = None

    def pack(self) -> tuple[bytes, bytes, int]:
        """Address and mask, 16 bytes each, IPv4 in the first four; the port."""
        port = ANY if self.port is None else self.port
        if self.prefix is None:
            return b"", b"", port
        return self.prefix.network_address.packed, self.prefix.netmask.packed, port


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """What flows must have; None is any. With `either` the two ends may be swapped.

    `family` is AF_INET or AF_INET6; without it, that of the ends' addresses.
    `nexthop` is the key's, that is whose traffic the flow is. UsageError when the two
    ends are of different families.
    """

    source: FlowEnd = FlowEnd()
    destination: FlowEnd = FlowEnd()
    either: bool = False
    family: int | None = None
    proto: int | None = None
    vrf: int | None = None
    nexthop: int | None = None
    action: int | None = None

    def pack(self) -> bytes:
        """The kernel's `struct flow_match`."""
        return _MATCH.pack(
            *self.source.pack(),
            *self.destination.pack(),
            _or_any(self.nexthop),
            _or_any(self.vrf),
            _or_any(self.proto),
            _or_any(self._family()),
            self.either,
        )

    def _family(self) -> int | None:
        families = {
            2 if end.prefix.version == 4 else 10
            for end in (self.source, self.destination)
            if end.prefix is not None
        }
        if self.family is not None:
            families.add(self.family)
        if len(families) > 1:
            raise UsageError("an IPv4 and an IPv6 address never meet in one flow")
        return families.pop() if families else None


def _or_any(value: int | None) -> int:
    return ANY if value is None else value


def prefix(text: str) -> Prefix:
    """An address or ADDRESS/LENGTH, host bits ignored. ValueError."""
    return ip_network(text, strict=False)
