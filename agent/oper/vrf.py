"""VRFs: their index, how a restart recognises it, and what is in every VRF."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from agent.ifmap import NodeRef
from agent.oper import ids, nexthop
from agent.oper.datapath import (
    BridgeFlag,
    Nexthop,
    Output,
    Peer,
    Route,
    VrfEntry,
    inet_key,
    vrf_key,
)
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF, UNDERLAY, fabric, pkt0_nexthops
from agent.oper.incremental import View
from agent.oper.instances import is_of_service
from agent.oper.pools import borrowers
from agent.oper.ports import attachment, node_uuid
from agent.oper.rows import Vrf
from agent.oper.vn import networks_of, vn
from agent.oper.world import GATEWAY, GATEWAYS, attributes, member
from agent.routes import InetKey
from agent.values import VRRP_MAC, Mac, prefix

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


def tag_recognition(device: str, tag: int) -> Hashable:
    """A VRF: by the tag at a vif that leads into it."""
    return "tag", device, tag


def lent_recognition(device: str, to: InetKey) -> Hashable:
    """A VRF that is not a vif's own: by the device of a vif that has an address in it."""
    return "lent", device, to


def _devices(view: View, ports: Iterable[NodeRef]) -> Iterator[str]:
    """The devices of those VMIs that are plugged."""
    for port in ports:
        uuid = node_uuid(view, port)
        attached = view(attachment, uuid) if uuid else None
        if attached is not None:
            yield attached.device


def _recognitions(view: View, name: str) -> Iterator[Hashable]:
    """A datapath knows VRFs by index only: by its VNI, else by the ports that are in it."""
    instance = NodeRef("routing-instance", name)
    owners = networks_of(view, instance)
    for ref in owners:
        network = view(vn, ref)
        if network is not None and network.vxlan_id and network.vrf_name == name:
            yield vni_recognition(network.vxlan_id)
    metadata, kind = "virtual-machine-interface-routing-instance", "virtual-machine-interface"
    for link, port in attributes(view, instance, metadata, kind):
        rule = member(link.properties, "value")
        for device in _devices(view, [port]):
            if is_of_service(rule):
                yield tag_recognition(device, member(rule, "vlan-tag"))
            else:
                yield vif_recognition(device)
    for ref in owners:
        for port, own in borrowers(view, ref):
            for device in _devices(view, [port]):
                yield lent_recognition(device, inet_key(prefix(str(own))))
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
