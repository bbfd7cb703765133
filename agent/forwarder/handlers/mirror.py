"""vr_mirror_req."""

from __future__ import annotations

from collections.abc import Iterator

from agent.forwarder.control import Control
from agent.forwarder.replies import EINVAL, ENOENT, NO_REPLY, Replies, ack, found, page
from agent.sandesh.vrouter import SandeshOp, VrMirrorReq


def handle(control: Control, request: VrMirrorReq) -> Replies:
    """Answer one request."""
    mirrors = control.records.mirrors
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_add(control, request))
        case SandeshOp.DEL:
            old = mirrors.pop(request.mirr_index)
            if old is None:
                return ack(EINVAL)
            control.records.moved(control.records.nexthop_users, old.mirr_nhid, None)
            return ack(control.datapath.mirror_delete(request.mirr_index))
        case SandeshOp.GET:
            record = mirrors.get(request.mirr_index)
            return ack(ENOENT) if record is None else found(record)
        case SandeshOp.DUMP:
            return page(_rows(control, request.mirr_marker))
    return NO_REPLY


def _add(control: Control, request: VrMirrorReq) -> int:
    if not 0 <= request.mirr_index < control.sizes.mirrors:
        return EINVAL
    code = control.datapath.mirror_set(
        request.mirr_index, request.mirr_nhid, request.mirr_flags, request.mirr_vni
    )
    if code < 0:
        return code
    record = request.replace(h_op=SandeshOp.GET, mirr_marker=0, mirr_users=1)
    old = control.records.mirrors.put(request.mirr_index, record)
    users = control.records.nexthop_users
    control.records.moved(users, None if old is None else old.mirr_nhid, request.mirr_nhid)
    return 0


def _rows(control: Control, marker: int) -> Iterator[VrMirrorReq]:
    for _, record in control.records.mirrors.after(marker):
        yield record
