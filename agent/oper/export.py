"""What controllers are told of this host's ports and networks (facts xmpp-ifmap.md 6.3, 11).

Only paths of ports are told: gateways, subnets, metadata and what controllers said are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from uuid import UUID

from agent.ifmap import NodeRef
from agent.oper.datapath import inet_key
from agent.oper.encapsulation import MPLS, own, priorities
from agent.oper.fabric import fabric
from agent.oper.incremental import Call, Source, View
from agent.oper.marks import etree_leaf, hash_fields
from agent.oper.multicast import broadcast_label
from agent.oper.preference import LOW, PathPreference, path_preference
from agent.oper.prefixes import STATIC, PortPrefix, prefixes
from agent.oper.routing import routing
from agent.oper.rows import Fabric, Vmi, Vn, Vrf
from agent.oper.security_group import security_groups
from agent.oper.shared import HOLDERS, Place, composite
from agent.oper.tag import tags
from agent.oper.vmi import vmi
from agent.oper.vmi_objects import VmiNexthops, nexthops
from agent.oper.vn import vn
from agent.oper.vrf import vrf
from agent.routes import (
    Encapsulation,
    EvpnKey,
    GroupKey,
    LoadBalanceField,
    PublishedRoute,
    RouteAttributes,
    RouteFamily,
    RouteKey,
    RouteNexthop,
)
from agent.values import BROADCAST_MAC, Mac

_ANY = IPv4Address(0)
_NO_MAC = Mac(bytes(6))
_BROADCAST = GroupKey(IPv4Address("255.255.255.255"), _ANY)

TREE_LABELS: Source[None, tuple[int, int] | None] = Source("tree labels")
"""The first and last label that the builder of broadcast trees may give to this host."""


@dataclass(frozen=True, slots=True)
class _Port:
    """What all routes of a port have in common."""

    row: Vmi
    vn: Vn
    vrf: Vrf
    fabric: Fabric
    router_id: IPv4Address
    groups: tuple[int, ...]
    tags: tuple[int, ...]
    spread: frozenset[LoadBalanceField]
    leaf: bool


def port_routes(view: View, uuid: UUID) -> tuple[PublishedRoute, ...]:
    """The routes to a port: its addresses, its MAC, and both together."""
    port, made = _port(view, uuid), view(nexthops, uuid)
    if port is None or made is None:
        return ()
    return (*_inet(view, port, made), *_routed(view, port), *_evpn(view, port, made))


def shared_routes(view: View, place: Place) -> tuple[PublishedRoute, ...]:
    """The route to an address that several ports have at once: by the label of all."""
    made, found = view(composite, place), (view.read(HOLDERS, place) or ())
    ports = [port for port in (_port(view, uuid) for uuid in found if uuid) if port is not None]
    offers = [
        to for port in ports[:1] for to in _told(view, port) if inet_key(to.prefix) == place[1]
    ]
    if made is None or not offers:
        return ()
    groups = tuple(sorted({group for port in ports for group in port.groups}))
    all_tags = tuple(sorted({tag for port in ports for tag in port.tags}))
    port = replace(ports[0], groups=groups, tags=all_tags)
    path = view(path_preference, port.row.uuid, offers[0].address)
    return (_inet_route(port, offers[0], made[1].label, path),)


def _port(view: View, uuid: UUID) -> _Port | None:
    """What a port's routes have in common; None for a port that has none."""
    row, host, made = view(vmi, uuid), view(fabric), view(nexthops, uuid)
    if row is None or made is None or host is None or host.router_id is None:
        return None
    if row.vn is None or row.vrf is None:
        return None
    return _Port(
        row,
        row.vn,
        row.vrf,
        host,
        host.router_id,
        view(security_groups, uuid),
        view(tags, uuid),
        view(hash_fields, uuid),
        view(etree_leaf, row.vn.name),
    )


def _inet(view: View, port: _Port, made: VmiNexthops) -> Iterator[PublishedRoute]:
    bound = made.l3_policy if port.row.policy else made.l3
    if bound is None:
        return
    for to in _told(view, port):
        if view.read(HOLDERS, (port.vrf.name, inet_key(to.prefix))) is None:
            path = view(path_preference, port.row.uuid, to.address)
            yield _inet_route(port, to, bound.label.label, path)


def _told(view: View, port: _Port) -> Iterator[PortPrefix]:
    """What others may know of the prefixes that lead to a port."""
    return (one for one in view(prefixes, port.row.uuid) if not one.local)


def _inet_route(port: _Port, to: PortPrefix, label: int, path: PathPreference) -> PublishedRoute:
    way = RouteNexthop(port.router_id, label, MPLS, port.vn.name, port.fabric.mac, port.tags)
    family = RouteFamily.INET if to.prefix.version == 4 else RouteFamily.INET6
    attributes = replace(
        _attributes(port, way, path),
        communities=to.communities,
        load_balance=port.spread,
        sub_protocol=to.origin,
    )
    return PublishedRoute(family, port.vrf.name, inet_key(to.prefix), attributes)


def _routed(view: View, port: _Port) -> Iterator[PublishedRoute]:
    """All as prefixes (EVPN type 5) where a logical router routes for the network."""
    found = view(routing, NodeRef("virtual-network", port.vn.name))
    if found is None or not found.vni:
        return
    vxlan = (Encapsulation.VXLAN,)
    way = RouteNexthop(port.router_id, found.vni, vxlan, mac=port.fabric.mac, tags=port.tags)
    for to in _told(view, port):
        path = view(path_preference, port.row.uuid, to.address)
        key = EvpnKey(0, _NO_MAC, to.prefix.network_address, to.prefix.prefixlen)
        attributes = _attributes(port, way, path)
        attributes = replace(attributes, etree_leaf=port.leaf)
        yield PublishedRoute(RouteFamily.EVPN, found.vrf.name, key, attributes)


