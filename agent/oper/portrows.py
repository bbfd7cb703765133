"""The rows of plugged VMIs, what was heard from their VMs, and who else claims their addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address
from uuid import UUID

from agent.inputs import DhcpSnooped, DropNewFlows, LinkTold, TrafficSeen
from agent.oper.datapath import inet_key
from agent.oper.incremental import Engine
from agent.oper.preference import SEQUENCE
from agent.oper.remote import RemoteRoutes
from agent.oper.rows import Vmi
from agent.oper.table import Table
from agent.oper.vmi import NO_VIF
from agent.oper.world import DROPPING, SNOOPED, TOLD_DOWN, TRAFFIC
from agent.routes import InetKey, RouteAttributes
from agent.values import Address, Mac, prefix


@dataclass(slots=True)
class RowChanges:
    """What a batch does to the rows."""

    changed: dict[UUID, Vmi] = field(default_factory=dict)
    unplugged: list[Vmi] = field(default_factory=list)


class PortRows:
    """Rows by UUID and by vif. A VM is heard of by its vif and address."""

    def __init__(self, engine: Engine, remote: RemoteRoutes) -> None:
        self.rows: dict[UUID, Vmi] = {}
        self._remote = remote
        self._by_vif: dict[int, UUID] = {}
        self._traffic: Table[tuple[int, Address], TrafficSeen] = Table(engine, TRAFFIC)
        self._sequences: Table[tuple[int, Address], int] = Table(engine, SEQUENCE)
        self._leases: Table[int, DhcpSnooped] = Table(engine, SNOOPED)
        self._full: Table[int, DropNewFlows] = Table(engine, DROPPING)
        self._down: Table[int, LinkTold] = Table(engine, TOLD_DOWN)
        # Ports by VRF and address; normally one.
        self._holders: dict[tuple[str, InetKey], dict[int, None]] = {}
        self._touched: dict[tuple[str, InetKey], None] = {}

    def by_vif(self, vif_index: int) -> Vmi | None:
        """The row of a vif."""
        uuid = self._by_vif.get(vif_index)
        return None if uuid is None else self.rows.get(uuid)

    def take(self, uuid: UUID, row: Vmi | None, changes: RowChanges) -> None:
        """The row of a VMI is another one, or (None) it is not plugged any more."""
        old = self.rows.pop(uuid, None)
        changes.changed.pop(uuid, None)
        if old is not None:
            self._hold(old, add=False)
            if row is None or row.vif_index != old.vif_index:
                self._unplug(uuid, old)
                changes.unplugged.append(old)
        if row is not None:
            self.rows[uuid] = row
            self._hold(row, add=True)
            if row.vif_index != NO_VIF:
                self._by_vif[row.vif_index] = uuid
            if row != old:
                changes.changed[uuid] = row

    def _unplug(self, uuid: UUID, old: Vmi) -> None:
        if self._by_vif.get(old.vif_index) == uuid:
            del self._by_vif[old.vif_index]
        self._leases.drop(old.vif_index)
        self._full.drop(old.vif_index)
        self._down.drop(old.vif_index)
        for table in (self._traffic, self._sequences):
            for key in [key for key in table.rows if key[0] == old.vif_index]:
                table.drop(key)

    def _hold(self, row: Vmi, *, add: bool) -> None:
        for vrf, to in _places(row):
            holders = self._holders.setdefault((vrf, to), {})
            if add:
                holders[row.vif_index] = None
            else:
                holders.pop(row.vif_index, None)
                if not holders:
                    del self._holders[vrf, to]
            self._touched[vrf, to] = None

    def settle(self) -> None:
        """The batch is over: have the addresses of ports watched."""
        for vrf, to in self._touched:
            if (vrf, to) in self._holders:
                self._remote.watch(vrf, to)
            else:
                self._remote.unwatch(vrf, to)
        self._touched.clear()

    # Path preference

    def adopt(self, fact: TrafficSeen) -> None:
        """An agent before us had heard of the VM."""
        self._traffic.put((fact.vif_index, fact.ip), fact)

    def heard(self, fact: TrafficSeen) -> None:
        """A packet of the VM: the port takes the address, above all that were heard.

        What is said of unknown vifs is ignored.
        """
        row = self.by_vif(fact.vif_index)
        if row is None or row.vrf is None:
            return
        fact = replace(fact, ip=row.held_as(fact.ip))
        name = fact.vif_index, fact.ip
        place = _place(row, row.vrf.name, fact.ip)
        own, here = self._sequences.rows.get(name, 0), self._highest(place, fact.ip)
        if self._traffic.rows.get(name) == fact and own >= here:
            return  # nobody took the address from it since
        self._traffic.put(name, fact)
        if fact.mac in row.macs_of(fact.ip):
            self._sequences.put(name, max(self._remote.highest(*place), own, here) + 1)

    def _highest(self, place: tuple[str, InetKey], ip: Address) -> int:
        """The highest sequence number that a port of this host has for an address."""
        rows = self._sequences.rows
        return max((rows.get((vif, ip), 0) for vif in self._holders.get(place, ())), default=0)

    def leased(self, fact: DhcpSnooped) -> None:
        """A server on the fabric gave the VM its address, or did so before us."""
        self._leases.put(fact.vif_index, fact)

    def full(self, fact: DropNewFlows) -> None:
        """Whether a port has all the flows that it may have. Unknown vifs are ignored."""
        if not fact.drop:
            self._full.drop(fact.vif_index)
        elif fact.vif_index in self._by_vif:
            self._full.put(fact.vif_index, fact)

    def link(self, fact: LinkTold) -> None:
        """Whether something is behind a vhost-user socket. Unknown vifs are ignored."""
        if fact.up:
            self._down.drop(fact.vif_index)
        elif fact.vif_index in self._by_vif:
            self._down.put(fact.vif_index, fact)

    def forget_links(self) -> None:
        """Another datapath, or a new connection to it: it will say what is down."""
        for vif_index in list(self._down.rows):
            self._down.drop(vif_index)

    def give_way(self, router_id: IPv4Address | None) -> None:
        """Ports whose address is now elsewhere, with a higher sequence number, wait again."""
        for vrf, to, best in self._remote.heard():
            if _leads_here(best, router_id):
                continue
            for vif in self._holders.get((vrf, to), ()):
                name = vif, ip_address(to.prefix)
                if best.sequence > self._sequences.rows.get(name, 0):
                    self._traffic.drop(name)

    def waiting(self) -> list[tuple[int, IPv4Address, Mac]]:
        """(vif index, address, MAC) of the VMs that have not yet been heard of."""
        return [
            (row.vif_index, ip, mac)
            for row in self.rows.values()
            for ip, mac in _expected(row)
            if isinstance(ip, IPv4Address) and not self._was_heard(row.vif_index, ip, mac)
        ]

    def _was_heard(self, vif_index: int, ip: IPv4Address, mac: Mac) -> bool:
        fact = self._traffic.rows.get((vif_index, ip))
        return fact is not None and fact.mac == mac


def _places(row: Vmi) -> Iterator[tuple[str, InetKey]]:
    if row.vrf is not None and row.vif_index != NO_VIF:
        for address in dict.fromkeys((row.ip, row.ip6, *row.others)):
            if address is not None:
                yield row.vrf.name, inet_key(prefix(str(address)))
        for pair in row.pairs:
            yield row.vrf.name, inet_key(pair.prefix)


def _place(row: Vmi, vrf: str, held: Address) -> tuple[str, InetKey]:
    """Where an address of a port is known: that of a pair by its longest prefix."""
    if held not in row.addresses:
        found = [pair.prefix for pair in row.pairs if pair.prefix.network_address == held]
        if found:
            return vrf, inet_key(max(found, key=lambda one: one.prefixlen))
    return vrf, inet_key(prefix(str(held)))


def _expected(row: Vmi) -> Iterator[tuple[Address, Mac]]:
    """The addresses that a VM is asked about, with the MAC address that it should answer with."""
    yield from ((ip, row.mac) for ip in row.addresses)
    for pair in row.pairs:
        host = pair.prefix.prefixlen == pair.prefix.max_prefixlen
        if host and not pair.ecmp and pair.prefix.network_address not in row.addresses:
            yield pair.prefix.network_address, pair.mac or row.mac


def _leads_here(path: RouteAttributes, router_id: IPv4Address | None) -> bool:
    return any(one.address == router_id for one in path.nexthops)
