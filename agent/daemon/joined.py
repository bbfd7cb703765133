"""What controllers do between networks, for a host that stands alone: joined ones share routes.

A controller has each network import the routes of those that it is joined with. Without one
the host does so with the routes that it would have told: they come back as if from a peer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agent.ifmap.from_topology import vrf_name
from agent.oper.compiler import Compiler
from agent.routes import (
    PublishedRoute,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteKey,
    RouteUpdate,
)
from agent.topology import Topology

PEER = "topology"
"""The peer's name in the rib."""

_FAMILIES = (RouteFamily.INET, RouteFamily.INET6)  # bridging stays within one network

Table = tuple[RouteFamily, str]
Routes = dict[RouteKey, RouteAttributes]


class JoinedNetworks:
    """Imports between the VRFs of this host, as `configure` says; `follow` after a commit."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._importers: dict[str, set[str]] = {}
        self._told: dict[Table, Routes] = {}

    def configure(self, topology: Topology | None) -> None:
        """Join the networks that this topology joins; none without one."""
        self._importers = {}
        for group in topology.connect if topology is not None else ():
            for name in group:
                others = map(vrf_name, group - {name})
                self._importers.setdefault(vrf_name(name), set()).update(others)

    def follow(self) -> None:
        """Bring imported routes up to date with this host's own."""
        if not self._importers and not self._told:
            return
        wanted = self._wanted()
        for table in self._told.keys() | wanted.keys():
            self._tell(table, self._told.get(table, {}), wanted.get(table, {}))
        self._told = wanted

    def _wanted(self) -> dict[Table, Routes]:
        """What each VRF in use takes from others; one that goes forgets its routes by itself."""
        in_use = self._compiler.subscriptions()
        found: dict[Table, Routes] = {(family, vrf): {} for family in _FAMILIES for vrf in in_use}
        for route in self._compiler.publications():
            for vrf in self._importers.get(route.vrf, ()):
                if (route.family, vrf) in found:
                    found[route.family, vrf][route.key] = _imported(route)
        return found

    def _tell(self, table: Table, before: Mapping[RouteKey, object], now: Routes) -> None:
        updates = [RouteUpdate(key, None) for key in before.keys() - now.keys()]
        updates += [RouteUpdate(key, one) for key, one in now.items() if before.get(key) != one]
        if updates:
            self._compiler.routes(PEER, RouteBatch(*table, updates))


def _imported(route: PublishedRoute) -> RouteAttributes:
    """As a controller would tell it: of the network that its first way names."""
    network = route.attributes.nexthops[0].virtual_network if route.attributes.nexthops else ""
    return replace(route.attributes, virtual_network=network)
