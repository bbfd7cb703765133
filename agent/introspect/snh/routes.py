"""Routes: all paths of controllers and of this host, the one in force first.

A table may have 10^5 routes, so it lists keys first and looks each route up when its row is
made; one that went meanwhile has no path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple, cast

from agent.errors import UsageError
from agent.introspect.ordered import in_order
from agent.introspect.query import address, flag, number
from agent.introspect.request import Query, Row, Table, Values
from agent.introspect.snh.nh_values import nexthop_values, vrf_name
from agent.introspect.snh.paths import Said, Shown, local_path, published_path, remote_path
from agent.objects import DatapathMessage, Key, Kind
from agent.oper.datapath import InetFlag, Nexthop, Peer, Route
from agent.oper.prefixes import prefixes
from agent.oper.vrf_facts import VrfFacts, vrf_facts
from agent.routes import (
    EvpnKey,
    GroupKey,
    InetKey,
    PublishedRoute,
    RouteFamily,
    RouteKey,
)
from agent.sandesh.vrouter import VrRouteReq
from agent.telemetry import Node
from agent.values import Mac

_BGP = 2
"""The place of controllers among the peers (facts oper-db.md 3.1)."""
_FAMILIES = {4: RouteFamily.INET, 16: RouteFamily.INET6}
_PROXY = int(InetFlag.ARP_PROXY)
_FEW = 256


class Asked(NamedTuple):
    """What is asked of the routes of a VRF; `stale`: only those that nobody has told again."""

    node: Node
    vrf: str
    facts: VrfFacts | None
    stale: bool
    shown: Shown


def _asked(node: Node, query: Query) -> Asked:
    index = number(query, "vrf_index", 0, (1 << 31) - 1) or 0
    vrf = vrf_name(node, index)
    if not vrf:
        raise UsageError(f"vrf_index: there is no VRF {index}; VrfListReq lists them")
    return _of_vrf(node, vrf, stale=flag(query, "stale"))


def _of_vrf(node: Node, vrf: str, *, stale: bool = False) -> Asked:
    facts = node.compiler.inspection.result(vrf_facts, vrf)
    return Asked(node, vrf, facts, stale, Shown(node))


def _told(asked: Asked, family: RouteFamily, key: RouteKey) -> list[Said]:
    """What controllers say of a route, the best first."""
    table = asked.node.compiler.rib.table(asked.vrf, family)
    if table is None:
        return []
    best, paths = table.best(key), table.paths(key)
    paths.sort(key=lambda path: path[1] is not best)
    return paths


def _listed(asked: Asked, family: RouteFamily) -> list[list[Any]]:
    table = asked.node.compiler.rib.table(asked.vrf, family)
    return list(table.listed()) if table is not None else []


def _own(asked: Asked, kind: Kind, found: list[Any]) -> Iterator[None]:
    """Put the destinations of the host's own routes of the VRF into `found`, in steps."""
    for at, key in enumerate(asked.node.compiler.inspection.route_keys()):
        if at % _FEW == 0:
            yield None
        name: Any = key.name
        if key.kind is kind and name[0] == asked.vrf:
            found.append(name[1])


class _Found(NamedTuple):
    """What there is of a route: controllers' paths and the host's own ones, both best first.

    `made` is what the datapath gets of the controllers' best, None where the host's is in force.
    """

    told: Sequence[Said]
    local: Sequence[Route]
    made: DatapathMessage | None


def _found(asked: Asked, key: Key, told: Sequence[Said]) -> _Found:
    look = asked.node.compiler.inspection
    return _Found(told, look.offers(key), look.remote(key))


def _paths(asked: Asked, found: _Found) -> list[Values]:
    """All paths of a route, the one in force first, the others by their peers' precedence."""
    paths: list[tuple[tuple[bool, int], Values]] = []
    for at, one in enumerate(found.told):
        made = None if at else found.made
        values = remote_path(asked.node, asked.shown, one, made)
        paths.append(((made is None, _BGP), values))
    for at, row in enumerate(found.local):
        chosen = found.made is None and at == 0
        values = local_path(asked.node, asked.shown, asked.facts, row)
        paths.append(((not chosen, int(row.peer)), values))
    if len(paths) > 1:
        paths.sort(key=_precedence)
    return [values for _, values in paths]


