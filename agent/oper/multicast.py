"""Broadcast in a VRF: the composite of the local VMIs and the bridge entry of ff:ff:ff:ff:ff:ff."""

from __future__ import annotations

from agent.ifmap import NodeRef
from agent.oper import nexthop
from agent.oper.datapath import BridgeFlag, Nexthop, NexthopFlag, Output, Peer, Route
from agent.oper.incremental import View
from agent.oper.rows import Vmi, Vn, Vrf
from agent.oper.vmi import plugged_in, vmi
from agent.oper.vmi_objects import VmiNexthops, nexthops
from agent.values import BROADCAST_MAC


def members(view: View, network: NodeRef, vrf_name: str) -> tuple[Nexthop, ...]:
    """The VMIs that take part in the broadcast domain of a network: their plain L2 nexthops."""
    rows = (view.attempt(vmi, uuid) for uuid in plugged_in(view, network))
    there = [row for row in rows if isinstance(row, Vmi) and row.vrf and row.vrf.name == vrf_name]
    there.sort(key=lambda row: row.vif_index)
    made = (view.attempt(nexthops, row.uuid) for row in there)
    return tuple(one.l2.nexthop for one in made if isinstance(one, VmiNexthops) and one.l2)


def output(view: View, ref: NodeRef, network: Vn, vrf: Vrf) -> Output:
    """The broadcast entry; with no member its composite is empty."""
    # The label comes before those of the members: a network is worth more than its last VMI.
    label = nexthop.label(view, nexthop.composite(view, "broadcast", vrf, NexthopFlag.MCAST, []))
    local = view(members, ref, vrf.name)
    parts: list[Nexthop] = []
    if local:
        flag = NexthopFlag.COMPOSITE_ENCAP
        parts = [nexthop.composite(view, "members", vrf, flag, list(local))]
    group = nexthop.composite(view, "broadcast", vrf, NexthopFlag.MCAST, parts)
    route = Route(
        vrf.name,
        vrf.index,
        BROADCAST_MAC,
        Peer.MULTICAST,
        group.key,
        group.index,
        BridgeFlag.LABEL_VALID | BridgeFlag.FLOOD_DHCP,
        network.vxlan_id,
    )
    return Output((*parts, group, label), (route,))
