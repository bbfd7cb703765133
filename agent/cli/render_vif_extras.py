"""How `vif` prints mirror metadata and fat flows of an interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from agent.cli.render import INDENT, ip4_loaded, ip6_loaded
from agent.sandesh.vrouter import VrInterfaceReq

_METADATA_COLUMN = 68


def metadata(title: str, octets: bytes) -> Iterator[str]:
    """The lines of the bytes that go before mirrored packets; none without."""
    if not octets:
        return
    indent = " " * (len(INDENT) + len(title) + 2)
    line = f"{INDENT}{title}: "
    for octet in octets:
        line += f"{octet:x} "
        if len(line) > _METADATA_COLUMN:
            yield line
            line = indent
    yield line


@dataclass(frozen=True, slots=True)
class FatFlowRule:
    """Packets of a protocol with this port (0: any) share a flow.

    `ignored`: the end whose address does not count, Sip or Dip. `source` and `destination`:
    addresses of PREFIX share one for each so many bits of them.
    """

    protocol: int
    port: int
    ignored: str
    source: tuple[str, int] | None
    destination: tuple[str, int] | None

    def line(self) -> str:
        """As `vif` prints it."""
        text = f"{self.protocol}:" + (f"{self.port} " if self.port else "*")
        text += f" - {self.ignored}" if self.ignored else ""
        for title, aggregate in (("AggrSrc", self.source), ("AggrDst", self.destination)):
            text += "" if aggregate is None else f" {title} {aggregate[0]} {aggregate[1]}"
        return text

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "protocol": self.protocol,
            "port": self.port or None,
            "ignored": self.ignored.lower() or None,
            "source": _aggregate_json(self.source),
            "destination": _aggregate_json(self.destination),
        }


def _aggregate_json(aggregate: tuple[str, int] | None) -> dict[str, Any] | None:
    return None if aggregate is None else {"prefix": aggregate[0], "bits": aggregate[1]}


_IGNORED = {1: "Sip", 2: "Dip"}
_OF_SOURCE, _OF_DESTINATION, _OF_IP4 = (2, 3, 5, 6), (1, 3, 4, 6), (4, 5, 6)
"""How prefixes are aggregated: 1 to 3 IPv6, 4 to 6 IPv4; destination, source, both."""


def fat_flow_rule(vif: VrInterfaceReq, number: int) -> FatFlowRule:
    """One of the rules of an interface."""
    word = vif.vifr_fat_flow_protocol_port[number]
    protocol, port, kind = word >> 16 & 0xFF, word & 0xFFFF, word >> 28 & 0xF
    if not protocol:
        protocol, port = port, 0
    return FatFlowRule(
        protocol,
        port,
        _IGNORED.get(word >> 24 & 0x3, ""),
        _aggregate(vif, number, "src", kind) if kind in _OF_SOURCE else None,
        _aggregate(vif, number, "dst", kind) if kind in _OF_DESTINATION else None,
    )


def _aggregate(vif: VrInterfaceReq, number: int, side: str, kind: int) -> tuple[str, int]:
    high = element(getattr(vif, f"vifr_fat_flow_{side}_prefix_h"), number)
    low = element(getattr(vif, f"vifr_fat_flow_{side}_prefix_l"), number)
    length = element(getattr(vif, f"vifr_fat_flow_{side}_prefix_mask"), number)
    bits = element(getattr(vif, f"vifr_fat_flow_{side}_aggregate_plen"), number)
    address = ip4_loaded(low) if kind in _OF_IP4 else ip6_loaded(high, low)
    return f"{address}/{length}", bits


def fat_flow_rules(vif: VrInterfaceReq) -> Iterator[str]:
    """The lines of fat flows, a blank one before them; none without rules."""
    if not vif.vifr_fat_flow_protocol_port:
        return
    yield ""
    yield f"{INDENT}FatFlow rules: "
    for number in range(len(vif.vifr_fat_flow_protocol_port)):
        yield f"{INDENT}\t{fat_flow_rule(vif, number).line()}"


def fat_flows_excluded(
    vif: VrInterfaceReq,
) -> tuple[tuple[str, list[IPv4Address | IPv6Address]], ...]:
    """(family, addresses) that have flows of their own."""
    pairs = zip(
        vif.vifr_fat_flow_exclude_ip6_u_list, vif.vifr_fat_flow_exclude_ip6_l_list, strict=False
    )
    return (
        ("IPv4", [ip4_loaded(word) for word in vif.vifr_fat_flow_exclude_ip_list]),
        ("IPv6", [ip6_loaded(upper, lower) for upper, lower in pairs]),
    )


def fat_flow_excludes(vif: VrInterfaceReq) -> Iterator[str]:
    """The lines of addresses that fat flows leave out, a blank one behind each family."""
    for family, addresses in fat_flows_excluded(vif):
        if addresses:
            yield f"{INDENT}FatFlows {family} exclude prefix list:"
            yield from (f"{INDENT}\t{address}" for address in addresses)
            yield ""


def element(values: Any, position: int) -> int:
    """One number of a list that a datapath may have sent too short."""
    return int(values[position]) if position < len(values) else 0
