"""How many requests each address may make: a bounded table of token buckets."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

_MOST_PEERS = 4096
_HOST_BITS = 64


class PeerRates:
    """`rate` requests a second from each address, `burst` of them at once.

    The addresses of an IPv6 /64 are one: a host has them all. Of more than `most` peers those
    that were quiet for longest are forgotten.
    """

    def __init__(self, rate: float, burst: float, most: int = _MOST_PEERS) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many peers are remembered."""
        return len(self._left)

    def take(self, peer: str, now: float, cost: float = 1.0) -> bool:
        """Whether `peer` has any left at `now` (seconds); takes `cost` from it, debts count."""
        key = network(peer)
        left, then = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        allowed = left > 0.0
        self._left[key] = (left - cost if allowed else left), now
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return allowed


def network(peer: str) -> str:
    """Whose an address is: itself, or its /64 of IPv6, which one host has whole."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{int(address) >> _HOST_BITS:x}::"
