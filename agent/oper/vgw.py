"""Simple gateways: a device of the host in a VRF, through which its VMs reach the outside.

What VMs send to the gateway's routes leaves by the device into the host's own stack; what
arrives from the fabric for its subnets is the host's too, which forwards it into the device.
Facts oper-db.md 1.3, 2.2 (INET interface, vif type 5), 3.1 (peer Vgw), rest-api.md 7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from agent.inputs import HostSettings, Link, SimpleGateway
from agent.objects import Key, Kind
from agent.oper import ids, nexthop
from agent.oper.datapath import (
    InetFlag,
    Label,
    Nexthop,
    Output,
    Peer,
    Route,
    Vif,
    VifFlag,
    VifType,
    inet_key,
    vrf_key,
)
from agent.oper.encapsulation import MPLS
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF, UNDERLAY, fabric, vhost_vif
from agent.oper.incremental import View
from agent.oper.preference import LOW
from agent.oper.rows import Gateway, Vrf
from agent.oper.vmi import NO_VIF, device_recognition
from agent.oper.vrf import vrf
from agent.oper.world import GATEWAY, GATEWAYS, HOST, LINK
from agent.routes import PublishedRoute, RouteAttributes, RouteFamily, RouteNexthop
from agent.values import VRRP_MAC

_DEFAULT = IPv4Network("0.0.0.0/0")
_NAME = re.compile(r"(?!\.{1,2}$)[!-$&-.0-9;-~]{1,15}")
"""What the host may call an interface; not the % of a pattern for names."""


def vrfs(view: View) -> tuple[str, ...]:
    """The VRFs of the simple gateways that can be made."""
    wanted = (view.read(GATEWAY, name) for name in view.read(GATEWAYS, None))
    host = view.read(HOST, None)
    return tuple(one.routing_instance for one in wanted if one and not _refusal(one, host))


def _refusal(wanted: SimpleGateway, host: HostSettings) -> str:
    """Why there can be no such gateway, or ""."""
    name, instance = wanted.interface, wanted.routing_instance
    if not _NAME.fullmatch(name):
        return f"{name!r} is not the name of an interface"
    if name in (host.fabric_interface, host.vhost_name, host.pkt0_name):
        return f"interface {name} is the vRouter's own"
    if instance in ("", FABRIC_VRF, POLICY_VRF):
        return f"{instance!r} is not the routing instance of a network"
    return ""


def _fault(device: str, link: Link | None) -> str:
    if link is None:
        return f"interface {device} not found on this host"
    return "" if link.up else f"interface {device} is down"


def gateway(view: View, name: str) -> Gateway | None:
    """The row of a simple gateway; None when there is none of that interface."""
    wanted = view.read(GATEWAY, name)
    if wanted is None:
        return None
    refusal = _refusal(wanted, view.read(HOST, None))
    if refusal:
        return Gateway(name, NO_VIF, None, VRRP_MAC, False, refusal)
    link = view.read(LINK, name)
    reason = _fault(name, link)
    number = ids.index(view, _vif_key(name), lambda: [device_recognition(name)])
    instance = view(vrf, wanted.routing_instance)
    if link is None:
        return Gateway(name, number, instance, VRRP_MAC, False, reason)
    return Gateway(name, number, instance, link.mac, not reason, reason, link.index)


def _vif_key(name: str) -> Key:
    return Key(Kind.VIF, ("gateway", name))


def is_gateway(key: Key) -> bool:
    """Whether an object is the vif of a simple gateway."""
    return isinstance(key.name, tuple) and key.name[0] == "gateway"


def interface(view: View, name: str) -> tuple[Nexthop, Label] | None:
    """Into the device, with the label by which other hosts get there; None while inactive."""
    row = view(gateway, name)
    if row is None or row.vrf is None or not row.active:
        return None
    vif = (_vif_key(name), row.vif_index)
    made = nexthop.interface(view, ("gateway", name), vif, row.mac, vrf=row.vrf)
    return made, nexthop.label(view, made)


def output(view: View, name: str) -> Output:
    """Everything of a simple gateway. Its vif alone while the device is missing or down."""
    row, made = view(gateway, name), view(interface, name)
    if row is None or row.vrf is None:
        return Output()
    vif = _vif(row, row.vrf, made[0] if made else None)
    if made is None:
        return Output((vif,))
    order, via = row.vif_index, made[0]
    inside = (_route(row.vrf, to, via, InetFlag.ARP_PROXY, order) for to in routes(view, name))
    return Output((vif, *made), (*inside, *_from_outside(view, name, order)))


def _vif(row: Gateway, instance: Vrf, via: Nexthop | None) -> Vif:
    return Vif(
        _vif_key(row.name),
        row.vif_index,
        row.name,
        VifType.GATEWAY,
        VifFlag.L3 | VifFlag.L2 | VifFlag.ETREE_ROOT,
        VRRP_MAC,
        os_index=row.os_index,
        vrf=instance.index,
        nexthop=via.index if via else 0,
        refs=(vrf_key(instance.name),),
    )


def routes(view: View, name: str) -> tuple[IPv4Network, ...]:
    """What is reached through a gateway: everything, where it names nothing."""
    wanted = view.read(GATEWAY, name)
    return () if wanted is None else wanted.routes or (_DEFAULT,)


def _from_outside(view: View, name: str, order: int) -> Iterator[Route]:
    wanted, host = view.read(GATEWAY, name), view(fabric)
    if wanted is None or host is None:
        return
    received = nexthop.receive(view, view(vhost_vif), policy=False)
    for subnet in wanted.subnets:
        yield _route(UNDERLAY, subnet, received, InetFlag.NONE, order)


def _route(instance: Vrf, to: IPv4Network, via: Nexthop, flags: InetFlag, order: int) -> Route:
    own = (instance.name, instance.index, to, Peer.VGW)
    return Route(*own, via.key, via.index, flags, order=order)


def published(view: View, name: str) -> tuple[PublishedRoute, ...]:
    """What controllers are told: the gateway's routes, by its label."""
    row, made, host = view(gateway, name), view(interface, name), view(fabric)
    if row is None or row.vrf is None or made is None or host is None or host.router_id is None:
        return ()
    network = row.vrf.name.rpartition(":")[0]  # an instance is named after its network
    way = RouteNexthop(host.router_id, made[1].label, MPLS, network, host.mac)
    attributes = RouteAttributes((way,), local_preference=LOW)
    return tuple(
        PublishedRoute(RouteFamily.INET, row.vrf.name, inet_key(to), attributes)
        for to in routes(view, name)
    )
