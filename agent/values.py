"""Small values of the domain: MAC addresses and prefixes, and their text forms."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network

_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")


class Mac(bytes):
    """A 48-bit MAC address: six bytes in wire order, printed as aa:bb:cc:dd:ee:ff."""

    __slots__ = ()

    def __new__(cls, octets: bytes) -> Mac:
        if len(octets) != 6:
            raise ValueError(f"a MAC address has 6 bytes, not {len(octets)}")
        return super().__new__(cls, octets)

    @classmethod
    def parse(cls, text: str) -> Mac:
        """Read six groups of one or two hex digits; ValueError on anything else."""
        if not _MAC.fullmatch(text):
            raise ValueError(f"not a MAC address: {text!r}")
        return cls(bytes(int(group, 16) for group in text.split(":")))

    def __str__(self) -> str:
        return self.hex(":")

    def __repr__(self) -> str:
        return f"Mac({str(self)!r})"


BROADCAST_MAC = Mac(b"\xff" * 6)
VRRP_MAC = Mac.parse("00:00:5e:00:01:00")
"""The MAC address of vhost0 and of every gateway as VMs see it."""


def prefix(text: str) -> Prefix:
    """Parse `address/length`; host bits are cleared. ValueError if malformed."""
    return ip_network(text, strict=False)


def ip4_as_loaded(address: IPv4Address) -> int:
    """An IPv4 address as the "net-in-host" integer of the vrouter messages.

    The datapath's memory must hold network order, so on its little-endian host
    10.0.0.1 travels as the integer 0x0100000a (facts sandesh-ksync.md 4.1).
    """
    return int.from_bytes(address.packed, "little")


def ip4_from_loaded(number: int) -> IPv4Address:
    """The address of such an integer."""
    return IPv4Address((number & 0xFFFFFFFF).to_bytes(4, "little"))


def ip6_as_loaded(address: IPv6Address) -> tuple[int, int]:
    """An IPv6 address as the (upper, lower) pair of "net-in-host" u64 integers."""
    raw = address.packed
    return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")
