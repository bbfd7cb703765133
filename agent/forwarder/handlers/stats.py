"""vr_drop_stats_req, vr_vrf_stats_req, vr_mem_stats_req, vr_info_req."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent import __version__
from agent._fast.forwarding import DROP_REASONS, VRF_COUNTERS
from agent.forwarder.control import Control
from agent.forwarder.replies import ENOENT, EOPNOTSUPP, NO_REPLY, Replies, ack, found, page
from agent.sandesh.drop_log import counter
from agent.sandesh.vrouter import (
    SandeshOp,
    VrDropStatsReq,
    VrInfoReq,
    VrMemStatsReq,
    VrVrfStatsReq,
)

CORES = 1
"""Packets are moved by one thread."""
DROP_FIELDS: tuple[str | None, ...] = tuple(
    field if (field := counter(reason)) in VrDropStatsReq.FIELDS else None
    for reason in DROP_REASONS
)
"""The field of each reason; `invalid` (number 0) has none and is never counted."""


def drop_message(counts: Sequence[int], core: int = 0) -> VrDropStatsReq:
    """The counts by reason number as a message."""
    fields = {
        field: count for field, count in zip(DROP_FIELDS, counts, strict=False) if field and count
    }
    return VrDropStatsReq(vds_core=core, **fields)


def handle_drop_stats(control: Control, request: VrDropStatsReq) -> Replies:
    """GET and RESET; another operation is refused and answered all the same.

    Core 0 asks for the sum, k for core k - 1, a negative one for what NICs dropped of what
    they forward by themselves: here they do not.
    """
    if request.h_op == SandeshOp.RESET:
        control.datapath.drop_stats_clear()
        return ack()
    counts = control.datapath.drop_stats() if 0 <= request.vds_core <= CORES else ()
    answer = found(drop_message(counts, core=request.vds_core))
    return answer if request.h_op == SandeshOp.GET else ack(EOPNOTSUPP) + answer


def handle_vrf_stats(control: Control, request: VrVrfStatsReq) -> Replies:
    """GET one VRF, DUMP all that saw a packet."""
    match request.h_op:
        case SandeshOp.GET:
            if not 0 <= request.vsr_vrf < control.sizes.vrfs:
                return ack(ENOENT)
            return found(_vrf_message(control, request.vsr_vrf, request.vsr_family))
        case SandeshOp.DUMP:
            return page(_vrf_rows(control, request))
    return NO_REPLY


def _vrf_message(control: Control, vrf: int, family: int) -> VrVrfStatsReq:
    counts = control.datapath.vrf_stats(vrf) or ()
    fields = {f"vsr_{name}": count for name, count in zip(VRF_COUNTERS, counts, strict=False)}
    return VrVrfStatsReq(vsr_vrf=vrf, vsr_family=family, **fields)


def _vrf_rows(control: Control, request: VrVrfStatsReq) -> Iterator[VrVrfStatsReq]:
    for vrf in control.datapath.vrf_stats_indexes():
        if vrf > request.vsr_marker:
            yield _vrf_message(control, vrf, request.vsr_family)


def handle_mem_stats(control: Control, request: VrMemStatsReq) -> Replies:
    """How many objects of each kind are held, and how many were made and freed in all."""
    records, usage = control.records, control.datapath.usage()
    held = VrMemStatsReq(
        vms_bridge_mac_object=usage.bridge_entries,
        vms_hpacket_pool_object=usage.buffers,
        vms_mtrie_bucket_object=usage.route_nodes,
        vms_interface_object=len(records.vifs),
        vms_interface_vrf_table_object=len(records.vlans),
        vms_nexthop_object=len(records.nexthops),
        vms_nexthop_component_object=records.components(),
        vms_mirror_object=len(records.mirrors),
        vms_qos_map_object=len(records.qos_maps),
        vms_fc_object=len(records.fc_maps),
    )
    total = sum(getattr(held, name) for name in VrMemStatsReq.FIELDS if name.endswith("_object"))
    answer = found(held.replace(vms_alloced=total + records.freed, vms_freed=records.freed))
    return answer if request.h_op == SandeshOp.GET else ack(EOPNOTSUPP) + answer


def handle_info(control: Control, request: VrInfoReq) -> Replies:
    """A text about the datapath: what it is."""
    if request.h_op not in (SandeshOp.GET, SandeshOp.DUMP):
        return ack(EOPNOTSUPP)
    text = f"vrouter-forwarder {__version__}\n".encode()
    return found(VrInfoReq(vdu_msginfo=request.vdu_msginfo, vdu_proc_info=text))
