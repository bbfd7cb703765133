"""One table of routes: the paths of each peer by key, and which of them is best.

A peer's paths are one dict from key to attributes. What a peer said in an earlier session
is stale: a second dict, from which a path goes when the peer repeats or retracts it, and
the rest when the peer has said all (graceful restart). So a path costs a dict slot and
nothing else; keys and attributes are the decoder's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import islice
from typing import NamedTuple, TypeAlias

from agent.routes import RouteAttributes, RouteFamily, RouteKey, RouteUpdate

Paths: TypeAlias = dict[RouteKey, RouteAttributes]

DEFAULT_PREFERENCE = 100


class Changes(NamedTuple):
    """Routes of a table whose best path is another one, or (None) that have no path any more."""

    vrf: str
    family: RouteFamily
    routes: list[tuple[RouteKey, RouteAttributes | None]]


def preference(attributes: RouteAttributes) -> tuple[int, int, int]:
    """What makes a path better: preference, then the newer sequence, then the local one.

    The reference compares with an "any smaller" test, which contradicts itself for paths
    that are better in one and worse in another member; this order agrees with it wherever
    it does not (facts oper-db.md 3.1).
    """
    nexthops = attributes.nexthops
    return (
        attributes.local_preference or DEFAULT_PREFERENCE,
        attributes.sequence,
        nexthops[0].local_sequence if nexthops else 0,
    )


def rank(peer: str) -> tuple[int, int, int, str]:
    """Between equal paths the peer with the lower address wins, then the one with the lower port.

    Peers are `address` or `address:port`; other names come after them.
    """
    address, _, port = peer.partition(":")
    try:
        return 0, int(IPv4Address(address)), int(port or 0), peer
    except ValueError:
        return 1, 0, 0, peer


@dataclass(slots=True)
class Source:
    """The paths of one peer in one table; `stale` are those of its earlier sessions."""

    peer: str
    fresh: Paths = field(default_factory=dict)
    stale: Paths = field(default_factory=dict)


class Table:
    """The routes of one VRF and family.

    Of equal paths a fresh one beats a stale one, then the lower peer. Where `only` names a
    peer, nobody else's paths count.
    """

    __slots__ = ("_changed", "_order", "_sources", "family", "only", "vrf")

    def __init__(self, vrf: str, family: RouteFamily) -> None:
        self.vrf = vrf
        self.family = family
        self.only: str | None = None
        self._sources: dict[str, Source] = {}
        self._order: tuple[Paths, ...] = ()
        # key -> the best path when the key was last drained
        self._changed: dict[RouteKey, RouteAttributes | None] = {}

    def __len__(self) -> int:
        """How many routes have a path."""
        if len(self._order) == 1:
            return len(self._order[0])
        return len(set().union(*self._order))

    @property
    def most(self) -> int:
        """How many routes the peer has that has most: at once, whatever the size."""
        return max(map(len, self._order), default=0)

    def __iter__(self) -> Iterator[tuple[RouteKey, RouteAttributes]]:
        """Every route with its best path."""
        for key in dict.fromkeys(key for paths in self._order for key in paths):
            best = self.best(key)
            if best is not None:
                yield key, best

    def listed(self) -> list[list[RouteKey]]:
        """The keys of all routes, peer by peer: one that several have is there as often."""
        sources = self._sources.values()
        return [list(paths) for one in sources for paths in (one.fresh, one.stale) if paths]

    def counts(self) -> list[tuple[str, int, int]]:
        """(peer, its routes, those of them that are stale), by peer; cheap, unlike `len`."""
        return [
            (one.peer, len(one.fresh) + len(one.stale), len(one.stale))
            for one in self._sources.values()
        ]

    def best(self, key: RouteKey) -> RouteAttributes | None:
        """The best path of a route."""
        found = None
        for paths in self._order:
            path = paths.get(key)
            if path is None or path is found:
                continue
            if found is None or preference(path) > preference(found):
                found = path
        return found

    def paths(self, key: RouteKey) -> list[tuple[str, RouteAttributes, bool]]:
        """(peer, attributes, whether stale) of every path of a route, by peer."""
        return [
            (source.peer, paths[key], paths is source.stale)
            for source in self._sources.values()
            for paths in (source.fresh, source.stale)
            if key in paths
        ]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left here, not even a change to be told."""
        held = (source.fresh or source.stale for source in self._sources.values())
        return not self._changed and not any(held)

    @property
    def waiting(self) -> int:
        """How many keys `drain` would look at."""
        return len(self._changed)

    # Changes

    def apply(self, peer: str, updates: Iterable[RouteUpdate]) -> None:
        """Take over what a peer says, in its order."""
        source = self._sources.get(peer) or self._add(peer)
        fresh, stale, changed = source.fresh, source.stale, self._changed
        restarted = bool(stale)
        old = fresh.get if self._order == (fresh,) and self.only in (None, peer) else self.best
        for key, attributes in updates:
            if key not in changed:
                changed[key] = old(key)
            if attributes is not None:
                fresh[key] = attributes
            else:
                fresh.pop(key, None)
            if stale:
                stale.pop(key, None)
        if restarted and not stale:
            self._arrange()

    def _add(self, peer: str) -> Source:
        source = self._sources[peer] = Source(peer)
        self._arrange()
        return source

    def _arrange(self) -> None:
        """Put the dicts in the order of precedence of equal paths."""
        sources = sorted(self._sources.values(), key=lambda source: rank(source.peer))
        counted = [one for one in sources if self.only in (None, one.peer)]
        fresh = [one.fresh for one in counted]
        self._order = (*fresh, *(one.stale for one in counted if one.stale))

    def retain(self, peer: str) -> None:
        """The peer starts anew: what it said is stale until it says it again."""
        source = self._sources.get(peer)
        if source is not None:
            if len(self._sources) > 1:
                self._touch(source.fresh)
            source.stale |= source.fresh
            source.fresh = {}
            self._arrange()

    def sweep(self, peer: str) -> None:
        """The peer has said all: its stale paths go."""
        source = self._sources.get(peer)
        if source is not None and source.stale:
            self._touch(source.stale)
            source.stale = {}
            self._arrange()

    def remove(self, peer: str) -> None:
        """Everything of the peer goes."""
        source = self._sources.get(peer)
        if source is not None:
            self._touch(source.fresh)
            self._touch(source.stale)
            del self._sources[peer]
            self._arrange()

    def restrict(self, peer: str | None) -> None:
        """From now on only that peer's paths count; None: everybody's."""
        if peer != self.only:
            self._touch(key for source in self._sources.values() for key in source.fresh)
            self._touch(key for source in self._sources.values() for key in source.stale)
            self.only = peer
            self._arrange()

    def _touch(self, keys: Iterable[RouteKey]) -> None:
        changed, best = self._changed, self.best
        for key in keys:
            if key not in changed:
                changed[key] = best(key)

    def drain(self, most: int) -> list[tuple[RouteKey, RouteAttributes | None]]:
        """Up to `most` keys whose best path may have changed; gives those where it did."""
        changed = self._changed
        best = self._order[0].get if len(self._order) == 1 else self.best
        found: list[tuple[RouteKey, RouteAttributes | None]] = []
        for key in tuple(islice(changed, most)):
            before, after = changed.pop(key), best(key)
            if after is not before and (after is None or before is None or after != before):
                found.append((key, after))
        return found
