"""What answers tell of a nexthop: `NhSandeshData`."""

from __future__ import annotations

from typing import Any

from agent.objects import Key, Kind
from agent.oper.datapath import HOLE, Family, Nexthop, NexthopFlag, NexthopType, Vif
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF
from agent.telemetry import Node
from agent.values import Mac

_VIFS = ("fabric", "vhost", "pkt0")
_TYPES = {
    NexthopType.DISCARD: "discard",
    NexthopType.L2_RECEIVE: "l2-receive",
    NexthopType.RECEIVE: "receive",
    NexthopType.RESOLVE: "resolve",
    NexthopType.VRF_TRANSLATE: "vrf",
    NexthopType.TUNNEL: "tunnel",
}
_ENCAPS = {"arp": "arp", "service": "vlan"}
_TUNNELS = (
    (NexthopFlag.TUNNEL_GRE, "MPLSoGRE"),
    (NexthopFlag.TUNNEL_UDP_MPLS, "MPLSoUDP"),
    (NexthopFlag.TUNNEL_VXLAN, "VXLAN"),
    (NexthopFlag.TUNNEL_UDP, "UDP"),
)
_COMPOSITES = (
    (NexthopFlag.COMPOSITE_ECMP, "ECMP"),
    (NexthopFlag.COMPOSITE_FABRIC, "Fabric"),
    (NexthopFlag.COMPOSITE_EVPN, "EVPN"),
    (NexthopFlag.COMPOSITE_ENCAP, "Interface"),
    (NexthopFlag.MCAST, "L2"),
)
_PARTS = (
    (NexthopFlag.COMPOSITE_FABRIC, "fabric_comp"),
    (NexthopFlag.COMPOSITE_EVPN, "evpn_comp"),
    (NexthopFlag.COMPOSITE_ENCAP, "interface_comp"),
)
_VALID, _POLICY, _MCAST = NexthopFlag.VALID, NexthopFlag.POLICY, NexthopFlag.MCAST
_TAG = slice(14, 16)


def interface_name(node: Node, index: int | None) -> str:
    """The name of a vif; "" for one that is not there."""
    if index is None:
        return ""
    port = node.compiler.vmi(index)
    if port is not None:
        return port.name
    look = node.compiler.inspection
    own = Key(Kind.VIF, _VIFS[index]) if 0 <= index < len(_VIFS) else look.owner(Kind.VIF, index)
    row = look.row(own) if own is not None else None
    return row.name if isinstance(row, Vif) else ""


def vrf_name(node: Node, index: int) -> str:
    """The name of a VRF; "" for one that is not there."""
    if index in (0, 1):
        return (FABRIC_VRF, POLICY_VRF)[index]
    owner = node.compiler.inspection.owner(Kind.VRF, index)
    return str(owner.name) if owner is not None else ""


def nexthop_type(row: Nexthop) -> str:
    """The word for what a nexthop does."""
    if row.type is NexthopType.ENCAP:
        name = row.key.name
        return _ENCAPS.get(str(name[0]), "interface") if isinstance(name, tuple) else "interface"
    if row.type is NexthopType.COMPOSITE:
        kind = next((name for flag, name in _COMPOSITES if row.flags & flag), "")
        return f"{kind} Composite".strip()
    return "mirror" if row.ports else _TYPES[row.type]


def tunnel_type(row: Nexthop) -> str:
    """How a tunnel encapsulates; "" for what is none."""
    return next((name for flag, name in _TUNNELS if row.flags & flag), "")


def nexthop_values(node: Node, row: Nexthop) -> dict[str, Any]:
    """A nexthop that this host wants in the datapath."""
    values: dict[str, Any] = {
        "type": nexthop_type(row),
        "nh_index": row.index,
        "ref_count": node.session.above(row.key, 0)[1],
        "valid": "true" if row.flags & _VALID else "false",
        "policy": "enabled" if row.flags & _POLICY else "disabled",
    }
    match row.type:
        case NexthopType.ENCAP:
            values |= _encap(node, row)
        case NexthopType.TUNNEL:
            values |= _tunnel(node, row)
        case NexthopType.COMPOSITE:
            values |= _composite(node, row)
        case NexthopType.VRF_TRANSLATE:
            bridge = row.family is Family.BRIDGE
            flood = bool(row.flags & NexthopFlag.UNKNOWN_UC_FLOOD)
            values |= {"vxlan_flag": bridge, "flood_unknown_unicast": flood}
            values["vrf"] = vrf_name(node, row.vrf)
        case NexthopType.RECEIVE:
            values["itf"] = interface_name(node, row.vif)
        case NexthopType.RESOLVE:
            values |= {"itf": interface_name(node, 1), "vrf": vrf_name(node, row.vrf)}
    return values


def _encap(node: Node, row: Nexthop) -> dict[str, Any]:
    values: dict[str, Any] = {
        "itf": interface_name(node, row.vif),
        "mac": [str(Mac(row.encap[:6]))],
        "vrf": vrf_name(node, row.vrf),
        "mcast": "enabled" if row.flags & _MCAST else "disabled",
    }
    kind = nexthop_type(row)
    name: Any = row.key.name
    if kind == "arp":
        values["sip"] = str(name[1])
    elif kind == "vlan":
        values["vlan_tag"] = int.from_bytes(row.encap[_TAG], "big")
    return values


def _tunnel(node: Node, row: Nexthop) -> dict[str, Any]:
    source, far = row.ends or ("", "")
    values: dict[str, Any] = {
        "sip": str(source),
        "dip": str(far),
        "vrf": vrf_name(node, row.vrf),
        "tunnel_type": tunnel_type(row),
    }
    if any(row.encap[:6]):
        values["mac"] = [str(Mac(row.encap[:6]))]
        values["itf"] = interface_name(node, row.vif)
    if row.ports:
        values |= {"sport": row.ports[0], "dport": row.ports[1]}
    if row.rewrite:
        values["pbb_bmac"] = str(row.rewrite)
    return values


def _composite(node: Node, row: Nexthop) -> dict[str, Any]:
    labels = row.labels or (0,) * len(row.members)
    members = [_member(node, *each) for each in zip(row.members, labels, strict=True)]
    return {"vrf": vrf_name(node, row.vrf), "mc_list": members} | _parts(node, row)


def _parts(node: Node, row: Nexthop) -> dict[str, Any]:
    """The composites that a composite is made of, by their kinds."""
    found: dict[str, Any] = {}
    for number in row.members:
        part = node.compiler.inspection.nexthop(number) if number != HOLE else None
        name = next((field for flag, field in _PARTS if part and part.flags & flag), "")
        if part is not None and part.type is NexthopType.COMPOSITE and name:
            inner = _composite(node, part)["mc_list"]
            found[name] = {"type": nexthop_type(part), "mc_list": inner}
    return found


def _member(node: Node, number: int, label: int) -> dict[str, Any]:
    """A member of a composite; one that went leaves its place."""
    row = node.compiler.inspection.nexthop(number) if number != HOLE else None
    if row is None:
        return {"type": "NULL", "label": label}
    values: dict[str, Any] = {"type": nexthop_type(row).title(), "label": label}
    if row.ends:
        values |= {"sip": str(row.ends[0]), "dip": str(row.ends[1])}
    if row.type is NexthopType.ENCAP:
        values["itf"] = interface_name(node, row.vif)
    return values
