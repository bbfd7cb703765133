"""How `nh` prints a nexthop. Facts: vrouter-cli.md."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from agent.cli.render import flag_names, hex_bytes, ip4_loaded, mac
from agent.sandesh.vrouter import VrNexthopReq

DEAD, RECEIVE, ENCAP, TUNNEL, RESOLVE, DISCARD, COMPOSITE, VRF_TRANSLATE, L2_RECEIVE = range(9)
TYPES = (
    "Dead", "Receive", "Encap", "Tunnel", "Resolve", "Drop", "Composite", "Vrf_Translate",
    "L2 Receive",
)  # fmt: skip
FAMILIES = {0: "AF_UNSPEC", 2: "AF_INET", 7: "AF_BRIDGE", 10: "AF_INET6"}
INET6 = 10
UDP_TUNNEL, ECMP, PBB, INDIRECT = 0x10, 0x400, 0x80000, 0x400000
L3_VXLAN, OVER_MPLS, UNDERLAY_ECMP = 0x2000000, 0x4000000, 0x10000000
COPY_SOURCE = 0x20000
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
HASH_FIELDS = (
    (0x1, "Proto,"),
    (0x2, "SrcIP,"),
    (0x4, "SrcPort,"),
    (0x8, "DstIp,"),
    (0x10, "DstPort"),
)
"""As the original writes them one behind the other."""
_HASH_MASK = 0x1F
_PAD = " " * 14
_NEXT = f"\n{_PAD}"
_SUB_LINE = 60
_NO_HEADER = "Len:0 Data:NULL"


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


def _head(nexthop: VrNexthopReq) -> str:
    family = FAMILIES.get(nexthop.nhr_family, "N/A")
    names = "".join(f"{name}, " for name in flags(nexthop)) if nexthop.nhr_flags else "None"
    return (
        f"Id:{nexthop.nhr_id:<9}  Type:{type_name(nexthop.nhr_type):<13}  Fmly:{family:>8}  "
        f"Rid:{nexthop.nhr_rid}  Ref_cnt:{nexthop.nhr_ref_cnt:<10} Vrf:{nexthop.nhr_vrf}"
        f"{_NEXT}Flags:{names}"
    )


def _direct(nexthop: VrNexthopReq) -> str:
    """The nexthop that an indirect one stands for."""
    if not nexthop.nhr_flags & INDIRECT or not nexthop.nhr_nh_list:
        return ""
    return f"{_NEXT}Direct NH(label): {nexthop.nhr_nh_list[0]}({first_label(nexthop)})"


def first_label(nexthop: VrNexthopReq) -> int:
    """-1: none."""
    return next(iter(nexthop.nhr_label_list), -1)


def _interface(nexthop: VrNexthopReq) -> int:
    return next(iter(nexthop.nhr_encap_oif_id), -1)


def _receive(nexthop: VrNexthopReq) -> str:
    return f"{_NEXT}Oif:{_interface(nexthop)}"


def _encap(nexthop: VrNexthopReq) -> str:
    return (
        f"{_NEXT}EncapFmly:{nexthop.nhr_encap_family & 0xFFFF:04x} Oif:{_interface(nexthop)} "
        f"Len:{len(nexthop.nhr_encap)}{_NEXT}Encap Data: {hex_bytes(nexthop.nhr_encap)}"
    )


def _tunnel(nexthop: VrNexthopReq) -> str:
    text = _NEXT
    if not nexthop.nhr_flags & PBB:
        text += _path(nexthop) + _endpoints(nexthop)
    if nexthop.nhr_flags & UDP_TUNNEL:
        source, destination = swapped(nexthop.nhr_tun_sport), swapped(nexthop.nhr_tun_dport)
        text += f"{_NEXT}Sport:{source} Dport:{destination}\n"
    if nexthop.nhr_flags & L3_VXLAN:
        text += f" L3_Vxlan_Mac: {mac(nexthop.nhr_rw_dst_mac)}"
    if nexthop.nhr_flags & PBB:
        text += f"Bmac:{mac(nexthop.nhr_pbb_mac)} Label:{first_label(nexthop)}"
    if nexthop.nhr_flags & OVER_MPLS:
        text += f" Transport Label:{nexthop.nhr_transport_label}"
    if nexthop.nhr_encap_crypt_oif_id not in (0, -1):
        text += f"{_NEXT}CryptOif:{nexthop.nhr_encap_crypt_oif_id}\n"
    return text


def _path(nexthop: VrNexthopReq) -> str:
    """Which interface packets leave by, behind which header; each way of several."""
    if nexthop.nhr_flags & UNDERLAY_ECMP:
        return "".join(
            f"Oif:{interface} EncapValid:{valid} "
            + (f"Len:{nexthop.nhr_encap_len} Data:{hex_bytes(header)}" if valid else _NO_HEADER)
            + _NEXT
            for interface, valid, header in paths(nexthop)
        )
    data = hex_bytes(nexthop.nhr_encap)
    return f"Oif:{_interface(nexthop)} Len:{len(nexthop.nhr_encap)} Data:{data}{_NEXT}"


def paths(nexthop: VrNexthopReq) -> Iterator[tuple[int, int, bytes]]:
    """(interface, whether it can be used, Ethernet header) of each way of several."""
    size, valid = max(nexthop.nhr_encap_len, 0), nexthop.nhr_encap_valid
    for position, interface in enumerate(nexthop.nhr_encap_oif_id):
        good = valid[position] if position < len(valid) else 0
        yield interface, good, nexthop.nhr_encap[position * size : (position + 1) * size]


def ends(nexthop: VrNexthopReq) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    """Source and destination of a tunnel."""
    if nexthop.nhr_family == INET6:
        source, destination = nexthop.nhr_tun_sip6, nexthop.nhr_tun_dip6
        if len(source) == len(destination) == 16:
            return IPv6Address(source), IPv6Address(destination)
    return ip4_loaded(nexthop.nhr_tun_sip), ip4_loaded(nexthop.nhr_tun_dip)


def _endpoints(nexthop: VrNexthopReq) -> str:
    source, destination = ends(nexthop)
    if source.version == 6:
        return f"Sip: {source} Dip: {destination}"
    return f"Sip:{source} Dip:{destination}"


def swapped(port: int) -> int:
    """A port that travels in network order inside a host integer."""
    return int.from_bytes((port & 0xFFFF).to_bytes(2, "little"), "big")


def _composite(nexthop: VrNexthopReq) -> str:
    text = ""
    fields = nexthop.nhr_ecmp_config_hash & _HASH_MASK
    if nexthop.nhr_flags & ECMP and fields:
        names = "".join(flag_names(fields, HASH_FIELDS))
        text = f"{_NEXT}Valid Hash Key Parameters: {names}"
    text += f"{_NEXT}Sub NH(label):{_components(nexthop)}"
    more = nexthop.nhr_nh_count - len(nexthop.nhr_nh_list)
    return text + (f" and {more} more components...\n" if nexthop.nhr_nh_count and more else "")


def _components(nexthop: VrNexthopReq) -> str:
    text = line = ""
    for position, sub in enumerate(nexthop.nhr_nh_list):
        if len(line) > _SUB_LINE:
            text += f"{line}{_NEXT}{_PAD}"
            line = ""
        label = label_of(nexthop, position)
        line += f" {sub}" + (f"({label})" if label >= 0 else "")
    return text + line


def label_of(nexthop: VrNexthopReq, position: int) -> int:
    """The label that a component is reached with, -1 none."""
    labels = nexthop.nhr_label_list
    return labels[position] if position < len(labels) else -1


def _translate(nexthop: VrNexthopReq) -> str:
    return f"{_NEXT}Vrf:{nexthop.nhr_vrf}"


_BODIES = {
    RECEIVE: _receive,
    ENCAP: _encap,
    TUNNEL: _tunnel,
    COMPOSITE: _composite,
    VRF_TRANSLATE: _translate,
}


def text(nexthop: VrNexthopReq) -> str:
    """One nexthop, a blank line at the end."""
    body = _BODIES.get(nexthop.nhr_type)
    return _head(nexthop) + _direct(nexthop) + (body(nexthop) if body else "") + "\n\n"
