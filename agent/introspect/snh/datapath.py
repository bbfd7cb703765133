"""What the datapath holds, asked of it at once: the K* requests.

A request with a number asks for that one object, one without (or with -1) for all. Of many
objects each message of the answer has `ROWS`.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import TypeVar

from agent.errors import DatapathError, UsageError
from agent.introspect.query import flag, number
from agent.introspect.request import Answer, Query, Request, Values
from agent.introspect.snh import datapath_values as values
from agent.introspect.snh.datapath_words import BRIDGE, INET, INET6
from agent.sandesh.schema import schema
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrDropStatsReq,
    VrFcMapReq,
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrQosMapReq,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVrfStatsReq,
    VrVxlanReq,
)
from agent.telemetry import Node

Row = TypeVar("Row", bound=Message)

ROWS = 100
"""Of one message, as of a page of other tables."""
FLOWS = 100
"""Flows of one answer; a token asks for the following ones."""
_SLICE = 1 << 18
"""Entries of the flow table that one answer looks at: a few milliseconds."""
_GET, _DUMP = SandeshOp.GET, SandeshOp.DUMP
_NOTHING_THERE = frozenset((errno.ENOENT, errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP))
_FAMILIES = {"": INET, "inet": INET, "inet6": INET6, "bridge": BRIDGE, "layer2": BRIDGE}


async def _answers(response: str, field: str, rows: AsyncIterator[Values]) -> AsyncIterator[Answer]:
    """Messages of up to ROWS rows, one at least. What the datapath does not have is no row."""
    page: list[Values] = []
    try:
        async for row in rows:
            if len(page) == ROWS:
                yield Answer(response, {field: page})
                page = []
            page.append(row)
    except DatapathError as refusal:
        if refusal.errno not in _NOTHING_THERE:
            raise
    yield Answer(response, {field: page})


async def _found(
    node: Node,
    wanted: int | None,
    get: Callable[[int], Row],
    dump: Callable[[Row | None], Row],
    kind: type[Row],
) -> AsyncIterator[Row]:
    """The one that is wanted, or all."""
    if wanted is not None:
        yield await node.datapath.get(get(wanted), kind)
        return
    async for row in node.datapath.dump(dump, kind):
        yield row


def _wanted(query: Query, field: str) -> int | None:
    """The number of one object; None for all."""
    found = number(query, field, -1, (1 << 31) - 1)
    return None if found == -1 else found


def _table(
    request: str,
    response: str,
    lists: str,
    field: str,
    kind: type[Row],
    get: Callable[[int], Row],
    dump: Callable[[Row | None], Row],
    convert: Callable[[Row], Iterator[Values]],
) -> Request:
    """A request for objects of a kind that have a number, which is its `field`."""

    async def rows(node: Node, wanted: int | None) -> AsyncIterator[Values]:
        async for row in _found(node, wanted, get, dump, kind):
            for found in convert(row):
                yield found

    def answers(node: Node, query: Query) -> AsyncIterator[Answer]:
        return _answers(response, lists, rows(node, _wanted(query, field)))

    return Request(request, answers)


def _one(convert: Callable[[Row], Values]) -> Callable[[Row], Iterator[Values]]:
    return lambda row: iter((convert(row),))


# Objects with a number


def _vifs(last: VrInterfaceReq | None) -> VrInterfaceReq:
    return VrInterfaceReq(h_op=_DUMP, vifr_marker=-1 if last is None else last.vifr_idx)


def _nexthops(last: VrNexthopReq | None) -> VrNexthopReq:
    return VrNexthopReq(h_op=_DUMP, nhr_marker=-1 if last is None else last.nhr_id)


def _labels(last: VrMplsReq | None) -> VrMplsReq:
    return VrMplsReq(h_op=_DUMP, mr_marker=-1 if last is None else last.mr_label)


def _vxlans(last: VrVxlanReq | None) -> VrVxlanReq:
    return VrVxlanReq(h_op=_DUMP, vxlanr_vnid=0 if last is None else last.vxlanr_vnid)


def _mirrors(last: VrMirrorReq | None) -> VrMirrorReq:
    return VrMirrorReq(h_op=_DUMP, mirr_marker=-1 if last is None else last.mirr_index)


def _vrfs(last: VrVrfReq | None) -> VrVrfReq:
    return VrVrfReq(h_op=_DUMP, vrf_marker=-1 if last is None else last.vrf_idx)


def _vrf_stats(last: VrVrfStatsReq | None) -> VrVrfStatsReq:
    marker = -1 if last is None else last.vsr_vrf
    return VrVrfStatsReq(h_op=_DUMP, vsr_family=INET, vsr_marker=marker)


def _qos_maps(last: VrQosMapReq | None) -> VrQosMapReq:
    return VrQosMapReq(h_op=_DUMP, qmr_marker=-1 if last is None else last.qmr_id)


def _classes(last: VrFcMapReq | None) -> VrFcMapReq:
    marker = -1 if last is None or not last.fmr_id else last.fmr_id[-1]
    return VrFcMapReq(h_op=_DUMP, fmr_marker=marker)


# VLANs of interfaces


async def _vrf_assigns(node: Node, wanted: int | None) -> AsyncIterator[Values]:
    vifs = _found(
        node,
        wanted,
        lambda index: VrInterfaceReq(h_op=_GET, vifr_idx=index),
        _vifs,
        VrInterfaceReq,
    )
    for index in [vif.vifr_idx async for vif in vifs]:
        async for row in node.datapath.dump(_rules_of(index), VrVrfAssignReq):
            yield values.vrf_assign(row)


def _rules_of(vif: int) -> Callable[[VrVrfAssignReq | None], VrVrfAssignReq]:
    def request(last: VrVrfAssignReq | None) -> VrVrfAssignReq:
        marker = -1 if last is None else last.var_vlan_id
        return VrVrfAssignReq(h_op=_DUMP, var_vif_index=vif, var_marker=marker)

    return request


def vrf_assigns(node: Node, query: Query) -> AsyncIterator[Answer]:
    """KVrfAssignReq."""
    rows = _vrf_assigns(node, _wanted(query, "vif_index"))
    return _answers("KVrfAssignResp", "vrf_assign_list", rows)


# Routes


def routes(node: Node, query: Query) -> AsyncIterator[Answer]:
    """KRouteReq: all routes of a VRF, each once."""
    family = _FAMILIES.get(query["family"].strip().lower())
    if family is None:
        raise UsageError(f"family: {query['family']!r} is none of inet, inet6, bridge")
    return _answers("KRouteResp", "rt_list", _routes(node, number(query, "vrf_id") or 0, family))


async def _routes(node: Node, vrf: int, family: int) -> AsyncIterator[Values]:
    if family == BRIDGE:
        async for row in node.datapath.dump(_bridge_routes(vrf), VrRouteReq):
            yield values.route(row)
        return
    seen: set[tuple[bytes, int]] = set()
    async for leaf in node.datapath.dump(_inet_routes(vrf, family), VrRouteReq):
        found = _of_leaf(leaf)
        if found is not None and (name := (found.rtr_prefix, found.rtr_prefix_len)) not in seen:
            seen.add(name)
            yield values.route(found)


def _of_leaf(leaf: VrRouteReq) -> VrRouteReq | None:
    """The route that a leaf of the datapath's trie shows, as it was written; None for none.

    A route is in every leaf that it covers, with its own length in rtr_replace_plen.
    """
    length = max(0, min(leaf.rtr_replace_plen, 8 * len(leaf.rtr_prefix)))
    if not (length or leaf.rtr_nh_id or leaf.rtr_label_flags):
        return None
    if len(leaf.rtr_prefix) not in (4, 16):
        return leaf
    route = ip_network((leaf.rtr_prefix, length), strict=False)
    return leaf.replace(rtr_prefix=route.network_address.packed, rtr_prefix_len=length)


def _inet_routes(vrf: int, family: int) -> Callable[[VrRouteReq | None], VrRouteReq]:
    first = VrRouteReq(
        h_op=_DUMP, rtr_vrf_id=vrf, rtr_family=family, rtr_prefix=bytes(4 if family == INET else 16)
    )

    def request(last: VrRouteReq | None) -> VrRouteReq:
        if last is None:
            return first
        return first.replace(
            rtr_prefix=last.rtr_prefix,
            rtr_marker=last.rtr_prefix,
            rtr_marker_plen=last.rtr_prefix_len,
        )

    return request


def _bridge_routes(vrf: int) -> Callable[[VrRouteReq | None], VrRouteReq]:
    def request(last: VrRouteReq | None) -> VrRouteReq:
        mac = bytes(6) if last is None else last.rtr_mac
        return VrRouteReq(h_op=_DUMP, rtr_vrf_id=vrf, rtr_family=BRIDGE, rtr_mac=mac)

    return request


def route(node: Node, query: Query) -> AsyncIterator[Answer]:
    """KRouteGetReq: the route that an address or prefix takes."""
    return _answers("KRouteResp", "rt_list", _route(node, _route_wanted(query)))


async def _route(node: Node, request: VrRouteReq) -> AsyncIterator[Values]:
    yield values.route(await node.datapath.get(request, VrRouteReq))


def _route_wanted(query: Query) -> VrRouteReq:
    try:
        address = ip_address(query["prefix"].strip())
    except ValueError:
        raise UsageError(f"prefix: {query['prefix']!r} is not an address") from None
    length = number(query, "prefix_len", 0, address.max_prefixlen)
    return VrRouteReq(
        h_op=_GET,
        rtr_vrf_id=number(query, "vrf_id") or 0,
        rtr_family=INET if address.version == 4 else INET6,
        rtr_prefix=address.packed,
        rtr_prefix_len=address.max_prefixlen if length is None else length,
    )


# Drops


async def drops(node: Node, query: Query) -> AsyncIterator[Answer]:
    """KDropStatsReq: packets that were dropped, by reason."""
    found = await node.datapath.get(VrDropStatsReq(h_op=_GET), VrDropStatsReq)
    told = {
        field.name: getattr(found, f"v{field.name}", None)
        for field in schema()["KDropStatsResp"].fields
    }
    yield Answer("KDropStatsResp", {name: count for name, count in told.items() if count})


# Flows, from the table that is shared with the datapath


def flows(node: Node, query: Query) -> AsyncIterator[Answer]:
    """KFlowReq: one entry, or the first of all."""
    wanted, evicted = _wanted(query, "flow_idx"), flag(query, "show_evicted")
    if wanted is None:
        return _flows(node, 0, evicted)
    return _flow(node, wanted)


async def _flow(node: Node, index: int) -> AsyncIterator[Answer]:
    table = node.flows.table
    known = table is not None and index < len(table)
    entry = table.entry(index) if table is not None and known else None
    rows = [] if entry is None else [values.flow(entry)]
    yield Answer("KFlowResp", {"flow_list": rows, "flow_handle": ""})


def next_flows(node: Node, query: Query) -> AsyncIterator[Answer]:
    """NextKFlowReq: the entries from a token on, which is `<index>` or `<index>:evicted`."""
    text, _, more = query["flow_handle"].partition(":")
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or more not in ("", "evicted"):
        raise UsageError(f"flow_handle: {query['flow_handle']!r} is no token of KFlowReq")
    return _flows(node, int(text), more == "evicted")


async def _flows(node: Node, start: int, evicted: bool) -> AsyncIterator[Answer]:
    table = node.flows.table
    rows: list[Values] = []
    handle = ""
    if table is not None and start < len(table):
        found = table.scan(start, _SLICE, limit=FLOWS)
        entries = table.rows(found.picked)
        rows = [values.flow(entry) for entry in entries if evicted or not entry.evicted]
        if found.next_index < len(table):
            handle = f"{found.next_index}{':evicted' if evicted else ''}"
    yield Answer("KFlowResp", {"flow_list": rows, "flow_handle": handle})


SERVED = (
    _table(
        "KInterfaceReq",
        "KInterfaceResp",
        "if_list",
        "if_id",
        VrInterfaceReq,
        lambda index: VrInterfaceReq(h_op=_GET, vifr_idx=index),
        _vifs,
        _one(values.interface),
    ),
    _table(
        "KNHReq",
        "KNHResp",
        "nh_list",
        "nh_id",
        VrNexthopReq,
        lambda index: VrNexthopReq(h_op=_GET, nhr_id=index),
        _nexthops,
        _one(values.nexthop),
    ),
    _table(
        "KMplsReq",
        "KMplsResp",
        "mpls_list",
        "mpls_label",
        VrMplsReq,
        lambda label: VrMplsReq(h_op=_GET, mr_label=label),
        _labels,
        _one(values.label),
    ),
    _table(
        "KVxLanReq",
        "KVxLanResp",
        "vxlan_list",
        "vxlan_label",
        VrVxlanReq,
        lambda vnid: VrVxlanReq(h_op=_GET, vxlanr_vnid=vnid),
        _vxlans,
        _one(values.vxlan),
    ),
    _table(
        "KMirrorReq",
        "KMirrorResp",
        "mirror_list",
        "mirror_id",
        VrMirrorReq,
        lambda index: VrMirrorReq(h_op=_GET, mirr_index=index),
        _mirrors,
        _one(values.mirror),
    ),
    _table(
        "KVrfReq",
        "KVrfResp",
        "vrf_list",
        "vrf_idx",
        VrVrfReq,
        lambda index: VrVrfReq(h_op=_GET, vrf_idx=index),
        _vrfs,
        _one(values.vrf),
    ),
    _table(
        "KVrfStatsReq",
        "KVrfStatsResp",
        "vrf_stats_list",
        "vrf_index",
        VrVrfStatsReq,
        lambda index: VrVrfStatsReq(h_op=_GET, vsr_vrf=index, vsr_family=INET),
        _vrf_stats,
        _one(values.vrf_stats),
    ),
    _table(
        "KQosConfigReq",
        "KQosConfigResp",
        "qos_config_list",
        "index",
        VrQosMapReq,
        lambda index: VrQosMapReq(h_op=_GET, qmr_id=index),
        _qos_maps,
        _one(values.qos_map),
    ),
    _table(
        "KForwardingClassReq",
        "KForwardingClassResp",
        "forwarding_class_list",
        "index",
        VrFcMapReq,
        lambda index: VrFcMapReq(h_op=_GET, fmr_id=(index,)),
        _classes,
        values.forwarding_classes,
    ),
    Request("KVrfAssignReq", vrf_assigns),
    Request("KRouteReq", routes),
    Request("KRouteGetReq", route),
    Request("KDropStatsReq", drops),
    Request("KFlowReq", flows),
    Request("NextKFlowReq", next_flows),
)
