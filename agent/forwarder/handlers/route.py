"""vr_route_req: inet, inet6 and bridge routes."""

from __future__ import annotations

from collections.abc import Iterator

from agent._fast.forwarding import BridgeEntry, Route
from agent.forwarder.control import Control
from agent.forwarder.replies import EINVAL, ENOENT, NO_REPLY, Replies, ack, found, page
from agent.sandesh.vrouter import SandeshOp, VrRouteReq

INET, BRIDGE, INET6 = 2, 7, 10
ADDRESS_SIZE = {INET: 4, INET6: 16}
NO_MAC = bytes(6)
ROWS_ASKED = 40
"""More rows than one page holds."""


def handle(control: Control, request: VrRouteReq) -> Replies:
    """Answer one request of any family."""
    if request.h_op not in (SandeshOp.ADD, SandeshOp.DEL, SandeshOp.GET, SandeshOp.DUMP):
        return NO_REPLY
    if request.rtr_family == BRIDGE:
        return _bridge(control, request)
    if request.rtr_family not in ADDRESS_SIZE:
        return ack(ENOENT)
    if not 0 <= request.rtr_vrf_id < control.sizes.vrfs:
        return ack(EINVAL)
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_add(control, request))
        case SandeshOp.DEL:
            return ack(_delete(control, request))
        case SandeshOp.GET:
            return _get(control, request)
    return _dump(control, request)


def _malformed(request: VrRouteReq) -> bool:
    size = ADDRESS_SIZE[request.rtr_family]
    return (
        len(request.rtr_prefix) != size
        or not 0 <= request.rtr_prefix_len <= 8 * size
        or len(request.rtr_mac) not in (0, 6)
    )


def _exact_nexthop(control: Control, request: VrRouteReq) -> int | None:
    """The nexthop of the route with exactly this prefix; None if it is not there."""
    route = control.datapath.route_get(request.rtr_vrf_id, request.rtr_family, request.rtr_prefix)
    if route.plen != request.rtr_prefix_len or (route.plen == 0 and route.nh == 0):
        return None
    return route.nh


def _add(control: Control, request: VrRouteReq) -> int:
    if _malformed(request):
        return EINVAL
    old = _exact_nexthop(control, request)
    code = control.datapath.route_add(
        request.rtr_vrf_id,
        request.rtr_family,
        request.rtr_prefix,
        request.rtr_prefix_len,
        nh=request.rtr_nh_id,
        label=request.rtr_label,
        flags=request.rtr_label_flags & 0xFFFF,
        mac=request.rtr_mac,
    )
    if code == 0:
        control.records.moved(control.records.nexthop_users, old, request.rtr_nh_id)
    return code


def _delete(control: Control, request: VrRouteReq) -> int:
    if _malformed(request):
        return EINVAL
    old = _exact_nexthop(control, request)
    code = control.datapath.route_delete(
        request.rtr_vrf_id,
        request.rtr_family,
        request.rtr_prefix,
        request.rtr_prefix_len,
        nh=request.rtr_nh_id,
        label=request.rtr_label,
        flags=request.rtr_label_flags & 0xFFFF,
        mac=request.rtr_mac,
        replace_plen=request.rtr_replace_plen,
    )
    if code == 0:
        control.records.moved(control.records.nexthop_users, old, None)
    return code


def _get(control: Control, request: VrRouteReq) -> Replies:
    if _malformed(request):
        return ack(EINVAL)
    route = control.datapath.route_get(request.rtr_vrf_id, request.rtr_family, request.rtr_prefix)
    return found(
        request.replace(
            rtr_prefix_len=route.plen,
            rtr_label_flags=route.flags,
            rtr_label=route.label,
            rtr_nh_id=route.nh,
            rtr_mac=route.mac,
            rtr_replace_plen=route.replace_plen,
            rtr_index=route.bridge_index,
            rtr_marker=b"",
            rtr_marker_plen=0,
        )
    )


def _dump(control: Control, request: VrRouteReq) -> Replies:
    if len(request.rtr_marker) not in (0, ADDRESS_SIZE[request.rtr_family]):
        return ack(EINVAL)
    leaves = control.datapath.route_dump(
        request.rtr_vrf_id,
        request.rtr_family,
        request.rtr_marker,
        request.rtr_marker_plen,
        ROWS_ASKED,
    )
    return page(_row(request.rtr_vrf_id, request.rtr_family, leaf) for leaf in leaves)


def _row(vrf: int, family: int, leaf: Route) -> VrRouteReq:
    return VrRouteReq(
        rtr_vrf_id=vrf,
        rtr_family=family,
        rtr_prefix=leaf.prefix,
        rtr_prefix_len=leaf.plen,
        rtr_label_flags=leaf.flags,
        rtr_label=leaf.label,
        rtr_nh_id=leaf.nh,
        rtr_mac=leaf.mac,
        rtr_replace_plen=leaf.replace_plen,
        rtr_index=leaf.bridge_index,
    )


def _bridge(control: Control, request: VrRouteReq) -> Replies:
    vrf, mac = request.rtr_vrf_id, request.rtr_mac
    if len(mac) != 6 or not 0 <= vrf < control.sizes.vrfs:
        return ack(EINVAL)
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_bridge_add(control, request))
        case SandeshOp.DEL:
            old = control.datapath.bridge_get(vrf, mac) if mac != NO_MAC else None
            code = control.datapath.bridge_delete(vrf, mac)
            if code == 0 and old is not None:
                control.records.moved(control.records.nexthop_users, old.nh, None)
            return ack(code)
        case SandeshOp.GET:
            entry = control.datapath.bridge_get(vrf, mac) if mac != NO_MAC else None
            return ack(ENOENT) if entry is None else found(_bridge_found(request, entry))
    return page(_bridge_rows(control, vrf, mac))


def _bridge_add(control: Control, request: VrRouteReq) -> int:
    vrf, mac = request.rtr_vrf_id, request.rtr_mac
    old = control.datapath.bridge_get(vrf, mac) if mac != NO_MAC else None
    code = control.datapath.bridge_add(
        vrf,
        mac,
        nh=request.rtr_nh_id,
        label=request.rtr_label,
        flags=request.rtr_label_flags & 0xFFFF,
    )
    if code == 0:
        users = control.records.nexthop_users
        control.records.moved(users, None if old is None else old.nh, request.rtr_nh_id)
    return code


def _bridge_found(request: VrRouteReq, entry: BridgeEntry) -> VrRouteReq:
    return request.replace(
        rtr_label_flags=entry.flags,
        rtr_label=entry.label,
        rtr_nh_id=entry.nh,
        rtr_index=entry.position,
        rtr_replace_plen=0,
        rtr_marker=b"",
    )


def _bridge_rows(control: Control, vrf: int, marker: bytes) -> Iterator[VrRouteReq]:
    for entry in control.datapath.bridge_dump(vrf, marker, ROWS_ASKED):
        yield VrRouteReq(
            rtr_vrf_id=vrf,
            rtr_family=BRIDGE,
            rtr_mac=entry.mac,
            rtr_label_flags=entry.flags,
            rtr_label=entry.label,
            rtr_nh_id=entry.nh,
            rtr_index=entry.position,
        )
