"""What a virtual network wants in the datapath: VNI, label, subnet routes, broadcast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import UUID

from agent.ifmap import NodeRef
from agent.objects import Key, Kind
from agent.oper import multicast, nexthop, vgw
from agent.oper.datapath import InetFlag, Nexthop, Output, Peer, Route, VxlanId
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF, pkt0_nexthops
from agent.oper.incremental import Failure, View
from agent.oper.instances import service_links
from agent.oper.link_local import service_routes
from agent.oper.logical_router import attached, internal_network, is_internal
from agent.oper.pools import instance_of, lenders
from agent.oper.ports import plugged
from agent.oper.routing import routing
from agent.oper.rows import Subnet, Vn, Vrf
from agent.oper.vmi import Placement, placement
from agent.oper.vn import vn
from agent.oper.vrf import vrf
from agent.oper.vrf_assign import has_vrf_assign, vrf_assign
from agent.oper.world import node
from agent.values import Address, Prefix, prefix


def placements(view: View) -> tuple[Placement, ...]:
    """Where the plugged VMIs are, each place once; gives them numbers in the order of plugging."""
    found = (view.attempt(placement, uuid) for uuid in view(plugged))
    return tuple(dict.fromkeys(place for place in found if isinstance(place, Placement)))


def lending(view: View) -> tuple[NodeRef, ...]:
    """The networks that lend addresses to plugged VMIs."""
    found = (view.attempt(lenders, uuid) for uuid in view(plugged))
    refs = (ref for each in found if not isinstance(each, Failure) for ref in each)
    return tuple(dict.fromkeys(refs))


def networks(view: View) -> tuple[NodeRef, ...]:
    """The networks in use on this host.

    Those of plugged VMIs, what routes for them, and those that lend them addresses.
    """
    refs = dict.fromkeys(place.network for place in view(placements))
    own = [ref for ref in refs if ref is not None]
    beyond = (view.attempt(internal_network, ref) for ref in own)
    found = [*own, *(ref for ref in beyond if isinstance(ref, NodeRef)), *view(lending)]
    return tuple(dict.fromkeys(found))


def beside(view: View, uuid: UUID) -> tuple[str, ...]:
    """The VRFs that a VMI uses beside that of its own network.

    Those where other networks lend it addresses, of its service instances, and to which
    its VRF-assign rules send packets.
    """
    names = [view(instance_of, ref) for ref in view(lenders, uuid)]
    names += [link.instance for link in view(service_links, uuid)]
    rules = view(vrf_assign, uuid) if view(has_vrf_assign, uuid) else None
    named = (rule.vrf for rule in rules.rules) if rules else ()
    names += [name for name in named if node(view, NodeRef("routing-instance", name))]
    return tuple(dict.fromkeys(name for name in names if name is not None))


def vrfs(view: View) -> tuple[str, ...]:
    """The VRFs in use: the host's own, those of networks, plugged VMIs and simple gateways."""
    rows = (view.attempt(vn, ref) for ref in view(networks))
    names = [row.vrf_name for row in rows if isinstance(row, Vn)]
    names += [place.vrf_name for place in view(placements)]
    names += view(vgw.vrfs)
    found = (view.attempt(beside, uuid) for uuid in view(plugged))
    names += [name for each in found if not isinstance(each, Failure) for name in each]
    used = (name for name in names if name is not None)
    return tuple(dict.fromkeys([FABRIC_VRF, POLICY_VRF, *used]))


def vni_owners(view: View) -> Mapping[int, NodeRef]:
    """Of several networks that claim one VNI the first by name has it."""
    owners: dict[int, NodeRef] = {}
    for ref in sorted(view(networks), reverse=True):
        row = view.attempt(vn, ref)
        if isinstance(row, Vn) and row.vrf_name is not None and row.vxlan_id:
            owners[row.vxlan_id] = ref
    return owners


def output(view: View, ref: NodeRef) -> Output:
    """Everything of a network; nothing while it is inactive or has no VRF."""
    row = view(vn, ref)
    if row is None or not row.active or row.vrf_name is None:
        return Output()
    instance = view(vrf, row.vrf_name)
    translate = nexthop.translate(view, instance, flood=row.flood_unknown_unicast)
    label = nexthop.label(view, translate)
    group = multicast.output(view, ref, row, instance)
    vxlan = tuple(_vxlan(view, ref, row, translate))
    routes = tuple(_subnet_routes(view, row, instance)) if row.l3 else ()
    routes += tuple(_routed(view, ref, instance)) if row.l3 else ()
    routes += tuple(service_routes(view, instance)) if row.l3 else ()
    objects = (translate, label, *vxlan, *_entry(view, ref, instance), *group.objects)
    return Output(objects, (*routes, *group.routes))


def _vxlan(view: View, ref: NodeRef, row: Vn, via: Nexthop) -> Iterator[VxlanId]:
    if row.vxlan_id and view(vni_owners).get(row.vxlan_id) == ref:
        key = Key(Kind.VXLAN, row.vxlan_id)
        yield VxlanId(key, row.vxlan_id, via.index, (via.key,))


def _entry(view: View, ref: NodeRef, instance: Vrf) -> Iterator[Nexthop]:
    """The way from attached networks into the VRF that routes for them."""
    if view(is_internal, ref):
        yield nexthop.route_in(view, instance)


def _routed(view: View, ref: NodeRef, instance: Vrf) -> Iterator[Route]:
    """The subnets of the other networks at the same logical router, all of them at any time."""
    found = view(routing, ref)
    if found is None or found.network == ref:
        return
    via = nexthop.route_in(view, found.vrf)
    for other in view(attached, found.network):
        row = view.attempt(vn, other)
        if other != ref and isinstance(row, Vn) and row.active and row.l3:
            for subnet in row.subnets:
                own = (instance.name, instance.index, subnet.prefix, Peer.EVPN_ROUTING)
                yield Route(*own, via.key, via.index, InetFlag.ARP_PROXY)


def _subnet_routes(view: View, row: Vn, instance: Vrf) -> Iterator[Route]:
    """Services answer for gateway and DNS; who is unknown in the subnet is asked by flooding."""
    agent = view(pkt0_nexthops)[1]
    for subnet in row.subnets:
        for service in _services(subnet):
            yield _route(instance, prefix(str(service)), agent, InetFlag.ARP_PROXY, 200)
        yield _route(instance, subnet.prefix, nexthop.DISCARD, InetFlag.ARP_FLOOD, 100)


def _services(subnet: Subnet) -> list[Address]:
    both = (subnet.gateway, subnet.dns_server)
    return list(dict.fromkeys(address for address in both if address is not None))


def _route(instance: Vrf, to: Prefix, via: Nexthop, flags: InetFlag, preference: int) -> Route:
    own = (instance.name, instance.index, to, Peer.LOCAL)
    return Route(*own, via.key, via.index, flags, preference=preference)
