"""What a VMI wants in the datapath: vif, five nexthops with labels, routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from uuid import UUID

from agent.ifmap import NodeRef
from agent.oper import ids, nexthop
from agent.oper.datapath import (
    BridgeFlag,
    Family,
    InetFlag,
    Label,
    Nexthop,
    Object,
    Output,
    Peer,
    Route,
    Vif,
    VifFlag,
    VifType,
    vrf_key,
)
from agent.oper.fabric import FABRIC_VRF, VMI_NEXTHOPS
from agent.oper.incremental import View
from agent.oper.marks import etree_leaf
from agent.oper.ports import attachment
from agent.oper.preference import path_preference
from agent.oper.prefixes import STATIC, PortPrefix, prefixes
from agent.oper.routing import routing
from agent.oper.rows import Vmi, Vn, Vrf
from agent.oper.vmi import NO_VIF, vif_key, vmi
from agent.values import VRRP_MAC

METADATA = IPv4Address("169.254.0.0")


@dataclass(frozen=True, slots=True)
class Bound:
    """A nexthop with its label."""

    nexthop: Nexthop
    label: Label


@dataclass(frozen=True, slots=True)
class VmiNexthops:
    """The nexthops of an active VMI: those of a layer that the network has not are missing.

    `reason` says why there are none at all for a VMI that should forward.
    """

    l3_policy: Bound | None = None
    l3: Bound | None = None
    l3_multicast: Bound | None = None
    l2: Bound | None = None
    l2_policy: Bound | None = None
    reason: str = ""

    @property
    def flow_key(self) -> Nexthop | None:
        """The nexthop that names the VMI in flow keys: with policy, of layer 3 if there is."""
        bound = self.l3_policy or self.l2_policy
        return bound.nexthop if bound else None

    def __iter__(self) -> Iterator[Bound]:
        five = (self.l3_policy, self.l3, self.l3_multicast, self.l2, self.l2_policy)
        return (bound for bound in five if bound is not None)


def nexthops(view: View, uuid: UUID) -> VmiNexthops | None:
    """The five nexthops; None while the VMI is not active."""
    row = view(vmi, uuid)
    if row is None or not row.active or row.vn is None or row.vrf is None:
        return None
    try:
        return _make(view, row, row.vn, row.vrf)
    except ids.ExhaustedError as error:
        return VmiNexthops(reason=str(error))


def _make(view: View, row: Vmi, network: Vn, vrf: Vrf) -> VmiNexthops:
    vif = (vif_key(row.uuid, row.name), row.vif_index)
    leaf = view(etree_leaf, network.name)
    made: dict[str, Bound] = {}
    for name, family, flags in VMI_NEXTHOPS:
        if network.l2 if family is Family.BRIDGE else network.l3:
            owner = (str(row.uuid), row.name, name)
            one = nexthop.interface(
                view, owner, vif, row.mac, flags, family=family, vrf=vrf, leaf=leaf
            )
            made[name] = Bound(one, nexthop.label(view, one))
    return VmiNexthops(
        made.get("l3-policy"),
        made.get("l3"),
        made.get("l3-multicast"),
        made.get("l2"),
        made.get("l2-policy"),
    )


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
    leaf = view(etree_leaf, row.vn.name) if row.vn else False
    vif = _vif(row, made, leaf)
    if made is None or row.vrf is None:
        return row, Output((vif,))
    objects: list[Object] = [vif]
    objects += [bound.nexthop for bound in made]
    objects += [bound.label for bound in made]
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


def _vif(row: Vmi, made: VmiNexthops | None, leaf: bool) -> Vif:
    """The vif: in its VRF while it forwards, else there but outside of all."""
    vif = Vif(
        vif_key(row.uuid, row.name),
        row.vif_index,
        row.name,
        VifType.VIRTUAL,
        VifFlag.ETREE_ROOT | VifFlag.L3 | VifFlag.L2 | VifFlag.DHCP,
        VRRP_MAC,
        os_index=row.os_index,
        ip=row.ip,
        ip6=row.ip6,
    )
    if made is None or row.vn is None or row.vrf is None:
        return vif
    return replace(
        vif,
        flags=_flags(row, row.vn, leaf),
        vrf=row.vrf.index,
        mcast_vrf=row.vrf.index,
        nexthop=made.flow_key.index if made.flow_key else 0,
        refs=(vrf_key(row.vrf.name),),
    )


def _flags(row: Vmi, network: Vn, leaf: bool) -> VifFlag:
    flags = VifFlag.NONE if leaf else VifFlag.ETREE_ROOT
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
    l2 = made.l2_policy if row.policy else made.l2
    if row.l2_active and l2 is not None:
        # The datapath may flood the DHCP of those that we do not answer.
        flags = BridgeFlag.NONE if row.dhcp_enabled else BridgeFlag.FLOOD_DHCP
        yield Route(
            vrf.name,
            vrf.index,
            row.mac,
            Peer.EVPN,
            l2.nexthop.key,
            l2.nexthop.index,
            flags,
            l2.label.label,
            order=row.vif_index,
        )
    l3 = made.l3_policy if row.policy else made.l3
    if l3 is None:
        return
    found = view(routing, NodeRef("virtual-network", row.vn.name)) if row.vn else None
    for to in view(prefixes, row.uuid):
        yield _port_route(view, row, vrf, l3, to, bridged=row.l2_active)
        if found is not None and found.vrf != vrf:
            yield _port_route(view, row, found.vrf, l3, to, bridged=False)
    if row.ip4_active and made.l3_policy is not None:
        yield _metadata_route(row, made.l3_policy)


def _port_route(
    view: View, row: Vmi, vrf: Vrf, bound: Bound, to: PortPrefix, *, bridged: bool
) -> Route:
    """The route to the VM; the datapath traps its first ARP until traffic was seen.

    Nobody tells the MAC behind a static route: where there is bridging it is asked for.
    """
    path = view(path_preference, row.uuid, to.address)
    asked = bridged and to.origin == STATIC
    flags = InetFlag.ARP_FLOOD if asked else InetFlag.ARP_PROXY
    return Route(
        vrf.name,
        vrf.index,
        to.prefix,
        Peer.LOCAL_VM_PORT,
        bound.nexthop.key,
        bound.nexthop.index,
        flags | (InetFlag.ARP_TRAP if path.waits else InetFlag.NONE),
        mac=row.mac if bridged and not asked else None,
        preference=path.preference,
        order=row.vif_index,
        sequence=path.sequence,
    )


def metadata_address(vif_index: int) -> IPv4Address:
    """The link-local address by which the host knows a VMI."""
    return METADATA + vif_index


def _metadata_route(row: Vmi, bound: Bound) -> Route:
    return Route(
        FABRIC_VRF,
        0,
        IPv4Network(metadata_address(row.vif_index)),
        Peer.LINK_LOCAL,
        bound.nexthop.key,
        bound.nexthop.index,
        InetFlag.ARP_PROXY,
        order=row.vif_index,
    )