def _precedence(path: tuple[tuple[bool, int], Values]) -> tuple[bool, int]:
    return path[0]


# --- Unicast


def inet4(node: Node, query: Query) -> Iterator[Row]:
    """The IPv4 routes of a VRF, or the one of a prefix."""
    return _inet(_asked(node, query), query, 4)


def inet6(node: Node, query: Query) -> Iterator[Row]:
    """The IPv6 routes of a VRF, or the one of a prefix."""
    return _inet(_asked(node, query), query, 16)


def _inet(asked: Asked, query: Query, size: int) -> Iterator[Row]:
    wanted = _prefix(query, size)
    routed: dict[InetKey, list[EvpnKey]] = {}
    if asked.facts is not None and asked.facts.routing:
        yield from _routed(asked, routed)
    if wanted is not None:
        yield _inet_row(asked, wanted, routed)
        return
    own: list[InetKey] = []
    yield from _own(asked, Kind.INET_ROUTE, own)
    lists = [*_listed(asked, _FAMILIES[size]), own, list(routed)]
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
    for keys in _listed(asked, RouteFamily.EVPN):
        for at, key in enumerate(keys):
            if at % _FEW == 0:
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
    told = _told(asked, _FAMILIES[len(to.prefix)], to)
    for each in routed.get(to, ()):
        told += _told(asked, RouteFamily.EVPN, each)
    found = _found(asked, key, told)
    own = ip_address(to.prefix)
    host = to.length == 8 * len(to.prefix)
    facts = asked.facts
    floods = facts is not None and not facts.fabric and facts.floods(to)
    return {
        "src_ip": str(own),
        "src_plen": to.length,
        "src_vrf": asked.vrf,
        "path_list": _paths(asked, found),
        "ipam_subnet_route": floods and not host,
        "ipam_host_route": floods and host,
        "proxy_arp": bool(_flags(found) & _PROXY),
        "multicast": own.is_multicast,
        "intf_route_type": _origin(asked, found.local),
    }


def _flags(found: _Found) -> int:
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
    asked, wanted = _asked(node, query), _prefix(query, 4)
    for key in in_order(_listed(asked, RouteFamily.INET_MPLS), key=_by_prefix):
        if key is None or wanted not in (None, key):
            yield None
            continue
        told = _told(asked, RouteFamily.INET_MPLS, key)
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
        asked = _of_vrf(node, table.vrf)
        for key in in_order(_listed(asked, table.family), key=_by_prefix):
            name = Key(Kind.INET_ROUTE, (table.vrf, key))
            if key is None or look.remote(name) is not None or look.offers(name):
                yield None
            else:
                yield _inet_row(asked, key, {})


# --- Layer 2


def bridge(node: Node, query: Query) -> Iterator[Row]:
    """The bridge table of a VRF, or the entry of a MAC address."""
    asked, wanted = _asked(node, query), _mac(query)
    told: dict[Mac, list[EvpnKey]] = {}
    for keys in _listed(asked, RouteFamily.EVPN):
        for at, key in enumerate(keys):
            if at % _FEW == 0:
                yield None
            if any(key.mac) and wanted in (None, key.mac):
                told.setdefault(key.mac, []).append(key)
    own: list[Mac] = []
    yield from _own(asked, Kind.BRIDGE_ROUTE, own)
    for mac in in_order([list(told), own], key=bytes):
        if mac is None or wanted not in (None, mac):
            yield None
        else:
            yield _bridge_row(asked, mac, told.get(mac, ()))


