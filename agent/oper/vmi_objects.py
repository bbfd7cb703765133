"""What a VMI wants in the datapath: vif, nexthops with labels, the VRFs of its tags, routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

from agent.ifmap import NodeRef
from agent.objects import Key, Kind
from agent.oper import nexthop
from agent.oper.analyzers import port_analyzer
from agent.oper.datapath import (
    BridgeFlag,
    InetFlag,
    Object,
    Output,
    Peer,
    QosMap,
    Route,
    Vif,
    VifFlag,
    VifType,
    VrfAssign,
    vrf_key,
)
from agent.oper.fat_flows import fat_flows
from agent.oper.incremental import View
from agent.oper.link_local import metadata_route
from agent.oper.marks import etree_leaf
from agent.oper.mirror import Copying, copying
from agent.oper.port_nexthops import Bound, VmiNexthops, nexthops
from agent.oper.ports import attachment
from agent.oper.preference import LOW, PathPreference, path_preference
from agent.oper.prefixes import STATIC, PortPrefix, prefixes
from agent.oper.qos import qos_config, qos_map
from agent.oper.routing import routing
from agent.oper.rows import Vmi, Vn, Vrf
from agent.oper.vmi import NO_VIF, vif_key, vmi
from agent.oper.world import DROPPING
from agent.values import VRRP_MAC, Mac


def output(view: View, uuid: UUID) -> tuple[Vmi | None, Output]:
    """The row and everything that it wants; nothing while the datapath could not take its vif."""
    row, attached = view(vmi, uuid), view(attachment, uuid)
    if row is None or attached is None or row.vif_index == NO_VIF:
        return row, Output()
    made = view(nexthops, uuid)
    if made is not None and made.reason:
        row, made = inactive(row, made.reason), None
    if attached.needs_device and not row.os_index:
        return row, Output()
    vif = _vif(view, row, made)
    if made is None or row.vrf is None:
        return row, Output((vif,))
    objects: list[Object] = [vif]
    objects += [bound.nexthop for bound in made]
    objects += [bound.label for bound in made]
    objects += _vrf_assigns(row, made)
    return row, Output(tuple(objects), tuple(_routes(view, row, row.vrf, made)))


def inactive(row: Vmi, reason: str) -> Vmi:
    """The row of a VMI that should forward and cannot."""
    return replace(
        row,
        active=False,
        reason=reason,
        l2_active=False,
        ip4_active=False,
        ip6_active=False,
        others=(),
    )


def _vif(view: View, row: Vmi, made: VmiNexthops | None) -> Vif:
    """The vif: in its VRF while it forwards, else there but outside of all."""
    vif = Vif(
        vif_key(row.uuid, row.name),
        row.vif_index,
        row.name,
        VifType.VIRTUAL,
        VifFlag.ETREE_ROOT | VifFlag.L3 | VifFlag.L2 | VifFlag.DHCP,
        VRRP_MAC,
        row.transport,
        row.os_index,
        ip=row.ip,
        ip6=row.ip6,
        vhostuser_mode=row.vhostuser_mode,
    )
    if made is None or row.vn is None or row.vrf is None:
        return vif
    vif = replace(
        vif,
        flags=_flags(view, row, row.vn, made),
        vrf=row.vrf.index,
        mcast_vrf=row.vrf.index,
        nexthop=made.flow_key.index if made.flow_key else 0,
        refs=(vrf_key(row.vrf.name),),
        fat_flows=view(fat_flows, row.uuid),
    )
    copied = view(copying, row.uuid) if view(port_analyzer, row.uuid) else None
    marked = view(qos_config, row.uuid)
    vif = vif if copied is None else _copied(vif, copied)
    qos = view.attempt(qos_map, marked) if marked else None
    if not isinstance(qos, QosMap):
        return vif
    return replace(vif, qos=qos.index, refs=(*vif.refs, qos.key))


def _copied(vif: Vif, copied: Copying) -> Vif:
    """The vif with what says that its packets are copied."""
    return replace(
        vif,
        flags=vif.flags | copied.flags,
        mirror=copied.mirror.index,
        mirrored_in=copied.received,
        mirrored_out=copied.sent,
        refs=(*vif.refs, copied.mirror.key),
    )


def _vrf_assigns(row: Vmi, made: VmiNexthops) -> Iterator[VrfAssign]:
    """The VRF of each tag of a service."""
    vif = vif_key(row.uuid, row.name)
    for tag, bound in made.services:
        key = Key(Kind.VRF_ASSIGN, (str(row.uuid), row.name, tag))
        via = bound.nexthop
        yield VrfAssign(key, row.vif_index, tag, via.vrf, via.index, (vif, via.key))


def _flags(view: View, row: Vmi, network: Vn, made: VmiNexthops) -> VifFlag:
    flags = VifFlag.NONE if view(etree_leaf, network.name) else VifFlag.ETREE_ROOT
    if made.services:
        flags |= VifFlag.SERVICE
    if view.read(DROPPING, row.vif_index) is not None:
        flags |= VifFlag.DROP_NEW_FLOWS
    if network.l3:
        flags |= VifFlag.L3 | (VifFlag.POLICY if row.policy else VifFlag.NONE)
    if network.l2:
        flags |= VifFlag.L2
    if row.dhcp_enabled:
        flags |= VifFlag.DHCP
    if network.flood_unknown_unicast:
        flags |= VifFlag.UNKNOWN_UC_FLOOD
    return flags


def _routes(view: View, row: Vmi, vrf: Vrf, made: VmiNexthops) -> Iterator[Route]:
    yield from _bridge_routes(view, row, vrf, made)
    found = view(routing, NodeRef("virtual-network", row.vn.name)) if row.vn else None
    for to in view(prefixes, row.uuid):
        bound = made.towards(to, policy=row.policy)
        if bound is None:
            continue
        yield _port_route(view, row, vrf, bound, to)
        if to.vrf is None and found is not None and found.vrf != vrf:
            yield _port_route(view, row, found.vrf, bound, to, bridged=False)
        if _is_answered_for(row, vrf, to) and to.vrf is not None:
            yield _answered(row, to.vrf, made.bridged(policy=row.policy))
    if row.ip4_active and made.l3_policy is not None:
        yield metadata_route(row, made.l3_policy.nexthop)


def _bridge_routes(view: View, row: Vmi, vrf: Vrf, made: VmiNexthops) -> Iterator[Route]:
    """To the MAC address of the VM, and to those of its pairs."""
    if not row.l2_active:
        return
    # The datapath may flood the DHCP of those that we do not answer.
    flags = BridgeFlag.NONE if row.dhcp_enabled else BridgeFlag.FLOOD_DHCP
    own = made.bridged(policy=row.policy)
    if own is not None:
        yield _bridge_route(row, vrf, row.mac, own, flags, PathPreference(LOW, 0, waits=False))
    for mac, one in made.pairs:
        addresses = (pair.prefix.network_address for pair in row.pairs if pair.mac == mac)
        path = min((view(path_preference, row.uuid, to) for to in addresses), key=_best_first)
        bound = one.bridged(policy=row.policy)
        if bound is not None:
            yield _bridge_route(row, vrf, mac, bound, BridgeFlag.FLOOD_DHCP, path)


def _best_first(path: PathPreference) -> tuple[int, int]:
    return -path.preference, -path.sequence


def _bridge_route(
    row: Vmi, vrf: Vrf, mac: Mac, bound: Bound, flags: BridgeFlag, path: PathPreference
) -> Route:
    return Route(
        vrf.name,
        vrf.index,
        mac,
        Peer.EVPN,
        bound.nexthop.key,
        bound.nexthop.index,
        flags,
        bound.label.label,
        preference=path.preference,
        order=row.vif_index,
        sequence=path.sequence,
    )


def _is_answered_for(row: Vmi, own: Vrf, to: PortPrefix) -> bool:
    """Whether an address that another network lent is known there with the VM's MAC address."""
    return row.l2_active and to.network is not None and to.network.l2 and to.vrf != own


