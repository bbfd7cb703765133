"""vr_qos_map_req and vr_fc_map_req: kept and shown; marking comes with quality of service."""

from __future__ import annotations

from typing import Any

from agent.forwarder.control import Control
from agent.forwarder.replies import EINVAL, ENOENT, Replies, ack, found, page
from agent.sandesh.vrouter import SandeshOp, VrFcMapReq, VrQosMapReq


def handle_qos_map(control: Control, request: VrQosMapReq) -> Replies:
    """Answer one request for the map from markings to forwarding classes."""
    maps = control.records.qos_maps
    match request.h_op:
        case SandeshOp.ADD:
            if request.qmr_id >= control.sizes.qos_maps or not _paired(request):
                return ack(EINVAL)
            maps.put(request.qmr_id, _merged(maps.get(request.qmr_id), request))
            return ack()
        case SandeshOp.DEL:
            maps.pop(request.qmr_id)
            return ack()
        case SandeshOp.GET:
            record = maps.get(request.qmr_id)
            return ack(ENOENT) if record is None else found(record)
        case SandeshOp.DUMP:
            return page(record for _, record in maps.after(request.qmr_marker))
    return ack(EINVAL)


def _merged(old: VrQosMapReq | None, new: VrQosMapReq) -> VrQosMapReq:
    """The map with the markings that a request names changed, and the others as they were."""
    if old is None:
        return new.replace(qmr_marker=0)
    fields: dict[str, Any] = {}
    for name in ("qmr_dscp", "qmr_mpls_qos", "qmr_dotonep"):
        classes = f"{name}_fc_id"
        pairs = dict(zip(getattr(old, name), getattr(old, classes), strict=True))
        pairs |= zip(getattr(new, name), getattr(new, classes), strict=True)
        fields[name] = bytes(sorted(pairs))
        fields[classes] = bytes(pairs[marking] for marking in sorted(pairs))
    return new.replace(qmr_marker=0, **fields)


def _paired(request: VrQosMapReq) -> bool:
    """Does every marking have its class?"""
    return (
        len(request.qmr_dscp) == len(request.qmr_dscp_fc_id)
        and len(request.qmr_mpls_qos) == len(request.qmr_mpls_qos_fc_id)
        and len(request.qmr_dotonep) == len(request.qmr_dotonep_fc_id)
    )


def handle_fc_map(control: Control, request: VrFcMapReq) -> Replies:
    """Answer one request for forwarding classes; an ADD carries parallel lists."""
    classes = control.records.fc_maps
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_add_classes(control, request))
        case SandeshOp.DEL:
            for number in request.fmr_id:
                classes.pop(number)
            return ack()
        case SandeshOp.GET:
            record = classes.get(request.fmr_id[0]) if request.fmr_id else None
            return ack(ENOENT) if record is None else found(record)
        case SandeshOp.DUMP:
            return page(record for _, record in classes.after(request.fmr_marker))
    return ack(EINVAL)


def _add_classes(control: Control, request: VrFcMapReq) -> int:
    columns = (
        request.fmr_id, request.fmr_dscp, request.fmr_mpls_qos, request.fmr_dotonep,
        request.fmr_queue_id,
    )  # fmt: skip
    if not request.fmr_id or {len(column) for column in columns} != {len(request.fmr_id)}:
        return EINVAL
    if any(not 0 <= number < control.sizes.forwarding_classes for number in request.fmr_id):
        return EINVAL
    for number, dscp, mpls_qos, dotonep, queue in zip(*columns, strict=True):
        row = VrFcMapReq(
            fmr_id=(number,),
            fmr_dscp=bytes((dscp,)),
            fmr_mpls_qos=bytes((mpls_qos,)),
            fmr_dotonep=bytes((dotonep,)),
            fmr_queue_id=bytes((queue,)),
        )
        control.records.fc_maps.put(number, row)
    return 0