def _evpn(view: View, port: _Port, made: VmiNexthops) -> Iterator[PublishedRoute]:
    bound = made.l2_policy if port.row.policy else made.l2
    if bound is None or not port.row.l2_active:
        return
    tag, label, offered = _bridged(view, port.vn, bound.label.label)
    way = RouteNexthop(port.router_id, label, offered, tags=port.tags)
    first = PathPreference(LOW, 0, waits=True)
    hosts = (one.address for one in _told(view, port) if one.origin != STATIC)
    for at, address in enumerate(hosts):
        path = view(path_preference, port.row.uuid, address)
        first = first if at else path
        key = EvpnKey(tag, port.row.mac, address, address.max_prefixlen)
        yield _host(port, key, _attributes(port, way, path))
    key = EvpnKey(tag, port.row.mac, _ANY, _ANY.max_prefixlen)
    yield _host(port, key, _attributes(port, way, first))


def _bridged(view: View, network: Vn, label: int) -> tuple[int, int, tuple[Encapsulation, ...]]:
    """Ethernet tag, label and encapsulations of what is bridged; in VXLAN all is the VNI."""
    offered = own(view(priorities))
    if Encapsulation.VXLAN in offered and network.vxlan_id:
        return network.vxlan_id, network.vxlan_id, offered
    return 0, label, MPLS


def _host(port: _Port, key: EvpnKey, attributes: RouteAttributes) -> PublishedRoute:
    attributes = replace(attributes, etree_leaf=port.leaf)
    return PublishedRoute(RouteFamily.EVPN, port.vrf.name, key, attributes)


def _attributes(port: _Port, way: RouteNexthop, path: PathPreference) -> RouteAttributes:
    return RouteAttributes(
        (way,),
        sequence=path.sequence,
        local_preference=path.preference,
        security_groups=port.groups,
    )


def network_routes(view: View, ref: NodeRef) -> tuple[PublishedRoute, ...]:
    """That this host takes part in the broadcast of a network: in the list and in the tree."""
    row, host = view(vn, ref), view(fabric)
    if row is None or not row.active or row.vrf_name is None or not row.l2:
        return ()
    if host is None or host.router_id is None:
        return ()
    instance = view(vrf, row.vrf_name)
    tag, label, offered = _bridged(view, row, view(broadcast_label, instance).label)
    way = RouteNexthop(host.router_id, label, offered)
    key = EvpnKey(tag, BROADCAST_MAC, _ANY, _ANY.max_prefixlen)
    attributes = RouteAttributes((way,), local_preference=LOW)
    routes = [PublishedRoute(RouteFamily.EVPN, instance.name, key, attributes)]
    labels = view.read(TREE_LABELS, None)
    if labels is not None:
        way = RouteNexthop(host.router_id, 0, MPLS)
        attributes = RouteAttributes((way,), label_range=labels)
        routes.append(PublishedRoute(RouteFamily.ERMVPN, instance.name, _BROADCAST, attributes))
    return tuple(routes)


@dataclass(frozen=True, slots=True)
class Exported:
    """What changed of the routes that controllers are told.

    `withdrawn` are the routes as they were told.
    """

    changed: tuple[PublishedRoute, ...] = ()
    withdrawn: tuple[PublishedRoute, ...] = ()


Name = tuple[RouteFamily, str, RouteKey]


class Exports:
    """The routes that results offer; of several for one key the preferred one is told."""

    def __init__(self) -> None:
        self.rows: dict[Name, PublishedRoute] = {}
        self._offers: dict[Name, dict[Call, PublishedRoute]] = {}
        self._names: dict[Call, tuple[Name, ...]] = {}
        self._told: dict[Name, PublishedRoute | None] = {}

    def take(self, call: Call, routes: Iterable[PublishedRoute]) -> None:
        """A result offers these routes now, in place of what it offered before."""
        offered: Mapping[Name, PublishedRoute] = {route[:3]: route for route in routes}
        before = self._names.pop(call, ())
        for name in before:
            if name not in offered:
                del self._offers[name][call]
        for name, route in offered.items():
            self._offers.setdefault(name, {})[call] = route
        if offered:
            self._names[call] = tuple(offered)
        for name in dict.fromkeys((*before, *offered)):
            self._choose(name)

    def _choose(self, name: Name) -> None:
        offers = self._offers[name]
        old, best = self.rows.get(name), min(offers.values(), key=_rank, default=None)
        if best is None:
            del self._offers[name]
            self.rows.pop(name, None)
        else:
            self.rows[name] = best
        if best != old:
            self._told.setdefault(name, old)

    def changes(self) -> Exported:
        """What changed since this was last asked."""
        told, self._told = self._told, {}
        rows = self.rows
        changed = [rows[name] for name, old in told.items() if name in rows and rows[name] != old]
        withdrawn = [old for name, old in told.items() if old and name not in rows]
        return Exported(tuple(changed), tuple(withdrawn))


def _rank(route: PublishedRoute) -> tuple[int, int, int]:
    attributes = route.attributes
    return -attributes.local_preference, -attributes.sequence, attributes.nexthops[0].label
