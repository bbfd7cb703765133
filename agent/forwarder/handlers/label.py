"""vr_mpls_req and vr_vxlan_req: what an incoming label or VNI leads to."""

from __future__ import annotations

from collections.abc import Iterator

from agent.forwarder.control import Control
from agent.forwarder.replies import ENOENT, NO_REPLY, Replies, ack, found, page
from agent.sandesh.vrouter import SandeshOp, VrMplsReq, VrVxlanReq


def handle_mpls(control: Control, request: VrMplsReq) -> Replies:
    """Answer one label request."""
    label = request.mr_label
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_mpls_add(control, label, request.mr_nhid))
        case SandeshOp.DEL:
            code = control.datapath.label_delete(label)
            if code == 0:
                _moved(control, control.records.labels.pop(label), None)
            return ack(code)
        case SandeshOp.GET:
            nexthop = control.records.labels.get(label)
            if nexthop is None:
                return ack(ENOENT)
            return found(request.replace(mr_nhid=nexthop))
        case SandeshOp.DUMP:
            return page(_labels(control, request.mr_marker))
    return NO_REPLY


def _mpls_add(control: Control, label: int, nexthop: int) -> int:
    code = control.datapath.label_set(label, nexthop)
    if code == 0:
        _moved(control, control.records.labels.put(label, nexthop), nexthop)
    elif control.datapath.label_get(label) < 0:  # a refused change removes the old entry
        _moved(control, control.records.labels.pop(label), None)
    return code


def _labels(control: Control, marker: int) -> Iterator[VrMplsReq]:
    for label, nexthop in control.records.labels.after(marker):
        yield VrMplsReq(mr_label=label, mr_nhid=nexthop)


def handle_vxlan(control: Control, request: VrVxlanReq) -> Replies:
    """Answer one VNI request."""
    vni = request.vxlanr_vnid
    match request.h_op:
        case SandeshOp.ADD:
            code = control.datapath.vxlan_set(vni, request.vxlanr_nhid)
            if code == 0:
                old = control.records.vnis.put(vni, request.vxlanr_nhid)
                _moved(control, old, request.vxlanr_nhid)
            return ack(code)
        case SandeshOp.DEL:
            code = control.datapath.vxlan_delete(vni)
            if code == 0:
                _moved(control, control.records.vnis.pop(vni), None)
            return ack(code)
        case SandeshOp.GET:
            nexthop = control.records.vnis.get(vni)
            if nexthop is None:
                return ack(ENOENT)
            return found(request.replace(vxlanr_nhid=nexthop))
        case SandeshOp.DUMP:
            return page(_vnis(control, vni))
    return NO_REPLY


def _vnis(control: Control, last: int) -> Iterator[VrVxlanReq]:
    """From the start when `last` is 0: VNI 0 itself is then the first."""
    for vni, nexthop in control.records.vnis.after(last if last > 0 else -1):
        yield VrVxlanReq(vxlanr_vnid=vni, vxlanr_nhid=nexthop)


def _moved(control: Control, old: int | None, new: int | None) -> None:
    control.records.moved(control.records.nexthop_users, old, new)
