"""How `vif` prints mirror metadata and fat flows of an interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.cli.render import INDENT, ip4_loaded, ip6_loaded
from agent.sandesh.vrouter import VrInterfaceReq

_METADATA_COLUMN = 68


def metadata(title: str, octets: bytes) -> Iterator[str]:
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


_IGNORED = {1: " - Sip", 2: " - Dip"}


def fat_flow_rules(vif: VrInterfaceReq) -> Iterator[str]:
    if not vif.vifr_fat_flow_protocol_port:
        return
    yield ""
    yield f"{INDENT}FatFlow rules: "
    for position, word in enumerate(vif.vifr_fat_flow_protocol_port):
        proto, port = word >> 16 & 0xFF, word & 0xFFFF
        if not proto:
            proto, port = port, 0
        text = f"{proto}:{f'{port} ' if port else '*'}{_IGNORED.get(word >> 24 & 0x3, '')}"
        yield f"{INDENT}\t{text}{_aggregates(vif, position, word >> 28 & 0xF)}"


def _aggregates(vif: VrInterfaceReq, position: int, kind: int) -> str:
    """Prefix aggregation: 1 to 3 IPv6, 4 to 6 IPv4; destination, source, both."""
    text = ""
    for side, title, kinds in (("src", "AggrSrc", (2, 3, 5, 6)), ("dst", "AggrDst", (1, 3, 4, 6))):
        if kind not in kinds:
            continue
        high = element(getattr(vif, f"vifr_fat_flow_{side}_prefix_h"), position)
        low = element(getattr(vif, f"vifr_fat_flow_{side}_prefix_l"), position)
        length = element(getattr(vif, f"vifr_fat_flow_{side}_prefix_mask"), position)
        aggregate = element(getattr(vif, f"vifr_fat_flow_{side}_aggregate_plen"), position)
        prefix = ip4_loaded(low) if kind >= 4 else ip6_loaded(high, low)
        text += f" {title} {prefix}/{length} {aggregate}"
    return text


def fat_flow_excludes(vif: VrInterfaceReq) -> Iterator[str]:
    pairs = zip(
        vif.vifr_fat_flow_exclude_ip6_u_list, vif.vifr_fat_flow_exclude_ip6_l_list, strict=False
    )
    lists: tuple[tuple[str, list[object]], ...] = (
        ("IPv4", [ip4_loaded(word) for word in vif.vifr_fat_flow_exclude_ip_list]),
        ("IPv6", [ip6_loaded(upper, lower) for upper, lower in pairs]),
    )
    for family, addresses in lists:
        if addresses:
            yield f"{INDENT}FatFlows {family} exclude prefix list:"
            yield from (f"{INDENT}\t{address}" for address in addresses)
            yield ""


def element(values: Any, position: int) -> int:
    return int(values[position]) if position < len(values) else 0
