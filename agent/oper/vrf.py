"""VRFs: their index, how a restart recognises it, and what is in every VRF."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from agent.ifmap import NodeRef
from agent.oper import ids, nexthop
from agent.oper.datapath import BridgeFlag, Nexthop, Output, Peer, Route, VrfEntry, vrf_key
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF, UNDERLAY, fabric, pkt0_nexthops
from agent.oper.incremental import View
from agent.oper.ports import attachment, node_uuid
from agent.oper.rows import Vrf
from agent.oper.vn import networks_of, vn
from agent.oper.world import GATEWAY, GATEWAYS, attributes
from agent.values import VRRP_MAC, Mac

SERVICE_CHAIN_MACS = (Mac.parse("02:00:00:00:00:01"), Mac.parse("02:00:00:00:00:02"))
_STATIC = {FABRIC_VRF: UNDERLAY, POLICY_VRF: Vrf(POLICY_VRF, 1)}


def vrf(view: View, name: str) -> Vrf:
    """The VRF with its index, which the datapath keeps over a restart of the agent."""
    static = _STATIC.get(name)
    if static is not None:
        return static
    return Vrf(name, ids.index(view, vrf_key(name), lambda: _recognitions(view, name)))


def vni_recognition(vni: int) -> Hashable:
    """A VRF: by the VNI that leads into it."""
    return "vni", vni


def vif_recognition(device: str) -> Hashable:
    """A VRF: by the device of a vif in it."""
    return "vif", device


def _recognitions(view: View, name: str) -> Iterator[Hashable]:
    """A datapath knows VRFs by index only: by its VNI, else by the ports that are in it."""
    instance = NodeRef("routing-instance", name)
    for ref in networks_of(view, instance):
        network = view(vn, ref)
        if network is not None and network.vxlan_id:
            yield vni_recognition(network.vxlan_id)
    metadata, kind = "virtual-machine-interface-routing-instance", "virtual-machine-interface"
    for _, port in attributes(view, instance, metadata, kind):
        uuid = node_uuid(view, port)
        attached = view(attachment, uuid) if uuid else None
        if attached is not None:
            yield vif_recognition(attached.device)
    for device in view.read(GATEWAYS, None):
        gateway = view.read(GATEWAY, device)
        if gateway is not None and gateway.routing_instance == name:
            yield vif_recognition(device)


def reserved_macs(view: View) -> frozenset[Mac]:
    """The addresses that are the vRouter's own in every VRF: no VM may use them."""
    row = view(fabric)
    own = {VRRP_MAC, *SERVICE_CHAIN_MACS}
    return frozenset(own | {row.mac} if row else own)


def output(view: View, name: str) -> Output:
    """The VRF and the bridge routes that every VRF has."""
    row = view(vrf, name)
    host = view(fabric)
    pkt0 = view(pkt0_nexthops)[0]
    routes = [_route(row, VRRP_MAC, nexthop.L2_RECEIVE, Peer.LOCAL_VM)]
    routes += [_route(row, mac, pkt0, Peer.LOCAL) for mac in SERVICE_CHAIN_MACS]
    if host is not None:
        routes.append(_route(row, host.mac, nexthop.L2_RECEIVE, Peer.LOCAL_VM))
    return Output((VrfEntry(vrf_key(name), row.index),), tuple(routes))


def _route(row: Vrf, mac: Mac, via: Nexthop, peer: Peer) -> Route:
    # Nobody's DHCP is known behind these addresses, so the datapath may flood it.
    return Route(row.name, row.index, mac, peer, via.key, via.index, BridgeFlag.FLOOD_DHCP)
