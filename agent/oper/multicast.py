"""Broadcast in a VRF: the composite of the local VMIs and the bridge entry of ff:ff:ff:ff:ff:ff.

Other hosts take part in two ways (facts xmpp-ifmap.md 16): as neighbours in the tree that a
controller builds, each with a label of the tree, and as members of the list to which this
host sends a copy each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from agent.ifmap import NodeRef
from agent.objects import Key, Kind
from agent.oper import nexthop
from agent.oper.datapath import (
    BridgeFlag,
    Family,
    Label,
    Nexthop,
    NexthopFlag,
    Output,
    Peer,
    Route,
)
from agent.oper.encapsulation import MPLS, carriers, choose, priorities
from agent.oper.fabric import fabric
from agent.oper.incremental import Source, View
from agent.oper.port_nexthops import VmiNexthops, nexthops
from agent.oper.rows import Vmi, Vn, Vrf
from agent.oper.tunnel import Tunnel, tunnel
from agent.oper.vmi import plugged_in, vmi
from agent.routes import Encapsulation, TreeNeighbour
from agent.values import BROADCAST_MAC


@dataclass(frozen=True, slots=True)
class Group:
    """What controllers say of the broadcast in a VRF.

    `tree` are the neighbours in the distribution tree, in which this host answers to
    `tree_label` (0: there is none); `others` get a copy each from here.
    """

    tree: tuple[TreeNeighbour, ...] = ()
    tree_label: int = 0
    others: tuple[TreeNeighbour, ...] = ()


GROUP: Source[str, Group | None] = Source("group")
GROUPS: Source[None, tuple[str, ...]] = Source("groups")
TREE_SPACE: Source[None, range] = Source("tree label space")
"""The labels that are for trees, of whichever controller."""
_NO_GROUP = Group()


def members(view: View, network: NodeRef, vrf_name: str) -> tuple[Nexthop, ...]:
    """The VMIs that take part in the broadcast domain of a network: their plain L2 nexthops."""
    rows = (view.attempt(vmi, uuid) for uuid in plugged_in(view, network))
    there = [row for row in rows if isinstance(row, Vmi) and row.vrf and row.vrf.name == vrf_name]
    there.sort(key=lambda row: row.vif_index)
    made = (view.attempt(nexthops, row.uuid) for row in there)
    return tuple(one.l2.nexthop for one in made if isinstance(one, VmiNexthops) and one.l2)


Way = tuple[Tunnel, int]
"""A tunnel with the label or VNI that goes into it."""


def ways(view: View, vrf_name: str) -> tuple[tuple[Way, ...], tuple[Way, ...]]:
    """How the neighbours in the tree, and the others, are reached."""
    group = view.read(GROUP, vrf_name) or _NO_GROUP
    preferred = view(priorities)
    mpls = tuple(one for one in preferred if one in MPLS)
    tree = ((one, tuple(e for e in one.encapsulations if e in MPLS)) for one in group.tree)
    others = ((one, one.encapsulations) for one in group.others)
    return tuple(_ways(view, mpls, tree)), tuple(_ways(view, preferred, others))


def _ways(
    view: View,
    preferred: tuple[Encapsulation, ...],
    neighbours: Iterable[tuple[TreeNeighbour, tuple[Encapsulation, ...]]],
) -> Iterator[Way]:
    row = view(fabric)
    own = row.router_id if row else None
    for one, offered in neighbours:
        able = carriers(one.label, offered)
        chosen = None if able is None else choose(preferred, able)
        if one.label and one.address != own and chosen is not None:
            yield Tunnel(IPv4Address(one.address), chosen), one.label


def _remote(
    view: View, name: str, vrf: Vrf, flag: NexthopFlag, there: tuple[Way, ...], family: Family
) -> list[Nexthop]:
    """The composite of the ways to others; none when nobody is there."""
    made = [(view(tunnel, which), label) for which, label in sorted(set(there), key=_order)]
    usable = [(via, label) for via, label in made if via is not None]
    if not usable:
        return []
    vias, labels = [via for via, _ in usable], tuple(label for _, label in usable)
    return [nexthop.composite(view, name, vrf, flag, vias, labels=labels, family=family)]


def _order(way: Way) -> tuple[int, int, str]:
    return int(way[0].far), way[1], way[0].encapsulation.value


def broadcast_label(view: View, vrf: Vrf) -> Label:
    """The label behind which this host floods in a VRF."""
    return nexthop.label(view, nexthop.composite(view, "broadcast", vrf, NexthopFlag.MCAST, []))


def output(view: View, ref: NodeRef, network: Vn, vrf: Vrf) -> Output:
    """The broadcast entry; with no member its composite is empty."""
    # The label comes before those of the members: a network is worth more than its last VMI.
    label = view(broadcast_label, vrf)
    local = view(members, ref, vrf.name)
    parts: list[Nexthop] = []
    if local:
        flag = NexthopFlag.COMPOSITE_ENCAP
        parts = [nexthop.composite(view, "members", vrf, flag, list(local))]
    if network.l2:
        tree, others = view(ways, vrf.name)
        parts += _remote(view, "tree", vrf, NexthopFlag.COMPOSITE_FABRIC, tree, Family.BRIDGE)
        parts += _remote(view, "others", vrf, NexthopFlag.COMPOSITE_EVPN, others, Family.INET)
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
    return Output((*parts, group, label, *_tree_label(view, vrf, group)), (route,))


def _tree_label(view: View, vrf: Vrf, group: Nexthop) -> Iterator[Label]:
    """The label that the controller gave this host in the tree; none of our own, none twice."""
    found = view.read(GROUP, vrf.name)
    if found is not None and found.tree_label in view.read(TREE_SPACE, None):
        key = Key(Kind.LABEL, ("tree", found.tree_label))
        yield Label(key, found.tree_label, group.index, (group.key,))
