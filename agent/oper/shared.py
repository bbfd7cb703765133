"""Addresses that several ports of this host have at once (active-active).

Each becomes one ECMP composite with a label of its own; so do controllers know it (facts
xmpp-ifmap.md 14). Which port has which place in the composite is state: flows remember
places, so those who stay keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import TypeAlias
from uuid import UUID

from agent.ifmap import NodeRef
from agent.oper import nexthop
from agent.oper.datapath import InetFlag, Label, Nexthop, Output, Peer, Route, inet_key
from agent.oper.direction import MOST_MEMBERS, hash_bits, places
from agent.oper.incremental import Engine, Failure, Source, View
from agent.oper.marks import hash_fields
from agent.oper.port_nexthops import Bound, nexthops
from agent.oper.ports import plugged
from agent.oper.preference import HIGH, active_active
from agent.oper.prefixes import PortPrefix, prefixes
from agent.oper.routing import routing
from agent.oper.rows import Vrf
from agent.oper.table import Table
from agent.oper.vmi import vmi
from agent.oper.vrf import vrf
from agent.routes import InetKey

Place: TypeAlias = "tuple[str, InetKey]"
"""A VRF's name and an address in it."""
Holders: TypeAlias = "tuple[UUID | None, ...]"
"""The VMIs that have an address, each in its place; None is a kept place."""

HOLDERS: Source[Place, Holders | None] = Source("holders")
SHARED: Source[None, tuple[Place, ...]] = Source("shared addresses")


def offered(view: View, uuid: UUID) -> tuple[Place, ...]:
    """The addresses that a port would share, and the prefixes that move with them."""
    wanted = view(active_active, uuid)
    row = view(vmi, uuid) if wanted else None
    made = view(nexthops, uuid) if row else None
    if row is None or row.vrf is None or made is None:
        return ()
    there = (one for one in view(prefixes, uuid) if one.address in wanted)
    usable = (one for one in there if made.towards(one, policy=row.policy))
    return tuple(place_of(row.vrf, one) for one in usable)


def place_of(own: Vrf, to: PortPrefix) -> Place:
    """Where a prefix of a port in the VRF `own` is known."""
    return (to.vrf or own).name, inet_key(to.prefix)


def groups(view: View) -> Mapping[Place, tuple[tuple[int, UUID], ...]]:
    """The ports of each address that several offer, with and in the order of their vifs."""
    found: dict[Place, list[tuple[int, UUID]]] = {}
    for uuid in view(plugged):
        there = view.attempt(offered, uuid)
        row = view(vmi, uuid) if there and not isinstance(there, Failure) else None
        if row is not None and not isinstance(there, Failure):
            for place in there:
                found.setdefault(place, []).append((row.vif_index, uuid))
    several = ((place, ports) for place, ports in found.items() if ports[1:])
    return {place: tuple(sorted(ports)[:MOST_MEMBERS]) for place, ports in several}


class Holdings:
    """Who holds which place."""

    def __init__(self, engine: Engine) -> None:
        self._table: Table[Place, Holders] = Table(engine, HOLDERS, SHARED)
        self._kept: dict[frozenset[int], tuple[int | None, ...]] = {}

    def keep_places(self, vifs: tuple[int | None, ...]) -> None:
        """These vifs, which together shared an address before a restart, had these places."""
        together = frozenset(vif for vif in vifs if vif is not None)
        if self._kept.setdefault(together, vifs) != vifs:
            self._kept[together] = ()  # of two addresses nobody knows which is which

    def forget_places(self) -> None:
        """From now on places are those of what is here."""
        self._kept.clear()

    def _before(self, ports: Iterable[tuple[int, UUID]]) -> Holders:
        """The places that these ports had before a restart."""
        uuids = dict(ports)
        kept = self._kept.get(frozenset(uuids), ())
        return tuple(None if vif is None else uuids[vif] for vif in kept)

    def take(self, found: Mapping[Place, tuple[tuple[int, UUID], ...]]) -> None:
        """These are the shared addresses now."""
        rows = self._table.rows
        for place in [place for place in rows if place not in found]:
            self._table.drop(place)
        for place, ports in found.items():
            before = rows[place] if place in rows else self._before(ports)
            self._table.put(place, places(before, (uuid for _, uuid in ports)))


def offer(view: View, uuid: UUID, place: Place) -> PortPrefix | None:
    """What a port offers of a shared address."""
    row = view(vmi, uuid)
    if row is None or row.vrf is None:
        return None
    there = (one for one in view(prefixes, uuid) if place_of(row.vrf, one) == place)
    return next(there, None)


def _bound(view: View, uuid: UUID, place: Place) -> Bound | None:
    row, made, to = view(vmi, uuid), view(nexthops, uuid), offer(view, uuid, place)
    if row is None or made is None or to is None:
        return None
    return made.towards(to, policy=row.policy)


def composite(view: View, place: Place) -> tuple[Nexthop, Label] | None:
    """The composite of a shared address with its label; None while nobody is there."""
    members: list[tuple[Nexthop, int] | None] = []
    holders = view.read(HOLDERS, place) or ()
    for uuid in holders:
        bound = _bound(view, uuid, place) if uuid else None
        members.append((bound.nexthop, bound.label.label) if bound else None)
    if not any(members):
        return None
    first = next(uuid for uuid in holders if uuid)
    chosen_by = hash_bits(view(hash_fields, first))
    made = nexthop.ecmp(view, ("local", *place), members, chosen_by)
    return made, nexthop.label(view, made)


def output(view: View, place: Place) -> Output:
    """The composite, its label, and the route to it."""
    made = view(composite, place)
    if made is None:
        return Output()
    return Output(made, tuple(_routes(view, place, made[0])))


def _routes(view: View, place: Place, via: Nexthop) -> Iterator[Route]:
    name, (packed, length) = place
    to = ip_network((packed, length))
    for instance in _instances(view, place, view(vrf, name)):
        own = (instance.name, instance.index, to, Peer.ECMP)
        yield Route(*own, via.key, via.index, InetFlag.ARP_PROXY, preference=HIGH)


def _instances(view: View, place: Place, own: Vrf) -> Iterator[Vrf]:
    """The VRF of the ports, and that which routes for their network."""
    yield own
    holders = view.read(HOLDERS, place) or ()
    if any(_is_elsewhere(view, uuid, place) for uuid in holders if uuid):
        return
    rows = (view(vmi, uuid) for uuid in holders if uuid)
    network = next((row.vn for row in rows if row is not None and row.vn is not None), None)
    found = view(routing, NodeRef("virtual-network", network.name)) if network else None
    if found is not None and found.vrf != own:
        yield found.vrf


def _is_elsewhere(view: View, uuid: UUID, place: Place) -> bool:
    to = offer(view, uuid, place)
    return to is not None and to.vrf is not None
