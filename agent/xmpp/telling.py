"""What each controller was told, against what it should know.

Wishes are kept once; for each session there is a record of what it was told. Differences
are worked off in order when the transport has room, so nothing piles up behind a slow
peer, a route that changes twice is sent once, and what is withdrawn is what was published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol
from uuid import UUID

from agent.routes import PublishedRoute, RouteFamily, RouteKey
from agent.xmpp.stanzas import Identity


class RouteId(NamedTuple):
    """Names a published route within its VRF."""

    family: RouteFamily
    key: RouteKey


class Encoder(Protocol):
    """Turns one route into its stanzas."""

    def publish(self, route: PublishedRoute) -> bytes:
        """The stanzas that add or change `route`."""

    def withdraw(self, route: PublishedRoute) -> bytes:
        """The stanzas that take back `route` as it was published."""


class _VrfItem(NamedTuple):
    vrf: str


class _RouteItem(NamedTuple):
    vrf: str
    route: RouteId


class _MachineItem(NamedTuple):
    machine: UUID


_Item = _VrfItem | _RouteItem | _MachineItem


class Membership(NamedTuple):
    """In a VRF, under an index; `number` is another one whenever it was joined anew."""

    vrf_index: int
    number: int


class Wishes:
    """What controllers should know: VRFs joined, their routes, local VMs' ports."""

    def __init__(self) -> None:
        self.vrfs: dict[str, Membership] = {}
        self._joined = 0
        self.routes: dict[str, dict[RouteId, PublishedRoute]] = {}
        self.machines: dict[UUID, set[UUID]] = {}

    def join(self, vrf: str, index: int) -> None:
        """Join a VRF. One that was left meanwhile is joined anew: its routes must come again."""
        found = self.vrfs.get(vrf)
        if found is None or found.vrf_index != index:
            self._joined += 1
            self.vrfs[vrf] = Membership(index, self._joined)

    def route(self, vrf: str, route: RouteId) -> PublishedRoute | None:
        """The wished route, if any."""
        return self.routes.get(vrf, {}).get(route)


class Telling:
    """One session's part: what was told, and what still differs from `wishes`."""

    def __init__(self, identity: Identity, wishes: Wishes, encoder: Encoder) -> None:
        self._identity = identity
        self._wishes = wishes
        self._encoder = encoder
        self._vrfs: dict[str, Membership] = {}
        self._routes: dict[str, dict[RouteId, PublishedRoute]] = {}
        self._machines: set[UUID] = set()
        self._due: dict[_Item, None] = {}
        self._open = False
        self._config = False
        self._config_asked = False
        self._trees = False
        self._number = 0
        self.published = 0
        self.stanzas = 0
        """Said in all sessions so far."""

    # What the owner tells

    def begin(self) -> None:
        """A session is established: everything is to be told."""
        self._open = True
        self._due = dict.fromkeys(map(_VrfItem, self._wishes.vrfs))

    def end(self) -> None:
        """The session is gone, and all that it was told with it."""
        self._vrfs.clear()
        self._routes.clear()
        self._machines.clear()
        self._due.clear()
        self._open = self._config = self._config_asked = self._trees = False
        self.published = 0

    def ask_config(self) -> None:
        """From now on this peer is asked for configuration, until the session's end."""
        self._config = True
        self._mark(map(_MachineItem, self._wishes.machines))

    def build_trees(self, builds: bool) -> None:
        """Whether this peer is to know broadcast routes."""
        if builds != self._trees:
            self._trees = builds
            for vrf, routes in self._wishes.routes.items():
                trees = (route for route in routes if route.family is RouteFamily.ERMVPN)
                self._mark(_RouteItem(vrf, route) for route in trees)

    def vrf_changed(self, vrf: str) -> None:
        """The wish for a VRF changed."""
        self._mark((_VrfItem(vrf),))

    def route_changed(self, vrf: str, route: RouteId) -> None:
        """The wish for a route changed."""
        self._mark((_RouteItem(vrf, route),))

    def routes_changed(self, vrf: str, routes: Iterable[RouteId]) -> None:
        """The wishes for several routes changed."""
        self._mark(_RouteItem(vrf, route) for route in routes)

    def machine_changed(self, machine: UUID) -> None:
        """The wish for a VM changed."""
        self._mark((_MachineItem(machine),))

    def _mark(self, items: Iterable[_Item]) -> None:
        if self._open:
            self._due.update(dict.fromkeys(items))

    # What the session says

    @property
    def done(self) -> bool:
        """Whether the peer was told everything."""
        return not self._due and (self._config_asked or not self._config)

    def data(self, limit: int) -> bytes:
        """Say what differs, about `limit` bytes of it; empty when nothing does."""
        said: list[bytes] = []
        size = 0
        if self._config and not self._config_asked:
            self._config_asked = True
            said.append(self._identity.virtual_router())
        while self._due and size < limit:
            item = next(iter(self._due))
            del self._due[item]
            for stanza in self._say(item):
                said.append(stanza)
                size += len(stanza)
        self.stanzas += len(said)
        return b"".join(said)

    def _say(self, item: _Item) -> Iterator[bytes]:
        match item:
            case _VrfItem(vrf):
                return self._say_vrf(vrf)
            case _RouteItem(vrf, route):
                return self._say_route(vrf, route)
            case _MachineItem(machine):
                return self._say_machine(machine)

    def _say_vrf(self, vrf: str) -> Iterator[bytes]:
        """A VRF whose index changed, or that was left meanwhile, is left and joined again."""
        told, wish = self._vrfs.get(vrf), self._wishes.vrfs.get(vrf)
        if told == wish:
            return
        if told is not None:
            for route in self._routes.pop(vrf, {}).values():
                yield self._encoder.withdraw(route)
            del self._vrfs[vrf]
            yield self._subscription(vrf, told.vrf_index, subscribe=False)
        if wish is not None:
            self._vrfs[vrf] = wish
            yield self._subscription(vrf, wish.vrf_index, subscribe=True)
            self._mark(_RouteItem(vrf, route) for route in self._wishes.routes.get(vrf, ()))

    def _subscription(self, vrf: str, index: int, *, subscribe: bool) -> bytes:
        self._number += 1
        return self._identity.vrf(vrf, index, self._number - 1, subscribe=subscribe)

    def _say_route(self, vrf: str, name: RouteId) -> Iterator[bytes]:
        """Nothing is said of a VRF that this session has not joined: it would be closed."""
        if vrf not in self._vrfs:
            return
        told = self._routes.get(vrf, {}).get(name)
        wish = self._wishes.route(vrf, name)
        if name.family is RouteFamily.ERMVPN and not self._trees:
            wish = None
        if wish == told:
            return
        if wish is not None:
            self._routes.setdefault(vrf, {})[name] = wish
            self.published += 1
            yield self._encoder.publish(wish)
        elif told is not None:
            del self._routes[vrf][name]
            yield self._encoder.withdraw(told)

    def _say_machine(self, machine: UUID) -> Iterator[bytes]:
        wish = machine in self._wishes.machines
        if self._config and wish != (machine in self._machines):
            (self._machines.add if wish else self._machines.discard)(machine)
            yield self._identity.virtual_machine(machine, subscribe=wish)
