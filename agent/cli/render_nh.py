"""How `nh` prints a nexthop. Facts: vrouter-cli.md."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from agent.cli.render import flag_names, hex_bytes, ip4_loaded, mac
from agent.sandesh.vrouter import VrNexthopReq

DEAD, RECEIVE, ENCAP, TUNNEL, RESOLVE, DISCARD, COMPOSITE, VRF_TRANSLATE, L2_RECEIVE = range(9)
TYPES = (
    "Dead", "Receive", "Encap", "Tunnel", "Resolve", "Drop", "Composite", "Vrf_Translate",
    "L2 Receive",
)  # fmt: skip
FAMILIES = {0: "AF_UNSPEC", 2: "AF_INET", 7: "AF_BRIDGE", 10: "AF_INET6"}
INET6 = 10
UDP_TUNNEL, VXLAN, PBB, OVER_MPLS = 0x10, 0x80, 0x80000, 0x4000000
FLAGS: tuple[tuple[int, str, int | None], ...] = (
    (0x1, "Valid", None),
    (0x2, "Policy", None),
    (0x8, "MPLSoGRE", TUNNEL),
    (0x10, "Udp", TUNNEL),
    (0x20, "Multicast", None),
    (0x40, "MPLSoUDP", TUNNEL),
    (0x80, "Vxlan", None),
    (0x100, "Policy(R)", None),
    (0x200, "Fabric", COMPOSITE),
    (0x400, "Ecmp", COMPOSITE),
    (0x800, "LU Ecmp", COMPOSITE),
    (0x1000, "Evpn", COMPOSITE),
    (0x2000, "Encap", COMPOSITE),
    (0x4000, "Tor", COMPOSITE),
    (0x8000, "RouteLookup", None),
    (0x10000, "Unicast Flood", None),
    (0x20000, "Copy SIP", None),
    (0x40000, "Flow Lookup", None),
    (0x80000, "Pbb", None),
    (0x100000, "Mac Learn", None),
    (0x200000, "Etree Root", None),
    (0x400000, "Indirect", None),
    (0x800000, "Evpn Control Word", None),
    (0x1000000, "Encrypt Traffic", None),
    (0x2000000, "l3_vxlan", None),
    (0x10000000, "Underlay Ecmp", None),
)
"""(bit, name, the only type for which it is printed)"""
HASH_FIELDS = ((0x1, "Proto"), (0x2, "SrcIP"), (0x4, "SrcPort"), (0x8, "DstIp"), (0x10, "DstPort"))
_PAD = " " * 14
_SUB_LINE = 60


def type_name(kind: int) -> str:
    """The nexthop type as a word."""
    return TYPES[kind] if 0 <= kind < len(TYPES) else "Invalid"


def flags(nexthop: VrNexthopReq) -> list[str]:
    """The names of the flags that mean something for this type."""
    names = flag_names(
        nexthop.nhr_flags,
        [(bit, name) for bit, name, only in FLAGS if only in (None, nexthop.nhr_type)],
    )
    if nexthop.nhr_flags & OVER_MPLS:
        names = [f"MPLSo{name}" if name.startswith("MPLSo") else name for name in names]
    return names


def _head(nexthop: VrNexthopReq) -> Iterator[str]:
    family = FAMILIES.get(nexthop.nhr_family, "N/A")
    yield (
        f"Id:{nexthop.nhr_id:<9}  Type:{type_name(nexthop.nhr_type):<13}  Fmly:{family:>8}  "
        f"Rid:{nexthop.nhr_rid}  Ref_cnt:{nexthop.nhr_ref_cnt:<9}  Vrf:{nexthop.nhr_vrf}"
    )
    yield f"{_PAD}Flags:" + ("".join(f"{name}, " for name in flags(nexthop)) or "None")


def _interfaces(nexthop: VrNexthopReq) -> str:
    return "".join(f"Oif:{index} " for index in nexthop.nhr_encap_oif_id)


def _receive(nexthop: VrNexthopReq) -> Iterator[str]:
    yield f"{_PAD}{_interfaces(nexthop).rstrip()}"


def _encap(nexthop: VrNexthopReq) -> Iterator[str]:
    yield (
        f"{_PAD}EncapFmly:{nexthop.nhr_encap_family:04x} {_interfaces(nexthop)}"
        f"Len:{nexthop.nhr_encap_len}"
    )
    yield f"{_PAD}Encap Data: {hex_bytes(nexthop.nhr_encap)}"


def _tunnel(nexthop: VrNexthopReq) -> Iterator[str]:
    if nexthop.nhr_flags & PBB:
        labels = nexthop.nhr_label_list
        yield f"{_PAD}Bmac:{mac(nexthop.nhr_pbb_mac)} Label:{labels[0] if labels else -1}"
        return
    data = hex_bytes(nexthop.nhr_encap)
    yield f"{_PAD}{_interfaces(nexthop)}Len:{nexthop.nhr_encap_len} Data:{data}"
    yield f"{_PAD}{_endpoints(nexthop)}"
    if nexthop.nhr_flags & UDP_TUNNEL:
        source, destination = _swapped(nexthop.nhr_tun_sport), _swapped(nexthop.nhr_tun_dport)
        yield f"{_PAD}Sport:{source} Dport:{destination}"
        yield ""


def _ends(nexthop: VrNexthopReq) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    """Source and destination of a tunnel."""
    if nexthop.nhr_family == INET6:
        source, destination = nexthop.nhr_tun_sip6, nexthop.nhr_tun_dip6
        if len(source) == len(destination) == 16:
            return IPv6Address(source), IPv6Address(destination)
    return ip4_loaded(nexthop.nhr_tun_sip), ip4_loaded(nexthop.nhr_tun_dip)


def _endpoints(nexthop: VrNexthopReq) -> str:
    source, destination = _ends(nexthop)
    if source.version == 6:
        return f"Sip: {source} Dip: {destination}"
    text = f"Sip:{source} Dip:{destination}"
    if nexthop.nhr_flags & OVER_MPLS:
        text += f" Transport Label:{nexthop.nhr_transport_label}"
    return text


def _swapped(port: int) -> int:
    """A port that travels in network order inside a host integer."""
    return int.from_bytes((port & 0xFFFF).to_bytes(2, "little"), "big")


def _composite(nexthop: VrNexthopReq) -> Iterator[str]:
    fields = flag_names(nexthop.nhr_ecmp_config_hash, HASH_FIELDS)
    if fields:
        yield f"{_PAD}Valid Hash Key Parameters: {','.join(fields)}"
    line = f"{_PAD}Sub NH(label):"
    for sub, label in zip(nexthop.nhr_nh_list, nexthop.nhr_label_list, strict=False):
        if len(line) > _SUB_LINE:
            yield line
            line = _PAD + " " * 14
        line += f" {sub}" + (f"({label})" if label >= 0 else "")
    more = nexthop.nhr_nh_count - len(nexthop.nhr_nh_list)
    yield line + (f" and {more} more components..." if more > 0 else "")


def _translate(nexthop: VrNexthopReq) -> Iterator[str]:
    yield f"{_PAD}Vrf:{nexthop.nhr_vrf}"


_BODIES = {
    RECEIVE: _receive,
    ENCAP: _encap,
    TUNNEL: _tunnel,
    COMPOSITE: _composite,
    VRF_TRANSLATE: _translate,
}


def lines(nexthop: VrNexthopReq) -> Iterator[str]:
    """The lines of one nexthop, a blank one at the end."""
    yield from _head(nexthop)
    if (body := _BODIES.get(nexthop.nhr_type)) is not None:
        yield from body(nexthop)
    yield ""


def _tunnel_json(nexthop: VrNexthopReq) -> dict[str, Any]:
    """Where a tunnel goes, and what it adds to a packet."""
    if nexthop.nhr_flags & PBB:
        return {"bmac": mac(nexthop.nhr_pbb_mac), "label": next(iter(nexthop.nhr_label_list), None)}
    source, destination = _ends(nexthop)
    found: dict[str, Any] = {"source": str(source), "destination": str(destination)}
    if nexthop.nhr_flags & UDP_TUNNEL:
        found["sport"] = _swapped(nexthop.nhr_tun_sport)
        found["dport"] = _swapped(nexthop.nhr_tun_dport)
    if nexthop.nhr_flags & OVER_MPLS:
        found["transport_label"] = nexthop.nhr_transport_label
    return found


def as_json(nexthop: VrNexthopReq) -> dict[str, Any]:
    """One nexthop for programs."""
    found: dict[str, Any] = {
        "id": nexthop.nhr_id,
        "type": type_name(nexthop.nhr_type),
        "family": FAMILIES.get(nexthop.nhr_family, str(nexthop.nhr_family)),
        "vrf": nexthop.nhr_vrf,
        "ref": nexthop.nhr_ref_cnt,
        "flags": flags(nexthop),
    }
    if nexthop.nhr_type in (RECEIVE, ENCAP, TUNNEL):
        found["interfaces"] = list(nexthop.nhr_encap_oif_id)
    if nexthop.nhr_type in (ENCAP, TUNNEL):
        found["encap"] = nexthop.nhr_encap.hex()
    if nexthop.nhr_type == TUNNEL:
        found |= _tunnel_json(nexthop)
    if nexthop.nhr_type == COMPOSITE:
        pairs = zip(nexthop.nhr_nh_list, nexthop.nhr_label_list, strict=False)
        found["components"] = [{"nexthop": sub, "label": label} for sub, label in pairs]
        found["component_count"] = max(nexthop.nhr_nh_count, len(nexthop.nhr_nh_list))
    return found
