"""vr_flow_req and vr_flow_table_data, vr_bridge_table_data."""

from __future__ import annotations

from agent.forwarder.control import Control
from agent.forwarder.replies import EINVAL, Replies, ack, found
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrBridgeTableData,
    VrFlowReq,
    VrFlowTableData,
)
from agent.shm.geometry import BRIDGE_ENTRY_SIZE, FLOW_ENTRY_SIZE


def handle_flow(control: Control, request: VrFlowReq) -> Replies:
    """FLOW_SET that did not come in its usual form: fields missing, or in another order."""
    if request.fr_op != FlowOp.FLOW_SET:
        return ack(EINVAL)
    reply = control.datapath.flow_request(request.encode())
    return ack(EINVAL) if reply is None else [reply]


def handle_flow_table(control: Control, request: VrFlowTableData) -> Replies:
    """Where the flow table is mapped, how large it is, and its counters."""
    if request.ftable_op != FlowOp.FLOW_TABLE_GET:
        return found(request, code=EINVAL)
    sizes = control.sizes
    stats = control.datapath.flow_table_stats()
    return found(
        VrFlowTableData(
            ftable_op=FlowOp.FLOW_TABLE_GET,
            ftable_size=(sizes.flow_entries + sizes.flow_overflow_entries) * FLOW_ENTRY_SIZE,
            ftable_file_path=str(control.flow_file),
            ftable_used_entries=stats.used,
            ftable_processed=stats.processed,
            ftable_deleted=stats.deleted,
            ftable_added=stats.added,
            ftable_created=stats.created,
            ftable_changed=stats.changed,
            ftable_hold_oflows=stats.hold_oflows,
            ftable_cpus=1,
            ftable_oflow_entries=stats.oflow_entries,
            ftable_hold_stat=(stats.created,),
            ftable_burst_free_tokens=stats.burst_free_tokens,
            ftable_hold_entries=stats.hold_entries,
        )
    )


def handle_bridge_table(control: Control, request: VrBridgeTableData) -> Replies:
    """Where the bridge table is mapped and how large it is."""
    if request.btable_op != SandeshOp.GET:
        return found(request, code=EINVAL)
    sizes = control.sizes
    return found(
        VrBridgeTableData(
            btable_op=SandeshOp.GET,
            btable_size=(sizes.bridge_entries + sizes.bridge_overflow_entries) * BRIDGE_ENTRY_SIZE,
            btable_file_path=str(control.bridge_file),
        )
    )
