"""Bridge tables, EVPN routes, and groups of VRFs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.errors import UsageError
from agent.introspect.ordered import in_order
from agent.introspect.query import address
from agent.introspect.request import Query, Row, Table, Values
from agent.introspect.snh.nh_values import nexthop_values
from agent.introspect.snh.paths import published_path, remote_path
from agent.introspect.snh.route_lookup import (
    FEW,
    Asked,
    asked_of,
    find,
    listed_of,
    own_keys,
    paths_of,
    told_of,
)
from agent.objects import Key, Kind
from agent.oper.datapath import Nexthop
from agent.routes import EvpnKey, GroupKey, PublishedRoute, RouteFamily
from agent.telemetry import Node
from agent.values import Mac


def bridge(node: Node, query: Query) -> Iterator[Row]:
    """The bridge table of a VRF, or the entry of a MAC address."""
    asked, wanted = asked_of(node, query), _mac(query)
    told: dict[Mac, list[EvpnKey]] = {}
    for keys in listed_of(asked, RouteFamily.EVPN):
        for at, key in enumerate(keys):
            if at % FEW == 0:
                yield None
            if any(key.mac) and wanted in (None, key.mac):
                told.setdefault(key.mac, []).append(key)
    own: list[Mac] = []
    yield from own_keys(asked, Kind.BRIDGE_ROUTE, own)
    for mac in in_order([list(told), own], key=bytes):
        if mac is None or wanted not in (None, mac):
            yield None
        else:
            yield _bridge_row(asked, mac, told.get(mac, ()))


def _bridge_row(asked: Asked, mac: Mac, keys: Sequence[EvpnKey]) -> Values | None:
    key = Key(Kind.BRIDGE_ROUTE, (asked.vrf, mac))
    told = [one for each in dict.fromkeys(keys) for one in told_of(asked, RouteFamily.EVPN, each)]
    if asked.stale and not any(stale for _, _, stale in told):
        return None
    paths = paths_of(asked, find(asked, key, told))
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
    asked, wanted = asked_of(node, query), _mac(query)
    own: dict[EvpnKey, PublishedRoute] = {}
    for at, route in enumerate(node.compiler.publications()):
        if at % FEW == 0:
            yield None
        if route.vrf == asked.vrf and isinstance(route.key, EvpnKey):
            own[route.key] = route
    for key in in_order([*listed_of(asked, RouteFamily.EVPN), list(own)], key=_by_station):
        if key is None or wanted not in (None, key.mac):
            yield None
        else:
            yield _evpn_row(asked, key, own.get(key))


def _by_station(key: EvpnKey) -> tuple[bytes, int, bytes, int, int]:
    return key.mac, len(key.ip.packed), key.ip.packed, key.length, key.tag


def _evpn_row(asked: Asked, key: EvpnKey, own: PublishedRoute | None) -> Values | None:
    told = told_of(asked, RouteFamily.EVPN, key)
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
    asked = asked_of(node, query)
    source, group = address(query, "src_ip"), address(query, "grp_ip")
    made = node.compiler.inspection.row(Key(Kind.NEXTHOP, ("broadcast", asked.vrf)))
    for key in in_order(listed_of(asked, RouteFamily.ERMVPN), key=_by_group):
        if key is None or source not in (None, key.source) or group not in (None, key.group):
            yield None
            continue
        told = told_of(asked, RouteFamily.ERMVPN, key)
        if isinstance(made, Nexthop) and (not asked.stale or any(one[2] for one in told)):
            values = nexthop_values(node, made)
            yield {"src": str(key.source), "grp": str(key.group), "nh": values}


def _by_group(key: GroupKey) -> GroupKey:
    return key


SERVED = (
    Table("BridgeRouteReq", "BridgeRouteResp", "route_list", bridge),
    Table("Layer2RouteReq", "Layer2RouteResp", "route_list", bridge),
    Table("EvpnRouteReq", "EvpnRouteResp", "route_list", evpn),
    Table("Inet4McRouteReq", "Inet4McRouteResp", "route_list", multicast),
)
