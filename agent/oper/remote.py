"""Routes of controllers on their way to the datapath, many and in a straight line.

There may be 10^5 of them, so they are not results of the engine: only what they share is,
their directions (`direction.py`) and the facts of their VRF (`vrf_facts.py`). A route is
made when one of the three changes that it is made of, and only then (`territory.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, cast

from agent.objects import DatapathMessage, Desired, Key, Kind
from agent.oper.datapath import Label, Nexthop, NexthopType, Row
from agent.oper.demand import SPECS, direction_output
from agent.oper.direction import LOCAL, Direction, Kept, Spec
from agent.oper.incremental import Call, Engine, InputRead
from agent.oper.leads import Leads, Via
from agent.oper.multicast import GROUP, GROUPS, Group
from agent.oper.table import Table
from agent.oper.territory import InetRoutes, Local, Made, Territory
from agent.oper.vrf_facts import VrfFacts, vrf_facts
from agent.rib import Rib
from agent.routes import (
    EvpnKey,
    GroupKey,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteKey,
    TreeNeighbour,
)
from agent.values import BROADCAST_MAC

_ROUTES = (Kind.INET_ROUTE, Kind.BRIDGE_ROUTE)
_BROADCAST = GroupKey(IPv4Address("255.255.255.255"), IPv4Address(0))


@dataclass(slots=True)
class Counters:
    """What happened since the start. `ignored` are updates for VRFs that are not in use."""

    ignored: int = 0


class RemoteRoutes:
    """The rib, and what its routes want in the datapath beside what is local.

    A turn: `collect` before the engine's commit, which then tells `directed` and `facts`;
    `local` what changed beneath, and `make`.
    """

    def __init__(self, engine: Engine, local: Local) -> None:
        self.rib = Rib()
        self.counters = Counters()
        self._engine = engine
        self._local = local
        self._leads = Leads(lambda: engine.touch(SPECS, None))
        self._territories: dict[str, Territory] = {}
        self._elsewhere: set[Via] = set()
        self._lost: dict[Key, None] = {}
        self._labels: dict[Key, int] = {}
        self._trees: dict[str, RouteAttributes] = {}
        self._kept: dict[int, dict[InetKey, Kept]] = {}
        self._inclusive: dict[str, dict[EvpnKey, RouteAttributes]] = {}
        self._groups: Table[str, Group] = Table(engine, GROUP, GROUPS)
        engine.attach(SPECS, lambda _: self._leads.specs)
        engine.attach(LOCAL, local.nexthop)

    # Inputs

    def apply(self, peer: str, batch: RouteBatch) -> None:
        """A message of a controller. Routes of a VRF that is not in use are ignored."""
        if batch.vrf in self._territories:
            self.rib.apply(peer, batch)
        else:
            self.counters.ignored += len(batch.updates)

    def collect(self, most: int) -> None:
        """Take over what changed in the rib, `most` routes at most."""
        inet, inet6, evpn = RouteFamily.INET, RouteFamily.INET6, RouteFamily.EVPN
        for vrf, family, routes in self.rib.changes(most):
            territory = self._territories[vrf]
            if family is inet or family is inet6:
                territory.take_inets(cast("InetRoutes", routes))
                continue
            for key, best in routes:
                if family is evpn and key.mac != BROADCAST_MAC:  # type: ignore[union-attr]
                    territory.take_evpn(cast(EvpnKey, key), best)
                else:
                    self._take_group(vrf, family, key, best)

    def _take_group(
        self, vrf: str, family: RouteFamily, key: RouteKey, best: RouteAttributes | None
    ) -> None:
        if isinstance(key, EvpnKey):
            lists = self._inclusive.setdefault(vrf, {})
            if best is None:
                lists.pop(key, None)
            else:
                lists[key] = best
        elif family is RouteFamily.ERMVPN and key == _BROADCAST:
            if best is None:
                self._trees.pop(vrf, None)
            else:
                self._trees[vrf] = best
        self._put_group(vrf)

    def _put_group(self, vrf: str) -> None:
        tree = self._trees.get(vrf)
        others: dict[TreeNeighbour, None] = {}
        for each in self._inclusive.get(vrf, {}).values():
            others |= dict.fromkeys((*each.neighbours, *each.leaf_neighbours))
        if tree is None and not others:
            self._groups.drop(vrf)
            return
        members, label = (tree.neighbours, tree.source_label) if tree else ((), 0)
        self._groups.put(vrf, Group(members, label, tuple(others)))

    # Places of ECMP over a restart

    def keep_places(self, vrf_index: int, to: InetKey, kept: Kept) -> None:
        """The ways of this route had these places before."""
        self._kept.setdefault(vrf_index, {})[to] = kept

    def forget_places(self) -> None:
        """From now on places are those of what is here."""
        for kept in self._kept.values():
            kept.clear()

    # Addresses of this host's ports

    def watch(self, vrf: str, to: InetKey) -> None:
        """A port has this address: tell what controllers say of it."""
        if vrf in self._territories:
            self._territories[vrf].watched.add(to)

    def unwatch(self, vrf: str, to: InetKey) -> None:
        """No port has this address any more."""
        if vrf in self._territories:
            self._territories[vrf].watched.discard(to)

    def heard(self) -> Iterator[tuple[str, InetKey, RouteAttributes]]:
        """(VRF, address, best path) of what was said of watched addresses since last asked."""
        for name, territory in self._territories.items():
            if territory.heard:
                heard, territory.heard = territory.heard, {}
                for to, best in heard.items():
                    yield name, to, best

    def highest(self, vrf: str, to: InetKey) -> int:
        """The highest sequence number that anyone has for an address; 0 for none."""
        family = RouteFamily.INET if len(to.prefix) == 4 else RouteFamily.INET6
        table = self.rib.table(vrf, family)
        paths = table.paths(to) if table else ()
        return max((path.sequence for _, path, _ in paths), default=0)

    # Results of the engine

    def directed(self, spec: Spec, found: Direction | None) -> None:
        """A direction was computed; None when that failed."""
        via = self._leads.directed(spec, found)
        if via is not None:
            self._elsewhere.add(via)

    def facts(self, name: str, facts: VrfFacts | None) -> None:
        """A VRF is in use with these facts, or (None) not any more."""
        territory = self._territories.get(name)
        if facts is None:
            if territory is not None:
                self._forget(self._territories.pop(name))
        elif territory is None:
            kept = self._kept.setdefault(facts.index, {})
            self._territories[name] = Territory(facts, self._leads, self._local, kept)
        else:
            territory.take_facts(facts)

    def _forget(self, territory: Territory) -> None:
        vrf = territory.facts.name
        self._lost |= dict.fromkeys(territory.clear())
        self.rib.drop_vrf(vrf)
        self._trees.pop(vrf, None)
        self._inclusive.pop(vrf, None)
        self._groups.drop(vrf)

    # Beneath and beside

    def local(self, changes: Iterable[tuple[Key, Row | None]]) -> None:
        """Rows that the host wants of its own changed."""
        for key, row in changes:
            if key.kind in _ROUTES:
                name: Any = key.name
                territory = self._territories.get(name[0])
                if territory is not None:
                    territory.take_local(name[1])
            elif key.kind is Kind.LABEL:
                self._label(self._labels.pop(key, None))
                if isinstance(row, Label):
                    self._labels[key] = row.label
                    self._label(row.label)
            elif isinstance(row, Nexthop) and row.type is NexthopType.COMPOSITE:
                self._label(self._labels.get(Key(Kind.LABEL, key.name)))

    def _label(self, label: int | None) -> None:
        """The nexthop behind a label of this host may be another one."""
        if label is not None:
            self._engine.touch(LOCAL, label)
            for territory in self._territories.values():
                territory.take_label(label)

    def make(self, made: Made) -> None:
        """Put what remote routes want over what the host wants of its own in `made`."""
        for key in self._lost:
            if key not in made:
                made[key] = self._local.desired(key)
        self._lost.clear()
        if self._elsewhere:
            for territory in self._territories.values():
                territory.take_leads(self._elsewhere)
            self._elsewhere.clear()
        for territory in self._territories.values():
            if territory.is_due:
                territory.make(made)

    def paths(self, made: Made) -> list[tuple[DatapathMessage, RouteAttributes | None]]:
        """The routes of a batch, each with what a controller says of it, None for local ones.

        Those in `made`, and those of which something else is said that the datapath need
        not know.
        """
        due = {key: one for key, one in made.items() if one and key.kind in _ROUTES}
        for territory in self._territories.values():
            due.update((one.key, one) for one in territory.take_said())
        return [(one.message, self._path(key)) for key, one in due.items()]

    def _path(self, key: Key) -> RouteAttributes | None:
        vrf, to = cast(Any, key.name)
        territory = self._territories.get(vrf)
        return territory.path_of(to) if territory else None

    # Looking

    def why(self, key: Key) -> list[Call | InputRead] | None:
        """What a route of a controller was made of; None where the local row is in force."""
        if key.kind not in _ROUTES:
            return None
        vrf, to = cast(Any, key.name)
        territory = self._territories.get(vrf)
        spec = territory.lead_of(to) if territory else None
        if spec is None:
            return None
        return [
            InputRead("route", to),
            Call(direction_output, (spec,)),
            Call(vrf_facts, (vrf,)),
        ]

    def made(self, key: Key) -> DatapathMessage | None:
        """What a remote route wants in the datapath; None where the local row is in force."""
        if key.kind not in _ROUTES:
            return None
        vrf, to = cast(Any, key.name)
        territory = self._territories.get(vrf)
        found = territory.made(to) if territory else None
        return found.message if found else None

    def desired(self) -> dict[Key, Desired]:
        """All objects that remote routes want."""
        return {
            one.key: one
            for territory in self._territories.values()
            for store in (territory.inet_made, territory.bridge_made)
            for one in store.values()
        }
