"""The slow, clear oracle of agent.rib.PrefixTable: a dictionary and a loop."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


class SlowTable:
    def __init__(self) -> None:
        self.values: dict[Network, int] = {}

    def lookup(self, packed: bytes) -> int | None:
        address = ip_address(packed)
        matches = [network for network in self.values if address in network]
        best = max(matches, key=lambda network: network.prefixlen, default=None)
        return None if best is None else self.values[best]

    def covering(self, prefix: Network) -> tuple[Network, int] | None:
        shorter = [
            network
            for network in self.values
            if network.prefixlen < prefix.prefixlen and prefix.network_address in network
        ]
        best = max(shorter, key=lambda network: network.prefixlen, default=None)
        return None if best is None else (best, self.values[best])
