"""The golden frames of tests/vectors/pkt0.jsonl and the port that they assume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from agent.pkt import Port

LINES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "vectors" / "pkt0.jsonl").read_text().splitlines()
]
FRAMES = {line["name"]: bytes.fromhex(line["hex"]) for line in LINES}
EXPECT: dict[str, dict[str, Any]] = {line["name"]: line["expect"] for line in LINES}

GATEWAYS = [int(IPv4Address(text)) for text in ("10.1.1.1", "10.1.1.2")]
PORT = Port(
    vmi=True,
    dhcp=True,
    dhcpv6=True,
    dns=True,
    router_id=int(IPv4Address("192.168.0.1")),
    gateways=GATEWAYS,
)


def encapsulated(cmd: int, inner: bytes, ifindex: int = 7, vrf: int = 3) -> bytes:
    """A frame as the datapath traps it."""
    header = b"".join(value.to_bytes(2) for value in (ifindex, vrf, cmd))
    return bytes(12) + b"\x08\x00" + header + bytes(24) + inner


def differences(expected: Any, got: Any, path: str = "") -> Iterator[str]:
    """Where `got` lacks or contradicts something of `expected`."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, value in expected.items():
            if key not in got:
                yield f"{path}.{key} is missing"
            else:
                yield from differences(value, got[key], f"{path}.{key}")
    elif expected != got:
        yield f"{path}: expected {expected!r}, got {got!r}"
