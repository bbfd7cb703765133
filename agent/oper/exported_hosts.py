"""The EVPN host routes of a port: its MAC address, alone and with each of its addresses.

So are allowed address pairs told; and addresses that other networks lend, each in its network
(facts xmpp-ifmap.md 6.3, 11, oper-db.md 4.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from agent.oper.encapsulation import MPLS, own, priorities
from agent.oper.exported_port import ExportedPort, told
from agent.oper.incremental import View
from agent.oper.port_nexthops import Bound, VmiNexthops
from agent.oper.preference import LOW, PathPreference, path_preference
from agent.oper.rows import Vn, Vrf
from agent.routes import Encapsulation, EvpnKey, PublishedRoute, RouteFamily, RouteNexthop
from agent.values import Address, Mac

_ANY = IPv4Address(0)


def bridged(view: View, network: Vn, label: int) -> tuple[int, int, tuple[Encapsulation, ...]]:
    """Ethernet tag, label and encapsulations of what is bridged; in VXLAN all is the VNI."""
    offered = own(view(priorities))
    if Encapsulation.VXLAN in offered and network.vxlan_id:
        return network.vxlan_id, network.vxlan_id, offered
    return 0, label, MPLS


@dataclass(frozen=True, slots=True)
class _Station:
    """A MAC address in a VRF, and how it is reached."""

    port: ExportedPort
    vrf: Vrf
    mac: Mac
    tag: int
    way: RouteNexthop

    def host(self, address: Address | None, path: PathPreference) -> PublishedRoute:
        """The route to it with an address, or to it alone."""
        known = address or _ANY
        key = EvpnKey(self.tag, self.mac, known, known.max_prefixlen)
        attributes = self.port.attributes(self.way, path)
        attributes = replace(attributes, etree_leaf=self.port.leaf)
        return PublishedRoute(RouteFamily.EVPN, self.vrf.name, key, attributes)


def _station(
    view: View, port: ExportedPort, bound: Bound, mac: Mac, place: tuple[Vn, Vrf]
) -> _Station:
    network, instance = place
    tag, label, offered = bridged(view, network, bound.label.label)
    way = RouteNexthop(port.router_id, label, offered, tags=port.tags)
    return _Station(port, instance, mac, tag, way)


def hosts(view: View, port: ExportedPort, made: VmiNexthops) -> Iterator[PublishedRoute]:
    """All of them; none where the port's network does not bridge."""
    row, bound = port.row, made.bridged(policy=port.row.policy)
    if bound is None or not row.l2_active:
        return
    station = _station(view, port, bound, row.mac, (port.vn, port.vrf))
    first = PathPreference(LOW, 0, waits=True)
    for at, address in enumerate(one for one in row.addresses if one not in row.private):
        path = view(path_preference, row.uuid, address)
        first = first if at else path
        yield station.host(address, path)
    yield station.host(None, first)
    yield from _pairs(view, port, made)
    yield from _lent(view, port, bound)


def _pairs(view: View, port: ExportedPort, made: VmiNexthops) -> Iterator[PublishedRoute]:
    """A single address with its MAC address; of more addresses the MAC alone, if it is another."""
    for pair in port.row.pairs:
        bound = made.of(pair.mac).bridged(policy=port.row.policy)
        host = pair.prefix.prefixlen == pair.prefix.max_prefixlen
        first = pair.prefix.network_address
        known = pair.mac is None and (not host or first in port.row.addresses)
        if bound is not None and not known:
            mac = pair.mac or port.row.mac
            station = _station(view, port, bound, mac, (port.vn, port.vrf))
            path = view(path_preference, port.row.uuid, first)
            yield station.host(first if host else None, path)


def _lent(view: View, port: ExportedPort, bound: Bound) -> Iterator[PublishedRoute]:
    for to in told(view, port):
        if to.vrf is not None and to.network is not None and to.network.l2:
            station = _station(view, port, bound, port.row.mac, (to.network, to.vrf))
            path = view(path_preference, port.row.uuid, to.address)
            yield station.host(to.prefix.network_address, path)
