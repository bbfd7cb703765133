"""Where remote routes lead: what attributes ask for, and the nexthop that does it.

A `Spec` is the forwarding part of a route's attributes without the label, so that all
routes to one host share one; a `Direction` is what the engine makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple, TypeAlias, TypeVar

from agent.oper import nexthop
from agent.oper.datapath import HOLE, Nexthop, NexthopType
from agent.oper.encapsulation import MOST_LABEL, MPLS, carriers, choose, priorities
from agent.oper.fabric import fabric, neighbour
from agent.oper.incremental import Source, View
from agent.oper.tunnel import Tunnel, next_hop, tunnel
from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    LoadBalanceField,
    RouteAttributes,
    RouteNexthop,
)
from agent.values import Mac

M = TypeVar("M")
MOST_MEMBERS = 128
_IMPLICIT_NULL = 3
_HASH_BITS = {
    LoadBalanceField.PROTOCOL: 0x1,
    LoadBalanceField.SOURCE_ADDRESS: 0x2,
    LoadBalanceField.SOURCE_PORT: 0x4,
    LoadBalanceField.DESTINATION_ADDRESS: 0x8,
    LoadBalanceField.DESTINATION_PORT: 0x10,
}


class Towards(NamedTuple):
    """Through a tunnel to `address` (as a number), or to a port of this host if it is our own."""

    address: int
    offered: tuple[Encapsulation, ...]
    rewrite: Mac | None = None


class Native(NamedTuple):
    """To `address` over the fabric as it is."""

    address: int


class Member(NamedTuple):
    """One of several ways."""

    address: int
    label: int
    offered: tuple[Encapsulation, ...]


class Ecmp(NamedTuple):
    """Several ways in fixed places; None is the kept place of one that went."""

    members: tuple[Member | None, ...]
    hash_fields: int


Spec: TypeAlias = Towards | Native | Ecmp

Kept: TypeAlias = "tuple[tuple[int, tuple[int, ...]] | None, ...]"
"""Which way had which place before a restart: its far end as a number (0: this host), and the
labels that it may be known by now; None is a kept place."""

LOCAL: Source[int, Nexthop | None] = Source("local label")
"""The nexthop of this host that a label of ours is bound to."""


@dataclass(frozen=True, slots=True)
class Direction:
    """What a spec comes to: a nexthop; or a label of our own; or (neither) nowhere.

    `tunnels` and `asked` are what must be there for it, `composite` what it makes itself.
    """

    nexthop: Nexthop | None = None
    labelled: bool = False
    own: bool = False
    composite: bool = False
    tunnels: tuple[Tunnel, ...] = ()
    asked: tuple[IPv4Address, ...] = ()


# From attributes to specs


def _mpls(offered: tuple[Encapsulation, ...]) -> tuple[Encapsulation, ...]:
    """Inet routes carry MPLS labels: VXLAN is not for them."""
    kept = tuple(one for one in offered if one is not Encapsulation.VXLAN)
    return kept or MPLS


_MPLS: dict[tuple[Encapsulation, ...], tuple[Encapsulation, ...]] = {MPLS: MPLS}


def _offered(nexthop: RouteNexthop) -> tuple[Encapsulation, ...]:
    offered = nexthop.encapsulations
    found = _MPLS.get(offered)
    if found is None:
        found = _MPLS.setdefault(tuple(offered), _mpls(offered))
    return found


def way_spec(nexthop: RouteNexthop) -> Towards:
    """Where a route leads that has this nexthop alone."""
    return Towards(int(nexthop.address), _offered(nexthop))


def inet_spec(
    attributes: RouteAttributes, before: Spec | None = None, kept: Kept | None = None
) -> Spec | None:
    """Where an inet route leads; None for one that cannot be used: no nexthop, no MPLS label.

    `before` is what it was: the ways that stay keep their places. So they do over a restart,
    from which `kept` is.
    """
    nexthops = attributes.nexthops
    if len(nexthops) == 1:
        [one] = nexthops
        return way_spec(one) if 0 < one.label <= MOST_LABEL else None
    ways: dict[tuple[int, int], Member] = {}
    for one in nexthops[:MOST_MEMBERS]:
        if 0 < one.label <= MOST_LABEL:
            way = int(one.address), one.label
            ways.setdefault(way, Member(*way, _offered(one)))
    members = sorted(ways.values(), key=lambda way: way[:2])
    if len(members) < 2:
        return Towards(members[0].address, members[0].offered) if members else None
    old: tuple[Member | None, ...] = before.members if isinstance(before, Ecmp) else ()
    if kept is not None:
        old = _places_before(kept, members)
    return Ecmp(places(old, members), hash_bits(attributes.load_balance))


def _places_before(kept: Kept, members: list[Member]) -> tuple[Member | None, ...]:
    """The ways in the places that they had; those of this host's own composites were last."""
    far = {(one[0], one[1][0]) for one in kept if one is not None and one[0]}
    named = {(one.address, one.label): one for one in members}
    local = {one.label: one for way, one in named.items() if way not in far}
    found: list[Member | None] = []
    end = 0
    for at, place in enumerate(kept, start=1):
        member: Member | None = None
        if place is not None:
            address, labels = place
            known = (named.get((address, labels[0])),) if address else map(local.get, labels)
            member = next(filter(None, known), None)
        found.append(member)
        if member is not None or place is None:
            end = at
    return tuple(found[:end])


