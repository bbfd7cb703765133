"""The VRFs of a controller: who published what, and what each subscriber should know.

Each VRF holds its own routes and those that it imports. What a subscriber should know is
computed when it is asked for, so a route that changes twice is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from agent.lab.controller.trees import Source, TreeLabels, tree_attributes
from agent.routes import (
    EvpnKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteKey,
    RouteUpdate,
    TreeNeighbour,
)
from agent.values import BROADCAST_MAC
from agent.xmpp.routes import Published

UNRESOLVED = "unresolved"
IMPORTED = frozenset((RouteFamily.INET, RouteFamily.INET6))
"""Families that policy leaks between networks; bridging stays within one."""


class Place(NamedTuple):
    """Names a route within the controller."""

    vrf: str
    family: RouteFamily
    key: RouteKey


Paths = dict[Source, RouteAttributes]


class _Subscriber:
    """One agent's subscriptions, what is to be looked at for it, and what it was told."""

    def __init__(self) -> None:
        self.vrfs: dict[str, bool] = {}
        self.due: dict[Place, None] = {}
        self.told: dict[Place, RouteAttributes] = {}


class Tables:
    """Routes by VRF. `networks` names the network of a VRF, `imports` where it takes from."""

    def __init__(self, networks: Mapping[str, str], imports: Mapping[str, frozenset[str]]) -> None:
        self._networks = networks
        self._importers = _inverted(imports)
        self._routes: dict[str, dict[Place, Paths]] = {}
        self._published: dict[str, dict[Place, RouteAttributes]] = {}
        self._stale: dict[str, set[Place]] = {}
        self._subscribers: dict[str, _Subscriber] = {}
        self._labels = TreeLabels()

    def configure(self, networks: Mapping[str, str], imports: Mapping[str, frozenset[str]]) -> None:
        """Networks or imports changed: what was published is imported anew."""
        self._networks = networks
        self._importers = _inverted(imports)
        before, self._routes = self._routes, {}
        for table in before.values():
            for place in table:
                self._mark(place)
        for peer, published in self._published.items():
            for place, path in published.items():
                self._insert(Source(peer, place.vrf), place, path)

    # Subscriptions

    def join(self, peer: str, vrf: str, wants_routes: bool) -> None:
        """A subscription begins: everything in the VRF is due."""
        subscriber = self._subscribers.setdefault(peer, _Subscriber())
        subscriber.vrfs[vrf] = wants_routes
        if wants_routes:
            subscriber.due.update(dict.fromkeys(self._routes.get(vrf, ())))

    def leave(self, peer: str, vrf: str) -> None:
        """A subscription ends, and with it what the peer published and was told there."""
        subscriber = self._subscribers[peer]
        del subscriber.vrfs[vrf]
        for table in (subscriber.due, subscriber.told):
            for place in [place for place in table if place.vrf == vrf]:
                del table[place]
        for place in [place for place in self._published.get(peer, ()) if place.vrf == vrf]:
            self.withdraw(peer, place)

    def joined(self, peer: str, vrf: str) -> bool:
        """Whether the peer has subscribed to the VRF."""
        return peer in self._subscribers and vrf in self._subscribers[peer].vrfs

    # Publications

    def publish(self, peer: str, route: Published) -> None:
        """A peer adds or changes a route."""
        assert route.attributes, "withdrawals go to take_back"
        place = Place(route.vrf, route.family, route.key)
        self._published.setdefault(peer, {})[place] = route.attributes
        self._stale.get(peer, set()).discard(place)
        source = Source(peer, route.vrf)
        if route.attributes.label_range:
            self._labels.offer(source, route.key, route.attributes.label_range)
        self._insert(source, place, route.attributes)

    def _insert(self, source: Source, place: Place, path: RouteAttributes) -> None:
        for target in self._targets(place):
            self._routes.setdefault(target.vrf, {}).setdefault(target, {})[source] = path
            self._mark(target)

    def take_back(self, peer: str, route: Published) -> bool:
        """A peer withdraws a route; False if it never published it.

        Agents withdraw inclusive multicast under another Ethernet tag than they published it.
        """
        place = Place(route.vrf, route.family, route.key)
        published = self._published.get(peer, {})
        if place not in published and isinstance(route.key, EvpnKey):
            named = _untagged(place)
            place = next((other for other in published if _untagged(other) == named), place)
        return self.withdraw(peer, place)

    def withdraw(self, peer: str, place: Place) -> bool:
        """Forget a peer's route; False if there is none."""
        if self._published.get(peer, {}).pop(place, None) is None:
            return False
        self._stale.get(peer, set()).discard(place)
        self._labels.release(Source(peer, place.vrf), place.key)
        for target in self._targets(place):
            table = self._routes[target.vrf]
            del table[target][Source(peer, place.vrf)]
            if not table[target]:
                del table[target]
            self._mark(target)
        return True

    def gone(self, peer: str, keep: bool) -> None:
        """A peer's channel closed; with `keep` its routes stay, stale, until `sweep`."""
        self._subscribers.pop(peer, None)
        self._stale[peer] = set(self._published.get(peer, ()))
        if not keep:
            self.sweep(peer)

    def sweep(self, peer: str) -> int:
        """Drop the peer's routes that it did not publish again; returns how many."""
        stale = self._stale.pop(peer, set())
        for place in stale:
            self.withdraw(peer, place)
        return len(stale)

    def _targets(self, place: Place) -> Iterable[Place]:
        yield place
        if place.family in IMPORTED:
            for vrf in self._importers.get(place.vrf, ()):
                yield place._replace(vrf=vrf)

    def _mark(self, place: Place) -> None:
        for subscriber in self._subscribers.values():
            if subscriber.vrfs.get(place.vrf):
                subscriber.due[place] = None

    # What subscribers should know

    def due(self, peer: str, limit: int) -> list[RouteBatch]:
        """What to tell a subscriber now, of about `limit` routes that may have changed.

        A batch holds either routes or retracts of one family in one VRF.
        """
        subscriber = self._subscribers.get(peer)
        if subscriber is None:
            return []
        batches: dict[tuple[RouteFamily, str, bool], list[RouteUpdate]] = {}
        for place in list(subscriber.due)[:limit]:
            del subscriber.due[place]
            attributes = self._attributes(peer, place)
            if attributes == subscriber.told.get(place):
                continue
            if attributes is None:
                del subscriber.told[place]
            else:
                subscriber.told[place] = attributes
            batch = batches.setdefault((place.family, place.vrf, attributes is None), [])
            batch.append(RouteUpdate(place.key, attributes))
        return [RouteBatch(family, vrf, rows) for (family, vrf, _), rows in batches.items()]

    def pending(self, peer: str) -> int:
        """How many routes `due` has still to look at for a subscriber."""
        subscriber = self._subscribers.get(peer)
        return len(subscriber.due) if subscriber else 0

    def _attributes(self, peer: str, place: Place) -> RouteAttributes | None:
        paths = self._routes.get(place.vrf, {}).get(place, {})
        if not paths or place.family is RouteFamily.MVPN:
            return None
        if place.family is RouteFamily.ERMVPN:
            return tree_attributes(peer, place.key, paths, self._labels)
        if isinstance(place.key, EvpnKey) and place.key.mac == BROADCAST_MAC:
            return _replication(peer, paths)
        return self._merged(paths)

    def _merged(self, paths: Paths) -> RouteAttributes:
        """The best paths as one route: preference first, then the mobility sequence."""
        best = max(map(_rank, paths.values()))
        chosen = [(source, path) for source, path in _sorted(paths) if _rank(path) == best]
        hops = dict.fromkeys(
            replace(hop, virtual_network=hop.virtual_network or self._network(source.vrf))
            for source, path in chosen
            for hop in path.nexthops
        )
        first = chosen[0][1]
        return replace(
            first,
            nexthops=tuple(hops),
            virtual_network=next(iter(hops)).virtual_network,
            med=_med(first),
            sub_protocol="",
        )

    def _network(self, vrf: str) -> str:
        return self._networks.get(vrf, UNRESOLVED)

    # For status

    def counts(self) -> dict[str, dict[str, int]]:
        """Routes by VRF and family."""
        found: dict[str, dict[str, int]] = {}
        for vrf, table in self._routes.items():
            families = found.setdefault(vrf, {})
            for place in table:
                name = place.family.name.lower()
                families[name] = families.get(name, 0) + 1
        return {vrf: families for vrf, families in found.items() if families}

    def routes(self, vrf: str) -> list[tuple[Place, Paths]]:
        """All routes of a VRF with their paths."""
        return [(place, dict(paths)) for place, paths in self._routes.get(vrf, {}).items()]

    def published(self, peer: str) -> int:
        """How many routes of a peer are held."""
        return len(self._published.get(peer, ()))


