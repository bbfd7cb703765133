"""Text forms that several datapath tools share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

INDENT = " " * 12


def mac(octets: bytes) -> str:
    """aa:bb:cc:dd:ee:ff; empty for no address."""
    return octets.hex(":")


def mac_unpadded(octets: bytes) -> str:
    """The route tool's form, without leading zeros: 2:3:eb:4b:e8:d8."""
    return ":".join(f"{octet:x}" for octet in octets)


def ip4_loaded(word: int) -> IPv4Address:
    """An IPv4 address that travels as the word the datapath's memory holds."""
    return IPv4Address((word & 0xFFFFFFFF).to_bytes(4, "little"))


def ip6_loaded(upper: int, lower: int) -> IPv6Address:
    """An IPv6 address that travels as two words the datapath's memory holds."""
    return IPv6Address(upper.to_bytes(8, "little") + lower.to_bytes(8, "little"))


def hex_bytes(octets: bytes) -> str:
    """`02 03 eb `: each byte with two digits and a blank after it."""
    return "".join(f"{octet:02x} " for octet in octets)


def flag_names(value: int, names: Iterable[tuple[int, str]]) -> list[str]:
    """The names of the bits that are set, in the order given."""
    return [name for bit, name in names if value & bit]


def legend(names: Sequence[str], head: str, indent: int, per_line: int = 4) -> list[str]:
    """Lines of a flag legend: `head` then `per_line` entries a line, comma between."""
    lines = []
    for start in range(0, len(names), per_line):
        text = ", ".join(names[start : start + per_line])
        lines.append((head if start == 0 else " " * indent) + text)
    return lines