def fabric_spec(attributes: RouteAttributes) -> Spec | None:
    """Where a route of the fabric VRF without a label leads: to a host, without a tunnel."""
    usable = [one for one in attributes.nexthops if one.label in (0, _IMPLICIT_NULL)]
    return Native(min(int(one.address) for one in usable)) if usable else None


def host_spec(attributes: RouteAttributes) -> Spec | None:
    """Where an EVPN host route leads; None without a label that a tunnel could carry."""
    one = _first(attributes.nexthops)
    offered = carriers(one.label, one.encapsulations) if one else None
    return Towards(int(one.address), offered) if one and offered is not None else None


def prefix_spec(attributes: RouteAttributes) -> Spec | None:
    """Where an EVPN prefix route leads; None without a VNI or a router's MAC."""
    one = _first(attributes.nexthops)
    if one is None or not any(one.mac or b""):
        return None
    return Towards(int(one.address), (Encapsulation.VXLAN,), one.mac)


def label_of(attributes: RouteAttributes) -> int:
    """The label, or VNI, of a route that leads one way; 0 for none."""
    one = _first(attributes.nexthops)
    return one.label if one else 0


def _first(nexthops: tuple[RouteNexthop, ...]) -> RouteNexthop | None:
    """The nexthop with a label that counts where only one does."""
    if len(nexthops) == 1:
        return nexthops[0] if nexthops[0].label else None
    usable = [one for one in nexthops if one.label]
    return min(usable, key=lambda way: (int(way.address), way.label), default=None)


def places(old: tuple[M | None, ...], members: Iterable[M]) -> tuple[M | None, ...]:
    """Members that stay keep their places, new ones take those that are free, then more."""
    wanted = dict.fromkeys(members)
    made = [one if one in wanted else None for one in old]
    for one in made:
        wanted.pop(one, None)  # type: ignore[arg-type]
    fresh = list(wanted)
    for at, one in enumerate(made):
        if one is None and fresh:
            made[at] = fresh.pop(0)
    return (*made, *fresh)


def hash_bits(fields: frozenset[LoadBalanceField]) -> int:
    """Which parts of a packet choose the way, as the datapath has it; all when none is said."""
    return sum(_HASH_BITS[one] for one in fields or ALL_FIELDS)


# From specs to directions


def direction(view: View, spec: Spec) -> Direction:
    """The nexthop of a spec, and what it needs."""
    row = view(fabric)
    if row is None or row.router_id is None:
        return Direction()
    if isinstance(spec, Ecmp):
        return _ecmp(view, spec, int(row.router_id))
    if spec.address == int(row.router_id):
        return Direction(own=True)
    if isinstance(spec, Native):
        return _native(view, IPv4Address(spec.address))
    which = _tunnel(view, spec.address, spec.offered, spec.rewrite)
    if which is None:
        return Direction()
    return Direction(view(tunnel, which), labelled=True, tunnels=(which,))


def _tunnel(
    view: View, address: int, offered: tuple[Encapsulation, ...], rewrite: Mac | None = None
) -> Tunnel | None:
    chosen = choose(view(priorities), offered)
    return None if chosen is None else Tunnel(IPv4Address(address), chosen, rewrite)


def _native(view: View, far: IPv4Address) -> Direction:
    asked = view(next_hop, far)
    if asked is None:
        return Direction()
    return Direction(view(neighbour, asked) or nexthop.DISCARD, asked=(asked,))


def _ecmp(view: View, spec: Ecmp, own: int) -> Direction:
    members: list[tuple[Nexthop, int] | None] = []
    more: list[tuple[Nexthop, int]] = []
    tunnels: list[Tunnel] = []
    for way in spec.members:
        via: Nexthop | None = None
        if way is not None and way.address == own:
            first, *others = _own(view, way.label)
            members.append(first)
            more += (one for one in others if one is not None)
            continue
        if way is not None:
            which = _tunnel(view, way.address, way.offered)
            if which is not None:
                tunnels.append(which)
                via = view(tunnel, which)
        members.append(None if way is None or via is None else (via, way.label))
    members += more
    if not any(members):
        return Direction()  # all lead to this host, which does not know their labels
    made = nexthop.ecmp(view, _name(spec), members, spec.hash_fields)
    return Direction(made, composite=True, tunnels=tuple(dict.fromkeys(tunnels)))


def _own(view: View, label: int) -> list[tuple[Nexthop, int] | None]:
    """The ways behind a label of ours: of a composite its members, for none may hold another."""
    via = view.read(LOCAL, label)
    if via is None or via.type is not NexthopType.COMPOSITE:
        return [None if via is None else (via, label)]
    inside = ((view.read(LOCAL, one), one) for one in via.labels if one != HOLE)
    ways = [(each, one) for each, one in inside if each is not None]
    return [*ways] or [None]


def _name(spec: Ecmp) -> tuple[object, ...]:
    return (*(_place(way) for way in spec.members), spec.hash_fields)


def _place(way: Member | None) -> tuple[str, int, tuple[str, ...]] | int:
    if way is None:
        return HOLE
    return str(IPv4Address(way.address)), way.label, tuple(one.value for one in way.offered)
