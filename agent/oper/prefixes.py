"""All prefixes that lead to a port: its addresses, and the static routes of its route tables.

Facts xmpp-ifmap.md 6.3, 10.4, 11.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.incremental import View
from agent.oper.preference import instance_ips
from agent.oper.rows import Vmi
from agent.oper.vmi import vmi
from agent.oper.world import BY_UUID, BadConfig, address, items, member, neighbours, node
from agent.values import Address, Prefix, prefix

INSTANCE, SERVICE, STATIC = "interface", "service-interface", "interface-static"
"""What controllers are told of where a prefix comes from."""
_VMI = "virtual-machine-interface"


@dataclass(frozen=True, slots=True)
class PortPrefix:
    """A prefix that leads to a port; it has the path preference of the `address`."""

    prefix: Prefix
    address: Address
    origin: str = INSTANCE
    communities: tuple[str, ...] = ()
    local: bool = False
    """Whether only this host shall know it."""


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
    services = view(service_addresses, uuid)
    found: dict[Prefix, PortPrefix] = {}
    for one in row.addresses:
        to = prefix(str(one))
        origin = SERVICE if one in services else INSTANCE
        found[to] = PortPrefix(to, one, origin, local=one in row.private)
    for static in view(static_routes, uuid):
        primary = _primary(row, static.prefix.version)
        if primary is not None:
            to = static.prefix
            found.setdefault(to, PortPrefix(to, primary, STATIC, static.communities))
    return tuple(found.values())


def _primary(row: Vmi, version: int) -> Address | None:
    """The primary address of a family, while the port forwards it."""
    if version == 4:
        return row.ip if row.ip4_active else None
    return row.ip6 if row.ip6_active else None


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
