"""Unicast routes: all paths of controllers and of this host, the one in force first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any, cast

from agent.errors import UsageError
from agent.introspect.ordered import in_order
from agent.introspect.query import address, number
from agent.introspect.request import Query, Row, Table, Values
from agent.introspect.snh.paths import remote_path
from agent.introspect.snh.route_lookup import (
    FEW,
    Asked,
    Found,
    asked_of,
    find,
    listed_of,
    of_vrf,
    own_keys,
    paths_of,
    told_of,
)
from agent.objects import Key, Kind
from agent.oper.datapath import InetFlag, Peer, Route
from agent.oper.prefixes import prefixes
from agent.routes import EvpnKey, InetKey, RouteFamily
from agent.sandesh.vrouter import VrRouteReq
from agent.telemetry import Node

_FAMILIES = {4: RouteFamily.INET, 16: RouteFamily.INET6}
_PROXY = int(InetFlag.ARP_PROXY)


def inet4(node: Node, query: Query) -> Iterator[Row]:
    """The IPv4 routes of a VRF, or the one of a prefix."""
    return _inet(asked_of(node, query), query, 4)


def inet6(node: Node, query: Query) -> Iterator[Row]:
    """The IPv6 routes of a VRF, or the one of a prefix."""
    return _inet(asked_of(node, query), query, 16)


def _inet(asked: Asked, query: Query, size: int) -> Iterator[Row]:
    wanted = _prefix(query, size)
    routed: dict[InetKey, list[EvpnKey]] = {}
    if asked.facts is not None and asked.facts.routing:
        yield from _routed(asked, routed)
    if wanted is not None:
        yield _inet_row(asked, wanted, routed)
        return
    own: list[InetKey] = []
    yield from own_keys(asked, Kind.INET_ROUTE, own)
    lists = [*listed_of(asked, _FAMILIES[size]), own, list(routed)]
    for key in in_order(lists, key=_by_prefix):
        if key is None or len(key.prefix) != size:
            yield None
        elif asked.stale:
            yield _inet_row(asked, key, routed)
        else:
            yield lambda key=key: _inet_values(asked, key, routed)  # type: ignore[misc]


def _by_prefix(key: InetKey) -> InetKey:
    return key


def _prefix(query: Query, size: int) -> InetKey | None:
    """The prefix that is asked for; None for all."""
    length = number(query, "prefix_len", 0, 8 * size)
    found = address(query, "src_ip")
    if found is None:
        return None
    if len(found.packed) != size:
        raise UsageError(f"src_ip: {found} is of the other family")
    bits = 8 * size - (8 * size if length is None else length)
    top = int(found) >> bits << bits
    return InetKey(top.to_bytes(size, "big"), 8 * size - bits)


def _routed(asked: Asked, found: dict[InetKey, list[EvpnKey]]) -> Iterator[None]:
    """The EVPN prefix routes that a VRF between networks has instead of inet ones."""
    for keys in listed_of(asked, RouteFamily.EVPN):
        for at, key in enumerate(keys):
            if at % FEW == 0:
                yield None
            if not any(key.mac):
                found.setdefault(InetKey(key.ip.packed, key.length), []).append(key)


def _inet_row(asked: Asked, to: InetKey, routed: dict[InetKey, list[EvpnKey]]) -> Values | None:
    values = _inet_values(asked, to, routed)
    paths = values["path_list"]
    fits = not asked.stale or any(path.get("stale") for path in paths)
    return values if paths and fits else None


def _inet_values(asked: Asked, to: InetKey, routed: dict[InetKey, list[EvpnKey]]) -> dict[str, Any]:
    key = Key(Kind.INET_ROUTE, (asked.vrf, to))
    told = told_of(asked, _FAMILIES[len(to.prefix)], to)
    for each in routed.get(to, ()):
        told += told_of(asked, RouteFamily.EVPN, each)
    found = find(asked, key, told)
    own = ip_address(to.prefix)
    host = to.length == 8 * len(to.prefix)
    facts = asked.facts
    floods = facts is not None and not facts.fabric and facts.floods(to)
    return {
        "src_ip": str(own),
        "src_plen": to.length,
        "src_vrf": asked.vrf,
        "path_list": paths_of(asked, found),
        "ipam_subnet_route": floods and not host,
        "ipam_host_route": floods and host,
        "proxy_arp": bool(_flags(found) & _PROXY),
        "multicast": own.is_multicast,
        "intf_route_type": _origin(asked, found.local),
    }


def _flags(found: Found) -> int:
    """The flags of the path in force."""
    if found.made is not None:
        return int(cast(VrRouteReq, found.made).rtr_label_flags)
    return int(found.local[0].flags) if found.local else 0


def _origin(asked: Asked, local: Sequence[Route]) -> str:
    """Where the prefix of a port comes from."""
    for row in local:
        port = asked.node.compiler.vmi(row.order) if row.peer is Peer.LOCAL_VM_PORT else None
        found = asked.node.compiler.inspection.result(prefixes, port.uuid) if port else None
        for one in found or ():
            if one.prefix == row.destination:
                return one.origin
    return ""


def labelled(node: Node, query: Query) -> Iterator[Row]:
    """The labelled IPv4 routes that controllers told of a VRF."""
    asked, wanted = asked_of(node, query), _prefix(query, 4)
    for key in in_order(listed_of(asked, RouteFamily.INET_MPLS), key=_by_prefix):
        if key is None or wanted not in (None, key):
            yield None
            continue
        told = told_of(asked, RouteFamily.INET_MPLS, key)
        yield {
            "src_ip": str(ip_address(key.prefix)),
            "src_plen": key.length,
            "src_vrf": asked.vrf,
            "path_list": [remote_path(node, asked.shown, one, None) for one in told],
        }


def unresolved(node: Node, query: Query) -> Iterator[Row]:
    """The routes that controllers told and that lead nowhere yet."""
    look = node.compiler.inspection
    for table in node.compiler.rib.tables():
        if table.family not in _FAMILIES.values():
            continue
        asked = of_vrf(node, table.vrf)
        for key in in_order(listed_of(asked, table.family), key=_by_prefix):
            name = Key(Kind.INET_ROUTE, (table.vrf, key))
            if key is None or look.remote(name) is not None or look.offers(name):
                yield None
            else:
                yield _inet_row(asked, key, {})


SERVED = (
    Table("Inet4UcRouteReq", "Inet4UcRouteResp", "route_list", inet4),
    Table("Inet6UcRouteReq", "Inet6UcRouteResp", "route_list", inet6),
    Table("Inet4MplsUcRouteReq", "Inet4MplsUcRouteResp", "route_list", labelled),
    Table("UnresolvedRoute", "UnresolvedRouteResp", "route_list", unresolved),
)
