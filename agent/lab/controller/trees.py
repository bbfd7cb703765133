"""Broadcast trees: a label for each member from the range that it offers, and its neighbours.

A member floods what comes in on its label to its other neighbours, so the neighbours of
all members must form a tree and no mesh (facts xmpp-ifmap.md 16, 20).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.routes import RouteAttributes, RouteKey, TreeNeighbour

FANOUT = 4


class Source(NamedTuple):
    """Who published a path, and in which VRF."""

    peer: str
    vrf: str


class TreeLabels:
    """Labels in use, by peer; a peer offers the same range for all its VRFs."""

    def __init__(self) -> None:
        self._labels: dict[tuple[Source, RouteKey], int] = {}
        self._used: dict[str, set[int]] = {}

    def offer(self, source: Source, key: RouteKey, labels: tuple[int, int]) -> None:
        """Give a member of a tree its label, unless it has one of that range."""
        low, high = labels
        if low <= self.get(source, key) <= high:
            return
        self.release(source, key)
        used = self._used.setdefault(source.peer, set())
        free = next((label for label in range(low, high + 1) if label not in used), 0)
        if free:
            used.add(free)
            self._labels[source, key] = free

    def release(self, source: Source, key: RouteKey) -> None:
        """A member leaves its tree."""
        label = self._labels.pop((source, key), 0)
        if label:
            self._used[source.peer].discard(label)

    def get(self, source: Source, key: RouteKey) -> int:
        """A member's label; 0 if its range was used up."""
        return self._labels.get((source, key), 0)


def tree_attributes(
    peer: str, key: RouteKey, paths: Mapping[Source, RouteAttributes], labels: TreeLabels
) -> RouteAttributes | None:
    """What a member is told: its own label and its neighbours; None if it is no member."""
    members = sorted(
        (source for source in paths if labels.get(source, key)),
        key=lambda source: paths[source].nexthops[0].address,
    )
    place = next((at for at, source in enumerate(members) if source.peer == peer), None)
    if place is None:
        return None
    around = [at for at in range(len(members)) if _joined(at, place)]
    return RouteAttributes(
        neighbours=tuple(_neighbour(members[at], key, paths, labels) for at in around),
        source_label=labels.get(members[place], key),
    )


def _joined(one: int, other: int) -> bool:
    """Whether two members are parent and child; member 0 is the root."""
    child, parent = max(one, other), min(one, other)
    return child != parent and (child - 1) // FANOUT == parent


def _neighbour(
    source: Source, key: RouteKey, paths: Mapping[Source, RouteAttributes], labels: TreeLabels
) -> TreeNeighbour:
    hop = paths[source].nexthops[0]
    return TreeNeighbour(hop.address, labels.get(source, key), hop.encapsulations)