def _answered(row: Vmi, vrf: Vrf, bound: Bound | None) -> Route:
    """What comes to the VM's MAC address in a network that lent it an address is routed."""
    own = (vrf.name, vrf.index, row.mac, Peer.EVPN)
    via = nexthop.L2_RECEIVE
    label = bound.label.label if bound else 0
    return Route(*own, via.key, via.index, BridgeFlag.FLOOD_DHCP, label, order=row.vif_index)


def _port_route(
    view: View, row: Vmi, vrf: Vrf, bound: Bound, to: PortPrefix, *, bridged: bool = True
) -> Route:
    """The route to the VM; the datapath traps its first ARP until traffic was seen.

    Nobody tells the MAC of what is behind a port: where there is bridging it is asked for.
    """
    path = view(path_preference, row.uuid, to.address)
    bridged = bridged and row.l2_active and _is_bridged(to)
    asked = bridged and (to.origin == STATIC or not to.is_host)
    flags = InetFlag.ARP_FLOOD if asked else InetFlag.ARP_PROXY
    instance = to.vrf or vrf
    return Route(
        instance.name,
        instance.index,
        to.prefix,
        Peer.LOCAL_VM_PORT,
        bound.nexthop.key,
        bound.nexthop.index,
        flags | (InetFlag.ARP_TRAP if path.waits else InetFlag.NONE),
        mac=(to.mac or row.mac) if bridged and not asked else None,
        preference=path.preference,
        order=row.vif_index,
        sequence=path.sequence,
    )


def _is_bridged(to: PortPrefix) -> bool:
    """Whether there is bridging where a prefix is known; a service's VRF has none."""
    return to.vrf is None or (to.network is not None and to.network.l2)