def _bridge_row(asked: Asked, mac: Mac, keys: Sequence[EvpnKey]) -> Values | None:
    key = Key(Kind.BRIDGE_ROUTE, (asked.vrf, mac))
    told = [one for each in dict.fromkeys(keys) for one in _told(asked, RouteFamily.EVPN, each)]
    if asked.stale and not any(stale for _, _, stale in told):
        return None
    paths = _paths(asked, _found(asked, key, told))
    if not paths:
        return None
    return {"mac": str(mac), "src_vrf": asked.vrf, "path_list": paths}


def _mac(query: Query) -> Mac | None:
    text = query["mac"].strip()
    if not text:
        return None
    try:
        return Mac.parse(text)
    except ValueError:
        raise UsageError(f"mac: {text!r} is not a MAC address") from None


def evpn(node: Node, query: Query) -> Iterator[Row]:
    """The EVPN routes of a VRF: those of controllers, and those that this host tells them."""
    asked, wanted = _asked(node, query), _mac(query)
    own: dict[EvpnKey, PublishedRoute] = {}
    for at, route in enumerate(node.compiler.publications()):
        if at % _FEW == 0:
            yield None
        if route.vrf == asked.vrf and isinstance(route.key, EvpnKey):
            own[route.key] = route
    for key in in_order([*_listed(asked, RouteFamily.EVPN), list(own)], key=_by_station):
        if key is None or wanted not in (None, key.mac):
            yield None
        else:
            yield _evpn_row(asked, key, own.get(key))


def _by_station(key: EvpnKey) -> tuple[bytes, int, bytes, int, int]:
    return key.mac, len(key.ip.packed), key.ip.packed, key.length, key.tag


def _evpn_row(asked: Asked, key: EvpnKey, own: PublishedRoute | None) -> Values | None:
    told = _told(asked, RouteFamily.EVPN, key)
    if asked.stale and not any(stale for _, _, stale in told):
        return None
    made = asked.node.compiler.inspection.remote(Key(Kind.BRIDGE_ROUTE, (asked.vrf, key.mac)))
    paths = [
        remote_path(asked.node, asked.shown, one, None if at else made)
        for at, one in enumerate(told)
    ]
    if own is not None:
        paths.append(published_path(asked.node, asked.shown, own))
    if not paths:
        return None
    return {
        "mac": str(key.mac),
        "src_vrf": asked.vrf,
        "ip_addr": f"{key.ip}/{key.length}",
        "path_list": paths,
    }


# --- Multicast


def multicast(node: Node, query: Query) -> Iterator[Row]:
    """The groups for which a controller builds a tree in a VRF."""
    asked = _asked(node, query)
    source, group = address(query, "src_ip"), address(query, "grp_ip")
    made = node.compiler.inspection.row(Key(Kind.NEXTHOP, ("broadcast", asked.vrf)))
    for key in in_order(_listed(asked, RouteFamily.ERMVPN), key=_by_group):
        if key is None or source not in (None, key.source) or group not in (None, key.group):
            yield None
            continue
        told = _told(asked, RouteFamily.ERMVPN, key)
        if isinstance(made, Nexthop) and (not asked.stale or any(one[2] for one in told)):
            values = nexthop_values(node, made)
            yield {"src": str(key.source), "grp": str(key.group), "nh": values}


def _by_group(key: GroupKey) -> GroupKey:
    return key


SERVED = (
    Table("Inet4UcRouteReq", "Inet4UcRouteResp", "route_list", inet4),
    Table("Inet6UcRouteReq", "Inet6UcRouteResp", "route_list", inet6),
    Table("Inet4MplsUcRouteReq", "Inet4MplsUcRouteResp", "route_list", labelled),
    Table("UnresolvedRoute", "UnresolvedRouteResp", "route_list", unresolved),
    Table("BridgeRouteReq", "BridgeRouteResp", "route_list", bridge),
    Table("Layer2RouteReq", "Layer2RouteResp", "route_list", bridge),
    Table("EvpnRouteReq", "EvpnRouteResp", "route_list", evpn),
    Table("Inet4McRouteReq", "Inet4McRouteResp", "route_list", multicast),
)
