"""How far the agent has come, what it is in the configuration, and what the datapath has room for.

`AgentInitState.state` is `InitDone`, or `InitInProgress` with what is missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from agent.ifmap import Neighbours, NodeRef
from agent.introspect.request import Answer, Query, Request
from agent.oper.world import member
from agent.sandesh.vrouter import SandeshOp, VrouterOps
from agent.telemetry import Node

_TYPE = "virtual-router"
_LINK = "virtual-router-network-ipam"
_LIMITS = {
    "max_labels": "vo_mpls_labels",
    "max_nexthops": "vo_nexthops",
    "max_interfaces": "vo_interfaces",
    "max_vrfs": "vo_vrfs",
    "max_mirror_entries": "vo_mirror_entries",
    "vrouter_max_bridge_entries": "vo_bridge_entries",
    "vrouter_max_oflow_bridge_entries": "vo_oflow_bridge_entries",
    "vrouter_build_info": "vo_build_info",
    "vrouter_max_flow_entries": "vo_flow_entries",
    "vrouter_max_oflow_entries": "vo_oflow_entries",
    "vrouter_priority_tagging": "vo_priority_tagging",
}


async def init_state(node: Node, query: Query) -> AsyncIterator[Answer]:
    """Whether it has begun to work."""
    report = node.health.report()
    state = "InitDone" if report.ready else f"InitInProgress: {report.waits_for}"
    yield Answer("AgentInitState", {"state": state})


async def limits(node: Node, query: Query) -> AsyncIterator[Answer]:
    """What the datapath says of its tables, asked now."""
    told = await node.datapath.get(VrouterOps(h_op=SandeshOp.GET), VrouterOps)
    values = {name: getattr(told, field) for name, field in _LIMITS.items()}
    yield Answer("VrouterObjectLimitsResp", {"vrouter_object_limit": values})


async def vrouter(node: Node, query: Query) -> AsyncIterator[Answer]:
    """The virtual-router object of this host, and the subnets that it alone hands out."""
    ref = _own(node)
    found = node.compiler.graph.node(ref) if ref is not None else None
    values: dict[str, Any] = {"name": node.host, "display_name": "", "subnet_list": []}
    if ref is not None and found is not None:
        values["name"] = ref.name
        values["display_name"] = str(found.properties.get("display-name", ""))
        values["subnet_list"] = list(_subnets(node, ref))
    yield Answer("VrouterInfoResp", values)


def _own(node: Node) -> NodeRef | None:
    """Its name is that of the system and the host's."""
    ref = NodeRef(_TYPE, f"default-global-system-config:{node.host}")
    return ref if node.compiler.graph.node(ref) is not None else None


def _subnets(node: Node, ref: NodeRef) -> Iterator[dict[str, Any]]:
    graph = node.compiler.graph
    for joint in graph.neighbours(Neighbours(ref, _LINK)):
        found = graph.node(joint)
        value = found.properties.get("value") if found is not None else None
        ends = graph.neighbours(Neighbours(joint, _LINK))
        ipam = next((end.name for end in ends if end.type == "network-ipam"), "")
        for subnet in member(value, "subnet") or ():
            yield {
                "ip_prefix": member(subnet, "ip-prefix") or "",
                "prefix_len": member(subnet, "ip-prefix-len") or 0,
                "ipam_name": ipam,
            }


SERVED = (
    Request("AgentInitStateReq", init_state),
    Request("VrouterObjectLimitsReq", limits),
    Request("VrouterInfoReq", vrouter),
)
