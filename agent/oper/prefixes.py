"""All prefixes that lead to a port: its own addresses and what is behind it, those that other
networks lend it, and those of its service instances.

Facts xmpp-ifmap.md 6.3, 10.4, 11, oper-db.md 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.alias_ip import alias_ips
from agent.oper.floating_ip import floating_ips
from agent.oper.incremental import Failure, View
from agent.oper.instances import service_links
from agent.oper.lending import place
from agent.oper.pools import lenders
from agent.oper.preference import instance_ips
from agent.oper.rows import Vmi, Vn, Vrf
from agent.oper.vmi import vmi
from agent.oper.vrf import vrf
from agent.oper.world import BY_UUID, BadConfig, address, items, member, neighbours, node
from agent.values import Address, Mac, Prefix, prefix

INSTANCE, SERVICE, STATIC = "interface", "service-interface", "interface-static"
"""What controllers are told of where a prefix comes from."""
_VMI = "virtual-machine-interface"


@dataclass(frozen=True, slots=True)
class PortPrefix:
    """A prefix that leads to a port; it has the path preference of the `address`.

    `vrf` is where it is known, None for the port's own VRF and that which routes for it.
    `network` is the one that lent it, `mac` that of an allowed address pair, None for the
    port's own, `tag` that of a service instance, 0 for none.
    """

    prefix: Prefix
    address: Address
    origin: str = INSTANCE
    communities: tuple[str, ...] = ()
    local: bool = False
    """Whether only this host shall know it."""
    mac: Mac | None = None
    vrf: Vrf | None = None
    network: Vn | None = None
    tag: int = 0

    @property
    def is_host(self) -> bool:
        """Whether it is a single address."""
        return self.prefix.prefixlen == self.prefix.max_prefixlen

    @property
    def name(self) -> tuple[str, Prefix]:
        """What tells it from the other prefixes of the port."""
        return self.vrf.name if self.vrf else "", self.prefix


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A prefix behind a port, with the communities that controllers are told."""

    prefix: Prefix
    communities: tuple[str, ...] = ()


def prefixes(view: View, uuid: UUID) -> tuple[PortPrefix, ...]:
    """The prefixes of an active port, its primary addresses first, each once."""
    row = view(vmi, uuid)
    if row is None:
        return ()
    found: dict[object, PortPrefix] = {}
    for to in (*_own(view, row), *_lent(view, row), *_services(view, row)):
        found.setdefault(to.name, to)
    return tuple(found.values())


def _own(view: View, row: Vmi) -> Iterator[PortPrefix]:
    services = view(service_addresses, row.uuid)
    for one in row.addresses:
        origin = SERVICE if one in services else INSTANCE
        yield PortPrefix(prefix(str(one)), one, origin, local=one in row.private)
    for pair in row.pairs:
        yield PortPrefix(pair.prefix, pair.prefix.network_address, mac=pair.mac)
    for static in view(static_routes, row.uuid):
        primary = row.primary(static.prefix.version)
        if primary is not None:
            yield PortPrefix(static.prefix, primary, STATIC, static.communities)


def _lent(view: View, row: Vmi) -> Iterator[PortPrefix]:
    """Floating and alias IPs; they move with the address that they belong to."""
    if not view(lenders, row.uuid):
        return
    lent = [(one, one.fixed) for one in view(floating_ips, row.uuid)]
    lent += [(one, row.primary(one.address.version)) for one in view(alias_ips, row.uuid)]  # type: ignore[misc]
    for one, own in lent:
        where = view(place, NodeRef("virtual-network", one.network))
        if where is not None and own is not None:
            to = prefix(str(one.address))
            yield PortPrefix(to, row.held_as(own), vrf=where.vrf, network=where.network)


def _services(view: View, row: Vmi) -> Iterator[PortPrefix]:
    """The addresses of service chains in the VRFs of the service instances."""
    for link in view(service_links, row.uuid):
        instance = view.attempt(vrf, link.instance)
        for one in link.addresses:
            own = row.primary(one.version)
            if own is not None and not isinstance(instance, Failure):
                yield PortPrefix(prefix(str(one)), own, vrf=instance, tag=link.tag)


def service_addresses(view: View, uuid: UUID) -> frozenset[Address]:
    """The addresses of a VMI that are those of a service instance."""
    found = instance_ips(view, uuid)
    return frozenset(one for one, said in found if member(said, "service-instance-ip"))


def static_routes(view: View, uuid: UUID) -> tuple[StaticRoute, ...]:
    """The static routes of the route tables at a VMI.

    Malformed ones are left out, and those through a next hop: only what the VM itself
    forwards is a route to its port.
    """
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    tables = neighbours(view, ref, f"{_VMI}-route-table", "interface-route-table") if ref else ()
    return tuple(route for table in tables for route in _routes(view, table))


def _routes(view: View, table: NodeRef) -> Iterator[StaticRoute]:
    found = node(view, table)
    try:
        entries = items(found and found.properties, "interface-route-table-routes", "route")
    except BadConfig:
        return
    for entry in entries:
        route = _route(entry)
        if route is not None:
            yield route


def _route(entry: object) -> StaticRoute | None:
    try:
        to = ip_network(str(member(entry, "prefix")), strict=False)
        through = address(member(entry, "next-hop"), "next-hop")
        named = items(entry, "community-attributes", "community-attribute")
    except (ValueError, BadConfig):
        return None
    return None if through else StaticRoute(to, tuple(map(str, named)))
