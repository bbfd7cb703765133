"""Virtual networks: the row that services read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from agent.ifmap import NodeRef, uuid_of
from agent.inputs import GraphNode
from agent.oper.incremental import View
from agent.oper.ipam import subnets, vn_host_routes
from agent.oper.logical_router import is_internal
from agent.oper.rows import Vn
from agent.oper.world import BadConfig, enabled, member, neighbours, node, number

GLOBAL = NodeRef(
    "global-vrouter-config", "default-global-system-config:default-global-vrouter-config"
)
"""The node of the global configuration."""
_INSTANCE = "virtual-network-routing-instance"
_ID = "virtual-network-network-id"
_MOST_VNI = 0xFFFFFF
_NIL = UUID(int=0)


def global_vrouter(view: View) -> GraphNode:
    """The global configuration; an empty node while there is none."""
    return node(view, GLOBAL) or GraphNode(*GLOBAL)


def vn(view: View, ref: NodeRef) -> Vn | None:
    """The network; inactive with a reason when it cannot be used, None when it is not there."""
    found = node(view, ref)
    if found is None:
        return None
    try:
        return _vn(view, ref, found)
    except BadConfig as error:
        return Vn(uuid_of(found) or _NIL, ref.name, None, 0, active=False, reason=str(error))


def _vn(view: View, ref: NodeRef, found: GraphNode) -> Vn:
    uuid = uuid_of(found)
    if uuid is None:
        raise BadConfig("id-perms: no UUID")
    if not enabled(found.properties):
        raise BadConfig("administratively down")
    shared = view(global_vrouter).properties
    mode = (
        member(found.properties, "virtual-network-properties", "forwarding-mode")
        or member(shared, "forwarding-mode")
        or "l2_l3"
    )
    return Vn(
        uuid,
        ref.name,
        _vrf_name(view, ref),
        _vni(found, _is_configured(view, ref, shared)),
        subnets(view, ref),
        l2=mode != "l3",
        l3=mode != "l2",
        flood_unknown_unicast=member(found.properties, "flood-unknown-unicast") is True,
        host_routes=vn_host_routes(view, ref),
    )


def _is_configured(view: View, ref: NodeRef, shared: Mapping[str, Any]) -> bool:
    """Whether the VNI is what configuration says it to be: always so where a router routes."""
    mode = member(shared, "vxlan-network-identifier-mode")
    return mode == "configured" or view(is_internal, ref)


def _vni(found: GraphNode, configured: bool) -> int:
    own = member(found.properties, "virtual-network-properties")
    place, value = "vxlan-network-identifier", member(own, "vxlan-network-identifier")
    if not configured:
        place, value = _ID, member(found.properties, _ID)
        if value is None:
            place, value = "network-id", member(own, "network-id")
    vni = number(value, place)
    if not 0 <= vni <= _MOST_VNI:
        raise BadConfig(f"{place}: {vni} is not a VNI (1 to {_MOST_VNI}, 0 for none)")
    return vni


def _vrf_name(view: View, ref: NodeRef) -> str | None:
    """The primary routing instance; an instance of several networks belongs to the first."""
    for instance in neighbours(view, ref, _INSTANCE, "routing-instance"):
        if _primary(ref.name, instance.name) and networks_of(view, instance)[:1] == [ref]:
            return instance.name
    return None


def _primary(network: str, instance: str) -> bool:
    parts = instance.split(":")
    return len(parts) == 1 or parts[-2:] == [network.split(":")[-1]] * 2


def networks_of(view: View, instance: NodeRef) -> list[NodeRef]:
    """The networks that a routing instance is linked to."""
    return neighbours(view, instance, _INSTANCE, "virtual-network")
