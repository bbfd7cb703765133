"""The remote routes of one VRF: their paths, and the datapath objects made of them.

Each is made in one step from its attributes, its direction and the facts of the VRF.
Facts oper-db.md 3.4 (what EVPN adds), 3.5 (ARP flags), sandesh-ksync.md 4.4 (messages).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeAlias, TypeVar

from agent._fast.inet_routes import Network, make, take
from agent.objects import Desired, Key, Kind
from agent.oper.datapath import BridgeFlag, InetFlag, Nexthop, Route, Row, vrf_key
from agent.oper.desired import bridge_route, desired, inet_route
from agent.oper.direction import (
    Kept,
    Spec,
    fabric_spec,
    host_spec,
    inet_spec,
    label_of,
    prefix_spec,
    way_spec,
)
from agent.oper.lane import Lane
from agent.oper.leads import Leads, Via
from agent.oper.vrf_facts import VrfFacts
from agent.rib import preference
from agent.routes import EvpnKey, InetKey, RouteAttributes, RouteNexthop
from agent.values import Mac

_LABEL_VALID, _PROXY, _FLOOD, _TRAP = (
    int(flag)
    for flag in (InetFlag.LABEL_VALID, InetFlag.ARP_PROXY, InetFlag.ARP_FLOOD, InetFlag.ARP_TRAP)
)
_BRIDGE_FLAGS = int(BridgeFlag.LABEL_VALID | BridgeFlag.FLOOD_DHCP)
_MOST_REFS = 4096
K = TypeVar("K", bound=Hashable)

InetRoutes: TypeAlias = "list[tuple[InetKey, RouteAttributes | None]]"
Made: TypeAlias = "dict[Key, Desired | None]"
"""What a batch changes: desired objects, None for what goes."""


class Local:
    """What this host has of its own, as remote routes see it."""

    __slots__ = ("nexthop", "row")

    def __init__(
        self, row: Callable[[Key], Row | None], nexthop: Callable[[int], Nexthop | None]
    ) -> None:
        self.row = row
        """The row of a key that is wanted without regard to remote routes."""
        self.nexthop = nexthop
        """The nexthop that a label of this host is bound to."""

    def desired(self, key: Key) -> Desired | None:
        """What the datapath shows of a key where no remote route covers it."""
        row = self.row(key)
        return None if row is None else desired(row)


class Territory:
    """The remote routes of a VRF. `take` what changes, then `make`.

    `kept` are the places of ECMP routes' ways before a restart, for as long as they count.
    """

    def __init__(
        self, facts: VrfFacts, leads: Leads, local: Local, kept: Mapping[InetKey, Kept]
    ) -> None:
        self.facts = facts
        self._network = _network(facts)
        self._leads = leads
        self._local = local
        self._kept = kept
        self._inet: Lane[InetKey] = Lane(leads)  # both families: the keys differ in length
        self._prefixes: Lane[InetKey] = Lane(leads)
        self._hosts: Lane[EvpnKey] = Lane(leads)
        self._of_mac: dict[Mac, tuple[EvpnKey, ...]] = {}
        self._of_ip: dict[bytes, tuple[EvpnKey, ...]] = {}
        self._own: dict[int, dict[InetKey, None]] = {}  # local label -> routes of its nexthop
        self._due_inet: dict[InetKey, None] = {}
        self._due_macs: dict[Mac, None] = {}
        self._refs: dict[Key, tuple[Key, ...]] = {}
        self.watched: set[InetKey] = set()
        """The addresses of this host's ports: what is said of them is kept in `heard`."""
        self.heard: dict[InetKey, RouteAttributes] = {}
        self.inet_made: dict[InetKey, Desired] = {}
        self.bridge_made: dict[Mac, Desired] = {}
        self._said: dict[InetKey | Mac, None] = {}  # known routes with another path

    # What changes

    def take_inets(self, routes: InetRoutes) -> None:
        """Inet or inet6 routes have other best paths."""
        if self._network is not None:
            lane, hold = self._inet, self._hold
            routes = take(routes, lane.paths, lane.vias, self.watched, hold, self._due_inet)
        for to, best in routes:
            self.take_inet(to, best)

    def _hold(self, nexthop: RouteNexthop) -> Via:
        return self._leads.hold(way_spec(nexthop))

    def take_inet(self, to: InetKey, best: RouteAttributes | None) -> None:
        """An inet or inet6 route has another best path."""
        lane = self._inet
        if best is None:
            self._disown(to, lane.drop(to))
        else:
            lane.put(to, best, self._inet_spec(to, best))
            if to in self.watched:
                self.heard[to] = best
        self._due_inet[to] = self._said[to] = None

    def _inet_spec(self, to: InetKey, best: RouteAttributes) -> Spec | None:
        facts = self.facts
        if facts.routing:
            return None
        native = fabric_spec(best) if facts.fabric else None
        if native is not None:
            return native
        before = self._inet.vias.get(to)
        return inet_spec(best, before.spec if before else None, self._kept.get(to))

    def _disown(self, to: InetKey, path: RouteAttributes | None) -> None:
        routes = self._own.get(label_of(path)) if path and self._own else None
        if routes:
            routes.pop(to, None)

    def take_evpn(self, key: EvpnKey, best: RouteAttributes | None) -> None:
        """An EVPN host (type 2) or prefix (type 5) route has another best path."""
        ip = key.ip.packed
        if not any(key.mac):
            to = InetKey(ip, key.length)
            if best is None:
                self._prefixes.drop(to)
            else:
                self._prefixes.put(to, best, self._prefix_spec(best))
            self._due_inet[to] = self._said[to] = None
            return
        known = key in self._hosts.paths
        if best is None:
            self._hosts.drop(key)
        else:
            self._hosts.put(key, best, host_spec(best))
        if known is (best is None):
            _index(self._of_mac, key.mac, key, known)
            if any(ip):
                _index(self._of_ip, ip, key, known)
        self._due_macs[key.mac] = self._said[key.mac] = None
        if any(ip):
            self._due_inet[InetKey(ip, 8 * len(ip))] = None

    def _prefix_spec(self, best: RouteAttributes) -> Spec | None:
        return prefix_spec(best) if self.facts.routing else None

    def take_facts(self, facts: VrfFacts) -> None:
        """The VRF is another one now: everything in it must be looked at."""
        before, self.facts = self.facts, facts
        self._network = _network(facts)
        if before.routing is not facts.routing:
            for to, best in self._inet.paths.items():
                self._inet.put(to, best, self._inet_spec(to, best))
            for to, best in self._prefixes.paths.items():
                self._prefixes.put(to, best, self._prefix_spec(best))
        self._refs.clear()
        self._due_inet |= dict.fromkeys(self._inet.paths) | dict.fromkeys(self._prefixes.paths)
        self._due_macs |= dict.fromkeys(self._of_mac)

    def take_leads(self, vias: set[Via]) -> None:
        """These directions lead elsewhere now."""
        for lane in (self._inet, self._prefixes):
            self._due_inet |= dict.fromkeys(lane.users(vias))
        self._due_macs |= dict.fromkeys(key.mac for key in self._hosts.users(vias))

    def take_local(self, to: InetKey | Mac) -> None:
        """The local row of a route is another one."""
        if isinstance(to, Mac):
            if to in self._of_mac:
                self._due_macs[to] = None
                self._bound(to)
        elif to in self._inet.paths or to in self._prefixes.paths:
            self._due_inet[to] = None

    def take_label(self, label: int) -> None:
        """A label of this host has another nexthop."""
        self._due_inet |= dict.fromkeys(self._own.pop(label, ()))

    def _bound(self, mac: Mac) -> None:
        """The bridge entry of a MAC came or went: routes are stitched to it or not."""
        for key in self._of_mac.get(mac, ()):
            ip = key.ip.packed
            if any(ip):
                self._due_inet[InetKey(ip, 8 * len(ip))] = None

    # What is made

    @property
    def is_due(self) -> bool:
        """Whether `make` has something to do."""
        return bool(self._due_inet or self._due_macs)

    def make(self, made: Made) -> None:
        """Make what is due; what differs from before goes into `made`."""
        for mac in self._due_macs:
            before = mac in self.bridge_made
            self._settle(self.bridge_made, mac, self._bridge(mac), made)
            if (mac in self.bridge_made) is not before:
                self._bound(mac)
        self._due_macs.clear()
        for to in self._not_plain(made):
            self._settle(self.inet_made, to, self._route(to), made)
        self._due_inet.clear()

    def _not_plain(self, made: Made) -> Iterable[InetKey]:
        """Make what is plain of the inet routes that are due; gives the others."""
        if self._network is None:
            return self._due_inet
        own = [to for to in self.watched if to in self._due_inet]
        for to in own:
            del self._due_inet[to]
        lane, stitched, refs = self._inet, self._of_ip, self._refs
        paths, vias, store = lane.paths, lane.vias, self.inet_made
        rest = make(self._due_inet, paths, vias, stitched, refs, self._network, store, made)
        return [*own, *rest]

    def lead_of(self, to: InetKey | Mac) -> Spec | None:
        """Where the object made for a route leads; None where none was made."""
        via: Via | None = None
        if isinstance(to, Mac):
            if to in self.bridge_made:
                via = self._hosts.vias.get(self._best_of(self._of_mac[to]))
        elif to in self.inet_made:
            via = (self._prefixes if self.facts.routing else self._inet).vias.get(to)
        return via.spec if via else None

    def path_of(self, to: InetKey | Mac) -> RouteAttributes | None:
        """What a controller says of the route made for `to`; None where none was made."""
        if isinstance(to, Mac):
            return self._hosts.paths[self._best_of(self._of_mac[to])] if self.made(to) else None
        lane = self._prefixes if self.facts.routing else self._inet
        return lane.paths.get(to) if self.made(to) else None

    def made(self, to: InetKey | Mac) -> Desired | None:
        """The object made for a route; None where the local row is in force."""
        return self.bridge_made.get(to) if isinstance(to, Mac) else self.inet_made.get(to)

    def take_said(self) -> list[Desired]:
        """The objects of known routes of which something else is said since last asked."""
        said, self._said = self._said, {}
        return [one for one in map(self.made, said) if one is not None]

    def clear(self) -> list[Key]:
        """The VRF is gone, and what it used. Returns the keys of all that was made."""
        for lane in (self._inet, self._prefixes):
            lane.clear()
        self._hosts.clear()
        return [one.key for one in (*self.inet_made.values(), *self.bridge_made.values())]

    def _settle(self, store: dict[K, Desired], name: K, new: Desired | None, made: Made) -> None:
        old = store.get(name)
        if new is None:
            if old is not None:
                del store[name]
                made[old.key] = self._local.desired(old.key)
        elif old is None or old != new:
            store[name] = made[new.key] = new
        else:
            made.pop(old.key, None)  # what changed is the local row beneath

    def _route(self, to: InetKey) -> Desired | None:
        """An inet route; None where the local row, if any, is in force."""
        facts = self.facts
        lane = self._prefixes if facts.routing else self._inet
        via = lane.vias.get(to)
        if via is None or via.lead is None or to in facts.reserved:
            return None
        key = Key(Kind.INET_ROUTE, (facts.name, to))
        path, lead = lane.paths[to], via.lead
        nexthop, index = lead.nexthop, lead.number
        if lead.own:
            nexthop, index = self._own_nexthop(key, to, path)
        elif facts.fabric and self._local.row(key) is not None:
            return None  # the host's own addresses and routes are not the controllers' business
        if nexthop is None:
            return None
        label = flags = 0
        if lead.labelled:
            label, flags = label_of(path), _LABEL_VALID
        refs = self._refs_of(nexthop)
        bridge = None if lead.composite or not self._of_ip else self._stitched(to)
        mac = b""
        if bridge is not None:
            mac = bytes(bridge.name[1])  # type: ignore[index]
            refs = (*refs, bridge)
        flags |= self._arp_flags(to, path, stitched=bridge is not None or lead.composite)
        flags |= self._trap(key, to)
        message = inet_route(facts.index, to, index, label, flags, mac)
        return Desired(key, refs, message)

    def _own_nexthop(self, key: Key, to: InetKey, path: RouteAttributes) -> tuple[Key | None, int]:
        """Our own route told back to us, or one of ours leaked here from another VRF."""
        if self._local.row(key) is not None or self.facts.routing:
            return None, 0
        label = label_of(path)
        self._own.setdefault(label, {})[to] = None
        nexthop = self._local.nexthop(label)
        return (None, 0) if nexthop is None else (nexthop.key, nexthop.index)

    def _refs_of(self, nexthop: Key) -> tuple[Key, ...]:
        """References are shared between routes: there are few different ones."""
        refs = self._refs.get(nexthop)
        if refs is None:
            if len(self._refs) >= _MOST_REFS:
                self._refs.clear()
            refs = self._refs[nexthop] = (vrf_key(self.facts.name), nexthop)
        return refs

    def _arp_flags(self, to: InetKey, path: RouteAttributes, *, stitched: bool) -> int:
        """Who answers ARP for it: the rules of facts oper-db.md 3.5, the last that hold first."""
        facts = self.facts
        if facts.fabric:
            return _PROXY if stitched else 0
        if not facts.l3:
            return _FLOOD
        network = facts.network
        if not facts.l2:
            return _PROXY
        for one in path.nexthops:
            if one.virtual_network != network:
                return _PROXY
        if stitched and to.length == 8 * len(to.prefix):
            return _PROXY
        return _FLOOD if facts.floods(to) else _PROXY

    def _trap(self, key: Key, to: InetKey) -> int:
        """A port of this host that waits for traffic is heard of when it announces itself."""
        row = self._local.row(key) if to in self.watched else None
        return row.flags & _TRAP if isinstance(row, Route) else 0

    def _stitched(self, to: InetKey) -> Key | None:
        """The bridge entry of the MAC that EVPN tells for an address, if there is one."""
        keys = self._of_ip.get(to.prefix)
        if keys is None or to.length != 8 * len(to.prefix) or not self.facts.l2:
            return None
        mac = self._best_of(keys).mac
        found = self.bridge_made.get(mac)
        if found is not None:
            return found.key
        key = Key(Kind.BRIDGE_ROUTE, (self.facts.name, mac))
        return key if self._local.row(key) is not None else None

    def _bridge(self, mac: Mac) -> Desired | None:
        """The bridge entry derived from EVPN; None where the local row is in force."""
        keys = self._of_mac.get(mac)
        facts = self.facts
        if not keys or not facts.l2:
            return None
        key = self._best_of(keys)
        via = self._hosts.vias.get(key)
        lead = via.lead if via else None
        if lead is None or lead.nexthop is None:
            return None
        label = label_of(self._hosts.paths[key])
        message = bridge_route(facts.index, mac, lead.number, label, _BRIDGE_FLAGS)
        name = Key(Kind.BRIDGE_ROUTE, (facts.name, mac))
        return Desired(name, self._refs_of(lead.nexthop), message)

    def _best_of(self, keys: tuple[EvpnKey, ...]) -> EvpnKey:
        return keys[0] if len(keys) == 1 else min(keys, key=self._by_path)

    def _by_path(self, key: EvpnKey) -> tuple[object, ...]:
        """The better path first, then the lower address."""
        better = tuple(-part for part in preference(self._hosts.paths[key]))
        return (better, len(key.ip.packed), key.ip.packed, key.mac, key.tag)


def _network(facts: VrfFacts) -> Network | None:
    """What the plain routes of a VRF have in common; None where no route is plain."""
    if facts.fabric or facts.routing:
        return None
    always = 0 if facts.l2 and facts.l3 else _PROXY if facts.l3 else _FLOOD
    subnets = [
        ((top << bits).to_bytes(size, "big"), 8 * size - bits) for size, bits, top in facts.subnets
    ]
    return Network(facts.name, facts.index, facts.network, always, subnets)


def _index(index: dict[K, tuple[EvpnKey, ...]], name: K, key: EvpnKey, known: bool) -> None:
    """Add a key to, or (when known) take it from, those of a name."""
    keys = index.get(name, ())
    left = tuple(one for one in keys if one != key) if known else (*keys, key)
    if left:
        index[name] = left
    else:
        del index[name]
