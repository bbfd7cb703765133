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
from agent.oper.encapsulation import MPLS
from agent.oper.exported_hosts import bridged, hosts
from agent.oper.exported_port import ExportedPort, exported_port, told
from agent.oper.fabric import fabric
from agent.oper.incremental import Call, Source, View
from agent.oper.multicast import broadcast_label
from agent.oper.port_nexthops import VmiNexthops, nexthops
from agent.oper.preference import LOW, PathPreference, path_preference
from agent.oper.prefixes import PortPrefix
from agent.oper.routing import routing
from agent.oper.shared import HOLDERS, Place, composite, offer, place_of
from agent.oper.vn import vn
from agent.oper.vrf import vrf
from agent.routes import (
    Encapsulation,
    EvpnKey,
    GroupKey,
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


def port_routes(view: View, uuid: UUID) -> tuple[PublishedRoute, ...]:
    """The routes to a port: its addresses, its MAC, and both together."""
    port, made = exported_port(view, uuid), view(nexthops, uuid)
    if port is None or made is None:
        return ()
    return (*_inet(view, port, made), *_routed(view, port), *hosts(view, port, made))


def shared_routes(view: View, place: Place) -> tuple[PublishedRoute, ...]:
    """The route to an address that several ports have at once: by the label of all."""
    made, found = view(composite, place), (view.read(HOLDERS, place) or ())
    holders = (exported_port(view, uuid) for uuid in found if uuid)
    ports = [port for port in holders if port is not None]
    to = offer(view, ports[0].row.uuid, place) if ports else None
    if made is None or to is None or to.local:
        return ()
    groups = tuple(sorted({group for port in ports for group in port.groups}))
    all_tags = tuple(sorted({tag for port in ports for tag in port.tags}))
    port = replace(ports[0], groups=groups, tags=all_tags)
    path = view(path_preference, port.row.uuid, to.address)
    return (_inet_route(port, to, made[1].label, path),)


def _inet(view: View, port: ExportedPort, made: VmiNexthops) -> Iterator[PublishedRoute]:
    for to in told(view, port):
        bound = made.towards(to, policy=port.row.policy)
        if bound is not None and view.read(HOLDERS, place_of(port.vrf, to)) is None:
            path = view(path_preference, port.row.uuid, to.address)
            yield _inet_route(port, to, bound.label.label, path)


def _inet_route(
    port: ExportedPort, to: PortPrefix, label: int, path: PathPreference
) -> PublishedRoute:
    network, vrf = to.network or port.vn, to.vrf or port.vrf
    way = RouteNexthop(port.router_id, label, MPLS, network.name, port.fabric.mac, port.tags)
    family = RouteFamily.INET if to.prefix.version == 4 else RouteFamily.INET6
    attributes = replace(
        port.attributes(way, path),
        communities=to.communities,
        load_balance=port.spread,
        sub_protocol=to.origin,
    )
    return PublishedRoute(family, vrf.name, inet_key(to.prefix), attributes)


def _routed(view: View, port: ExportedPort) -> Iterator[PublishedRoute]:
    """All as prefixes (EVPN type 5) where a logical router routes for the network."""
    found = view(routing, NodeRef("virtual-network", port.vn.name))
    if found is None or not found.vni:
        return
    vxlan = (Encapsulation.VXLAN,)
    way = RouteNexthop(port.router_id, found.vni, vxlan, mac=port.fabric.mac, tags=port.tags)
    for to in told(view, port):
        if to.vrf is not None:
            continue
        path = view(path_preference, port.row.uuid, to.address)
        key = EvpnKey(0, _NO_MAC, to.prefix.network_address, to.prefix.prefixlen)
        attributes = port.attributes(way, path)
        attributes = replace(attributes, etree_leaf=port.leaf)
        yield PublishedRoute(RouteFamily.EVPN, found.vrf.name, key, attributes)


def network_routes(view: View, ref: NodeRef) -> tuple[PublishedRoute, ...]:
    """That this host takes part in the broadcast of a network: in the list and in the tree."""
    row, host = view(vn, ref), view(fabric)
    if row is None or not row.active or row.vrf_name is None or not row.l2:
        return ()
    if host is None or host.router_id is None:
        return ()
    instance = view(vrf, row.vrf_name)
    tag, label, offered = bridged(view, row, view(broadcast_label, instance).label)
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
