"""Mirrors: the entries of the datapath by which packets are copied to analyzers.

Facts oper-db.md 1.2, 1.4, sandesh-ksync.md 4.2, 4.3, 4.5.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Network
from uuid import UUID

from agent.objects import Key, Kind
from agent.oper import ids, nexthop
from agent.oper.analyzers import Analyzer, Target, analyzers, port_analyzer, targets
from agent.oper.datapath import Mirror, MirrorFlag, Nexthop, Output, VifFlag
from agent.oper.fabric import UNDERLAY, fabric, fabric_vif, neighbour
from agent.oper.incremental import Failure, View
from agent.oper.port_nexthops import nexthops
from agent.oper.ports import plugged
from agent.oper.prefixes import prefixes
from agent.oper.rows import Vmi, Vrf
from agent.oper.tunnel import Tunnel, next_hop, tunnel
from agent.oper.vmi import vmi
from agent.oper.vrf import vrf
from agent.oper.world import HOST
from agent.routes import Encapsulation

_SENT_TO = {
    "ingress": VifFlag.MIRROR_RX,
    "egress": VifFlag.MIRROR_TX,
    "both": VifFlag.MIRROR_RX | VifFlag.MIRROR_TX,
}
_MOST_NAME = 255


def tunnel_of(target: Target) -> Tunnel | None:
    """The VXLAN tunnel to a target; None for one that is reached otherwise."""
    if not target.vni:
        return None
    return Tunnel(target.address, Encapsulation.VXLAN, target.mac)


def way(view: View, target: Target) -> Nexthop | None:
    """The nexthop to a target, not valid while it cannot be reached; None without a fabric."""
    through = tunnel_of(target)
    if through is not None:
        return view(tunnel, through)
    row = view(fabric)
    if row is None or row.router_id is None:
        return None
    instance = view(vrf, target.instance) if target.instance else UNDERLAY
    via = _inside(view, target, instance) if target.instance else _outside(view, target)
    ports = view.read(HOST, None).mirror_port, target.port
    ends = row.router_id, target.address
    return nexthop.mirror(view, view(fabric_vif), ends, ports, instance, via)


def _outside(view: View, target: Target) -> Nexthop | None:
    """The neighbour on the fabric through which a target is reached, once it is known."""
    asked = view(next_hop, target.address)
    return None if asked is None else view(neighbour, asked)


def _inside(view: View, target: Target, instance: Vrf) -> Nexthop | None:
    """The port of this host that has a target's address in a VRF."""
    for uuid in view(plugged):
        row, made = view.attempt(vmi, uuid), view.attempt(nexthops, uuid)
        if not isinstance(row, Vmi) or row.vrf is None or not made or isinstance(made, Failure):
            continue
        for to in view(prefixes, uuid):
            own = (to.vrf or row.vrf) == instance and to.prefix == IPv4Network(target.address)
            bound = made.towards(to, policy=False) if own else None
            if bound is not None:
                return bound.nexthop
    return None


def way_output(view: View, target: Target) -> Output:
    """The nexthop to a target; that of a tunnel belongs to the tunnels."""
    made = None if tunnel_of(target) else view(way, target)
    return Output() if made is None else Output((made,))


def entry(view: View, one: Analyzer) -> Mirror | None:
    """The mirror of an analyzer; None without a fabric."""
    key = Key(Kind.MIRROR, one.name)
    if one.target is None:
        known: Hashable = nexthop.assisted_recognition(one.vlan or 0)
        index = ids.index(view, key, lambda: [known])
        return Mirror(key, index, MirrorFlag.HW_ASSISTED, vlan=one.vlan or 0)
    via = view(way, one.target)
    if via is None:
        return None
    known = nexthop.copy_recognition(via.index, one.target.vni)
    index = ids.index(view, key, lambda: [known])
    flags = MirrorFlag.DYNAMIC if one.header else MirrorFlag.NONE
    return Mirror(key, index, flags, via.index, one.target.vni, refs=(via.key,))


def output(view: View, one: Analyzer) -> Output:
    """The mirror of an analyzer."""
    made = view(entry, one)
    return Output() if made is None else Output((made,))


@dataclass(frozen=True, slots=True)
class Copying:
    """That the packets of a vif are copied: to which mirror, which, and with what metadata."""

    mirror: Mirror
    flags: VifFlag
    received: bytes
    sent: bytes


def copying(view: View, uuid: UUID) -> Copying | None:
    """How a VMI is mirrored; None where it is not, or where it leads to an analyzer itself.

    A vif that waited for a mirror that waits for the vif would wait for ever; and copies of
    copies would have no end.
    """
    row, found = view(vmi, uuid), view(port_analyzer, uuid)
    if row is None or row.vn is None or found is None or _leads_to_analyzer(view, row):
        return None
    first = {one.name: one for one in view(analyzers)}[found[0].name]
    made = view.attempt(entry, first)
    if made is None or isinstance(made, Failure):
        return None
    return Copying(made, _SENT_TO[found[1]], _metadata(3, row.vn.name), _metadata(4, row.vn.name))


def _metadata(direction: int, network: str) -> bytes:
    """The network's name as the analyzer gets it with each copy."""
    name = network.encode()[:_MOST_NAME]
    return bytes((direction, len(name))) + name + b"\xff\x00"


def _leads_to_analyzer(view: View, row: Vmi) -> bool:
    ways = (view.attempt(way, one) for one in view(targets))
    return any(isinstance(one, Nexthop) and one.vif == row.vif_index for one in ways)
