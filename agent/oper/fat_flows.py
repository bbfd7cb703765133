"""Fat flows: which flows of a port are taken together (facts oper-db.md 4.3).

Their form in the messages of vifs: facts sandesh-ksync.md 4.1, 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from agent.ifmap import Identity
from agent.oper.flow_rows import FatFlow
from agent.oper.incremental import View
from agent.oper.world import BY_UUID, BadConfig, items, member, neighbours, node, number, subnet
from agent.values import Prefix

_VMI = "virtual-machine-interface"
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "icmpv6": 58, "sctp": 132}
_IGNORED = ("source", "destination")
_MOST_PORT = 65535


def fat_flows(view: View, uuid: UUID) -> tuple[FatFlow, ...]:
    """The fat flows of a VMI, then those of its network; of one protocol and port the first.

    Malformed ones are left out.
    """
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    if ref is None:
        return ()
    found: dict[object, FatFlow] = {}
    holders = (ref, *neighbours(view, ref, f"{_VMI}-virtual-network", "virtual-network"))
    for holder in holders:
        configured = node(view, holder)
        for one in _listed(configured and configured.properties, holder.type):
            found.setdefault((one.protocol, one.port, one.source, one.destination), one)
    return tuple(found.values())


def _listed(properties: Any, kind: str) -> Iterator[FatFlow]:
    try:
        listed = items(properties, f"{kind}-fat-flow-protocols", "fat-flow-protocol")
    except BadConfig:
        return
    for value in listed:
        one = _fat_flow(value)
        if one is not None:
            yield one


def _fat_flow(value: object) -> FatFlow | None:
    try:
        protocol, port = _protocol(value), number(member(value, "port"), "port")
        source = _aggregate(value, "source")
        destination = _aggregate(value, "destination")
    except BadConfig:
        return None
    prefixes = [prefix for prefix, _ in (source, destination) if prefix is not None]
    if not 0 <= port <= _MOST_PORT or len({prefix.version for prefix in prefixes}) > 1:
        return None
    said = member(value, "ignore-address")
    ignore = str(said) if said in _IGNORED else ""
    return FatFlow(protocol, port, ignore, *source, *destination)


def _protocol(value: object) -> int:
    text = str(member(value, "protocol")).lower()
    found = _PROTOCOLS.get(text, int(text) if text.isdecimal() and len(text) < 4 else 0)
    if not 0 < found < 256:
        raise BadConfig(f"protocol: {text!r} is none")
    return found


def _aggregate(value: object, side: str) -> tuple[Prefix | None, int]:
    """The addresses of a side that are taken together, and the length to which they are cut."""
    said = member(value, f"{side}-prefix")
    if not member(said, "ip-prefix"):
        return None, 0
    prefix = subnet(said, f"{side}-prefix")
    name = f"{side}-aggregate-prefix-length"
    length = number(member(value, name), name)
    if not prefix.prefixlen <= length <= prefix.max_prefixlen:
        raise BadConfig(f"{name}: {length} is not a length within {prefix}")
    return prefix, length