def _untagged(place: Place) -> Place:
    key = place.key
    return place._replace(key=key._replace(tag=0)) if isinstance(key, EvpnKey) else place


def _sorted(paths: Paths) -> list[tuple[Source, RouteAttributes]]:
    """In the order of next-hops, so that the same paths always make the same route."""
    return sorted(paths.items(), key=lambda path: path[1].nexthops[0].address)


def _rank(path: RouteAttributes) -> tuple[int, int]:
    return path.local_preference, path.sequence


def _med(attributes: RouteAttributes) -> int:
    """Derived from the preference where the agent gives none (facts xmpp-ifmap.md 5.2)."""
    if attributes.med:
        return attributes.med
    preference = attributes.local_preference
    return {0: 0, 100: 200, 200: 100}.get(preference, 2**32 - 1 - preference)


def _replication(peer: str, paths: Paths) -> RouteAttributes | None:
    """Inclusive multicast: the list of all others that take part."""
    others = [
        TreeNeighbour(hop.address, hop.label, hop.encapsulations)
        for source, path in _sorted(paths)
        if source.peer != peer
        for hop in path.nexthops
    ]
    if not others:
        return None
    return RouteAttributes(
        virtual_network=UNRESOLVED, local_preference=100, neighbours=tuple(others)
    )


def _inverted(imports: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    importers: dict[str, list[str]] = {}
    for vrf, sources in imports.items():
        for source in sources:
            importers.setdefault(source, []).append(vrf)
    return importers
