"""Fat flows: which flows of a port are taken together (facts oper-db.md 4.3).

Their form in the messages of vifs: facts sandesh-ksync.md 4.1, 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, NamedTuple
from uuid import UUID

from agent.ifmap import Identity
from agent.oper.flow_rows import FatFlow
from agent.oper.incremental import View
from agent.oper.world import BY_UUID, BadConfig, items, member, neighbours, node, number, subnet
from agent.values import Prefix, ip4_as_loaded, ip6_as_loaded

_VMI = "virtual-machine-interface"
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "icmpv6": 58, "sctp": 132}
_IGNORE = {"source": 1, "destination": 2, "": 3}
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
    said = str(member(value, "ignore-address"))
    ignore = said if said in _IGNORE else ""
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


class Columns(NamedTuple):
    """The fat flows of a vif as its message has them: one list a field, in step."""

    protocol_port: tuple[int, ...]
    source_high: tuple[int, ...]
    source_low: tuple[int, ...]
    source_length: bytes
    source_aggregate: bytes
    destination_high: tuple[int, ...]
    destination_low: tuple[int, ...]
    destination_length: bytes
    destination_aggregate: bytes


def columns(flows: tuple[FatFlow, ...]) -> Columns:
    """The lists of the message; prefixes in halves as the datapath loads them."""
    sources = [_halves(one.source) for one in flows]
    destinations = [_halves(one.destination) for one in flows]
    return Columns(
        tuple(_word(one) for one in flows),
        tuple(high for high, _, _ in sources),
        tuple(low for _, low, _ in sources),
        bytes(length for _, _, length in sources),
        bytes(one.source_length for one in flows),
        tuple(high for high, _, _ in destinations),
        tuple(low for _, low, _ in destinations),
        bytes(length for _, _, length in destinations),
        bytes(one.destination_length for one in flows),
    )


def _word(one: FatFlow) -> int:
    """Bits 31-28 what is aggregated, 25-24 which address is ignored, then protocol and port."""
    ignored = _IGNORE[one.ignore]
    return _aggregated(one) << 28 | ignored << 24 | one.protocol << 16 | one.port


def _aggregated(one: FatFlow) -> int:
    """1 destination, 2 source, 3 both, of IPv6; 4, 5, 6 of IPv4; 0 nothing."""
    sides = (one.destination is not None) | (one.source is not None) << 1
    prefix = one.source or one.destination
    return sides + 3 if prefix is not None and prefix.version == 4 else sides


def _halves(prefix: Prefix | None) -> tuple[int, int, int]:
    """The upper and lower half of a prefix, and its length; zeros for none."""
    if prefix is None:
        return 0, 0, 0
    first = prefix.network_address
    if isinstance(first, IPv4Address):
        return 0, ip4_as_loaded(first), prefix.prefixlen
    return (*ip6_as_loaded(first), prefix.prefixlen)
