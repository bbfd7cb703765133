"""What answers tell of one path of a route: `PathSandeshData`."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any, TypeAlias, cast

from agent.introspect.request import Values
from agent.introspect.snh.nh_values import nexthop_values, tunnel_type
from agent.objects import DatapathMessage, Key, Kind
from agent.oper.datapath import InetFlag, Label, Nexthop, Peer, Route
from agent.oper.direction import label_of
from agent.oper.encapsulation import MOST_LABEL
from agent.oper.rows import Vmi
from agent.oper.security_group import security_groups
from agent.oper.tag import tags
from agent.oper.vrf_facts import VrfFacts
from agent.rib import preference
from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    LoadBalanceField,
    PublishedRoute,
    RouteAttributes,
)
from agent.sandesh.vrouter import VrRouteReq
from agent.sandesh.xml import Fixed
from agent.telemetry import Node
from agent.values import Mac

Said: TypeAlias = "tuple[str, RouteAttributes, bool]"
"""A controller's path: the controller, the path, whether it is stale."""

_PEERS = {
    Peer.MULTICAST: "Multicast",
    Peer.EVPN: "EVPN",
    Peer.EVPN_ROUTING: "EVPN Router",
    Peer.LINK_LOCAL: "LinkLocal",
    Peer.ECMP: "Ecmp",
    Peer.LOCAL_VM_PORT: "LocalVmPort",
    Peer.LOCAL_VM: "Local_Vm",
    Peer.LOCAL: "Local",
    Peer.VGW: "Vgw",
}
_OF_PORTS = (Peer.LOCAL_VM_PORT, Peer.EVPN)
_ENCAPSULATIONS = {
    Encapsulation.GRE: "MPLSoGRE",
    Encapsulation.UDP: "MPLSoUDP",
    Encapsulation.VXLAN: "VXLAN",
    Encapsulation.NATIVE: "Underlay",
    Encapsulation.MPLS: "MPLSoMPLS",
}
_OWN = "MPLSoGRE MPLSoUDP"
_NO_LABEL = -1


_MOST = 4096


class Shown:
    """What is the same in many rows of an answer, made once as long as it stays the same."""

    __slots__ = ("_nexthops", "_node", "_paths")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._nexthops: dict[int, tuple[Nexthop, Fixed]] = {}
        self._paths: dict[tuple[str, int, bool, int], tuple[RouteAttributes, Fixed]] = {}

    def nexthop(self, row: Nexthop) -> Fixed:
        """The fields of a nexthop."""
        known = self._nexthops.get(row.index)
        if known is not None and known[0] is row:
            return known[1]
        if len(self._nexthops) >= _MOST:
            self._nexthops.clear()
        made = Fixed(nexthop_values(self._node, row))
        self._nexthops[row.index] = row, made
        return made

    def path(self, told: Said, via: Nexthop | None) -> Fixed:
        """The fields of a controller's path; `via` is its nexthop, if it is in force.

        Without, it is told as the controller told it, or as the port of ours it leads to.
        """
        peer, path, stale = told
        if via is None:
            via = _of_this_host(self._node, path)
        key = peer, id(path), stale, -1 if via is None else via.index
        nexthop = None if via is None else self.nexthop(via)
        known = self._paths.get(key)
        if known is not None and known[0] is path and nexthop in (None, known[1]["nh"]):
            return known[1]
        if len(self._paths) >= _MOST:
            self._paths.clear()
        made = Fixed(_remote_path(self._node, nexthop, told))
        self._paths[key] = path, made
        return made


def local_path(node: Node, shown: Shown, facts: VrfFacts | None, row: Route) -> dict[str, Any]:
    """A path of this host's own."""
    via = node.compiler.inspection.nexthop(row.nexthop_index)
    network, port = facts.network if facts else "", _port(node, row)
    label = _label(node, row, via)
    values: dict[str, Any] = {
        "nh": shown.nexthop(via) if via is not None else _unused("discard"),
        "label": label,
        "active_label": label,
        "vxlan_id": 0,
        "peer": _PEERS[row.peer],
        "dest_vn_list": [network] if network else [],
        "origin_vn": network,
        "unresolved": "true" if via is None else "false",
        "supported_tunnel_type": _OWN,
        "active_tunnel_type": tunnel_type(via) if via is not None else "",
        "path_preference_data": {
            "sequence": row.sequence,
            "preference": row.preference,
            "ecmp": row.peer is Peer.ECMP,
            "wait_for_traffic": bool(not _bridged(row) and row.flags & InetFlag.ARP_TRAP),
        },
        "sg_list": [],
        "communities": [],
        "tag_list": [],
    }
    if port is not None:
        look = node.compiler.inspection
        values["sg_list"] = list(look.result(security_groups, port.uuid) or ())
        values["tag_list"] = list(look.result(tags, port.uuid) or ())
        values["vm_name"] = port.vm_name
    return values


