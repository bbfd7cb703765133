"""vr_vrf_req and vr_vrf_assign_req."""

from __future__ import annotations

from collections.abc import Iterator

from agent.forwarder.control import Control
from agent.forwarder.records import Numbered
from agent.forwarder.replies import EINVAL, ENOENT, NO_REPLY, Replies, ack, found, page
from agent.sandesh.vrouter import SandeshOp, VrVrfAssignReq, VrVrfReq

HBF_LEFT_VALID, HBF_RIGHT_VALID = 2, 4


def handle_vrf(control: Control, request: VrVrfReq) -> Replies:
    """The object of a VRF. Routes do not need it."""
    vrfs = control.records.vrfs
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_add(control, request))
        case SandeshOp.DEL:
            return ack(EINVAL if vrfs.pop(request.vrf_idx) is None else 0)
        case SandeshOp.GET:
            record = vrfs.get(request.vrf_idx)
            return ack(ENOENT) if record is None else found(record)
        case SandeshOp.DUMP:
            return page(record for _, record in vrfs.after(request.vrf_marker))
    return NO_REPLY


def _add(control: Control, request: VrVrfReq) -> int:
    if not 0 <= request.vrf_idx < control.sizes.vrfs:
        return EINVAL
    named = (
        (HBF_LEFT_VALID, request.vrf_hbfl_vif_idx),
        (HBF_RIGHT_VALID, request.vrf_hbfr_vif_idx),
    )
    for bit, vif in named:
        if request.vrf_flags & bit and vif >= 0 and vif not in control.records.vifs:
            return EINVAL
    control.records.vrfs.put(request.vrf_idx, request.replace(vrf_marker=0))
    return 0


def handle_vrf_assign(control: Control, request: VrVrfAssignReq) -> Replies:
    """The VRF of a tag on a service interface."""
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_assign(control, request, request.var_vif_vrf))
        case SandeshOp.DEL:
            return ack(_assign(control, request, -1))
        case SandeshOp.DUMP:
            if request.var_vif_index not in control.records.vifs:
                return ack(EINVAL)
            return page(_vlan_rows(control, request))
    return ack(EINVAL)


def _assign(control: Control, request: VrVrfAssignReq, vrf: int) -> int:
    vif, vlan = request.var_vif_index, request.var_vlan_id
    code = control.datapath.vif_vrf_assign(vif, vlan, vrf, request.var_nh_id)
    if code == 0:
        vlans = control.records.vlans.setdefault(vif, Numbered())
        if vrf < 0:
            vlans.pop(vlan)
        else:
            vlans.put(vlan, request.replace(h_op=SandeshOp.DUMP, var_marker=-1))
    return code


def _vlan_rows(control: Control, request: VrVrfAssignReq) -> Iterator[VrVrfAssignReq]:
    vlans = control.records.vlans.get(request.var_vif_index)
    if vlans is not None:
        for _, row in vlans.after(request.var_marker):
            yield row
