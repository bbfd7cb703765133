"""How the text of an option becomes a value, and what is expected where it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address
from typing import Any

from agent.values import Mac

Convert = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """`convert` raises ValueError for what is not `expected`.

    A `switch` is true or false; `many` words are a list.
    """

    expected: str
    convert: Convert
    switch: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """A peer's address and TCP port."""

    address: IPv4Address
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A PCI device: domain, bus, device and function."""

    domain: int
    bus: int
    device: int
    function: int

    @property
    def number(self) -> int:
        """As vifr_os_idx carries it."""
        return self.domain << 16 | self.bus << 8 | self.device << 3 | self.function

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.device:02x}.{self.function}"


def number(low: int, high: int) -> Kind:
    """A whole number within bounds."""

    def convert(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", text.strip()):
            raise ValueError("expected a whole number")
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"expected {low} to {high}")
        return value

    return Kind(f"a whole number, {low} to {high}", convert)


def one_of(*words: str) -> Kind:
    """One of some words, in the case given here."""

    def convert(text: str) -> str:
        for word in words:
            if text.strip().lower() == word.lower():
                return word
        raise ValueError(f"expected one of {', '.join(words)}")

    return Kind(f"one of {', '.join(words)}", convert)


def some_of(*words: str) -> Kind:
    """Several of some words, each once."""
    one = one_of(*words).convert

    def convert(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one(word) for word in text.split()))

    return Kind(f"any of {', '.join(words)}, with blanks between", convert, many=True)


def servers(default_port: int) -> Kind:
    """Addresses of servers; the port may be left out."""

    def convert(text: str) -> tuple[Server, ...]:
        found = []
        for word in text.split():
            address, colon, port = word.partition(":")
            at = _PEER_PORT.convert(port) if colon else default_port
            found.append(Server(IPv4Address(address), at))
        return tuple(found)

    return Kind(
        f"ADDRESS[:PORT] (port {default_port}), several with blanks between", convert, many=True
    )


def _flag(text: str) -> bool:
    value = text.strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise ValueError("expected true or false")


def _pairs(text: str) -> dict[str, str]:
    pairs = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ValueError("expected NAME=VALUE, several with blanks between")
        pairs[name] = value
    return pairs


def _interface_address(text: str) -> IPv4Interface | None:
    if not text.strip():
        return None
    if "/" not in text:
        raise ValueError("expected ADDRESS/LENGTH, such as 10.0.0.1/24")
    return IPv4Interface(text.strip())


def _device(text: str) -> str:
    if not re.fullmatch(r"[^\s/]{1,15}", text.strip()):
        raise ValueError("expected the name of a network interface")
    return text.strip()


def _table_files(text: str) -> tuple[str, ...]:
    files = tuple(text.split())
    if files and (len(set(files)) != 2 or not all(name.startswith("/") for name in files)):
        raise ValueError("expected two files by their whole names, the bridge table's first")
    return files


def _port_range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", text)
    if not match or not int(match[1]) <= int(match[2]) <= 65535:
        raise ValueError('expected a port range "a-b"')
    return int(match[1]), int(match[2])


def _addresses(text: str) -> tuple[IPv4Address, ...]:
    return tuple(IPv4Address(word) for word in text.split())


def _networks(text: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(word, strict=False) for word in text.split())


def _pci_devices(text: str) -> tuple[PciDevice, ...]:
    return tuple(_pci_device(word) for word in text.split())


def _pci_device(word: str) -> PciDevice:
    found = re.fullmatch(r"([0-9a-f]{4}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])", word.lower())
    if found is None:
        raise ValueError("expected PCI addresses, such as 0000:04:00.0")
    return PciDevice(*(int(part, 16) for part in found.groups()))


def _macs(text: str) -> tuple[Mac, ...]:
    return tuple(Mac.parse(word) for word in text.split())


TEXT = Kind("a text", str.strip)
TABLE_FILES = Kind("BRIDGE_FILE FLOW_FILE, or nothing", _table_files, many=True)
WORDS = Kind("words with blanks between", lambda text: tuple(text.split()), many=True)
FLAG = Kind("true or false", _flag, switch=True)
COUNT = Kind("a whole number", number(0, 2**32 - 1).convert)
PORT = number(0, 65535)
_PEER_PORT = number(1, 65535)
PAIRS = Kind("NAME=VALUE, several with blanks between", _pairs, many=True)
INTERFACE_ADDRESS = Kind("ADDRESS/LENGTH", _interface_address)
DEVICE = Kind("the name of a network interface", _device)
LISTEN_ADDRESS = Kind("an address of this host", lambda text: str(ip_address(text.strip())))
ADDRESSES = Kind("IPv4 addresses with blanks between", _addresses, many=True)
NETWORKS = Kind("IPv4 prefixes with blanks between", _networks, many=True)
PCI_DEVICES = Kind("PCI addresses with blanks between", _pci_devices, many=True)
MACS = Kind("MAC addresses with blanks between", _macs, many=True)
PORT_RANGE = Kind("FIRST-LAST", _port_range)