def _bridged(row: Route) -> bool:
    return isinstance(row.destination, Mac)


def _port(node: Node, row: Route) -> Vmi | None:
    """The port whose path it is."""
    if row.peer not in _OF_PORTS:
        return None
    return node.compiler.vmi(row.order)


def _label(node: Node, row: Route, via: Nexthop | None) -> int:
    """That of the path, else the one by which others reach its nexthop."""
    if row.label:
        return row.label
    bound = node.compiler.inspection.row(Key(Kind.LABEL, via.key.name)) if via else None
    return bound.label if isinstance(bound, Label) else _NO_LABEL


def remote_path(node: Node, shown: Shown, told: Said, made: DatapathMessage | None) -> Values:
    """A path that a controller told; `made` is what the datapath gets of it, if it is in force."""
    if made is None:
        return shown.path(told, None)
    route = cast(VrRouteReq, made)
    return shown.path(told, node.compiler.inspection.nexthop(route.rtr_nh_id))


def _remote_path(node: Node, via: Fixed | None, told: Said) -> dict[str, Any]:
    peer, path, stale = told
    nexthop = via if via is not None else _told(node, path)
    used = str(nexthop.get("tunnel_type", ""))
    label = label_of(path)
    vxlan = used == "VXLAN" or label > MOST_LABEL
    level, sequence, _ = preference(path)
    networks = [path.virtual_network, *(one.virtual_network for one in path.nexthops)]
    return {
        "nh": nexthop,
        "label": _NO_LABEL if vxlan or not label else label,
        "vxlan_id": label if vxlan else 0,
        "active_label": label or _NO_LABEL,
        "peer": peer,
        "dest_vn_list": list(dict.fromkeys(filter(None, networks))),
        "origin_vn": path.virtual_network,
        "unresolved": "true" if nexthop["valid"] == "false" else "false",
        "gw_ip": str(path.nexthops[0].address) if path.nexthops else "",
        "supported_tunnel_type": " ".join(_supported(path)),
        "active_tunnel_type": used,
        "stale": stale,
        "path_preference_data": {
            "sequence": sequence,
            "preference": level,
            "ecmp": len(path.nexthops) > 1,
            "wait_for_traffic": False,
        },
        "sg_list": list(path.security_groups),
        "communities": list(path.communities),
        "tag_list": list(dict.fromkeys(tag for one in path.nexthops for tag in one.tags)),
        "ecmp_hashing_fields": _hashing(path.load_balance),
        "etree_leaf": path.etree_leaf,
    }


def _of_this_host(node: Node, path: RouteAttributes) -> Nexthop | None:
    """The nexthop of our own to which a path leads that was told back to us; None elsewhere."""
    host = node.compiler.fabric()
    if len(path.nexthops) != 1 or host is None or path.nexthops[0].address != host.router_id:
        return None
    return _bound(node, label_of(path))


def _bound(node: Node, label: int) -> Nexthop | None:
    """The nexthop that a label of this host is bound to."""
    look = node.compiler.inspection
    owner = look.owner(Kind.LABEL, label)
    row = look.row(owner) if owner is not None else None
    return look.nexthop(row.nexthop) if isinstance(row, Label) else None


def published_path(node: Node, shown: Shown, route: PublishedRoute) -> dict[str, Any]:
    """A path of this host's own as controllers are told it."""
    path = route.attributes
    via = _bound(node, label_of(path))
    values = _remote_path(node, None, (_PEERS[Peer.LOCAL_VM_PORT], path, False))
    values["nh"] = shown.nexthop(via) if via is not None else _unused("discard")
    values["unresolved"] = "true" if via is None else "false"
    values["active_tunnel_type"] = ""
    return values


def _supported(path: RouteAttributes) -> list[str]:
    offered = (each for one in path.nexthops for each in one.encapsulations)
    return [_ENCAPSULATIONS[one] for one in dict.fromkeys(offered)]


def _hashing(fields: Iterable[LoadBalanceField]) -> str:
    chosen = set(fields)
    return ",".join(one.value for one in LoadBalanceField if one in (chosen or ALL_FIELDS))


def _told(node: Node, path: RouteAttributes) -> dict[str, Any]:
    """Where a path leads that is not in force: as the controller told it."""
    far = path.nexthops[0].address if path.nexthops else IPv4Address(0)
    host = node.compiler.fabric()
    own = host.router_id if host is not None else None
    if len(path.nexthops) > 1:
        members = [
            {"type": "Tunnel", "dip": str(one.address), "label": one.label} for one in path.nexthops
        ]
        return _unused("ECMP Composite") | {"mc_list": members}
    kind = next(iter(_supported(path)), "")
    ends = {"sip": str(own or ""), "dip": str(far), "tunnel_type": kind}
    return _unused("tunnel") | ends


def _unused(kind: str) -> dict[str, Any]:
    return {"type": kind, "nh_index": 0, "ref_count": 0, "valid": "false", "policy": "disabled"}
