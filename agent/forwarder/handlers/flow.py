"""vr_flow_req and vr_flow_table_data, vr_bridge_table_data."""

from __future__ import annotations

from agent.forwarder import rundir
from agent.forwarder.control import Control
from agent.forwarder.replies import EINVAL, Replies, ack, found
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrBridgeTableData,
    VrFlowReq,
    VrFlowResponse,
    VrFlowTableData,
)
from agent.shm.geometry import BRIDGE_ENTRY_SIZE, FLOW_ENTRY_SIZE


def handle_flow(control: Control, request: VrFlowReq) -> Replies:
    """FLOW_SET: add, change or delete one flow."""
    if request.fr_op != FlowOp.FLOW_SET:
        return ack(EINVAL)
    answer = control.datapath.flow_set(
        index=request.fr_index,
        gen_id=request.fr_gen_id & 0xFF,
        family=request.fr_family,
        proto=request.fr_flow_proto & 0xFF,
        sport=request.fr_flow_sport,
        dport=request.fr_flow_dport,
        nh_id=request.fr_flow_nh_id,
        sip_u=request.fr_flow_sip_u,
        sip_l=request.fr_flow_sip_l,
        dip_u=request.fr_flow_dip_u,
        dip_l=request.fr_flow_dip_l,
        flags=request.fr_flags & 0xFFFF,
        flags1=request.fr_flags1 & 0xFFFF,
        action=request.fr_action & 0xFFFF,
        vrf=request.fr_flow_vrf,
        dvrf=request.fr_flow_dvrf,
        rindex=request.fr_rindex,
        rflow_sip_u=request.fr_rflow_sip_u,
        rflow_sip_l=request.fr_rflow_sip_l,
        rflow_dip_u=request.fr_rflow_dip_u,
        rflow_dip_l=request.fr_rflow_dip_l,
        rflow_nh_id=request.fr_rflow_nh_id,
        rflow_sport=request.fr_rflow_sport,
        rflow_dport=request.fr_rflow_dport,
        mir_id=request.fr_mir_id,
        sec_mir_id=request.fr_sec_mir_id,
        src_nh_index=request.fr_src_nh_index,
        ecmp_nh_index=_signed(request.fr_ecmp_nh_index, 32),
        underlay_ecmp_index=request.fr_underlay_ecmp_index,
        qos_id=_signed(request.fr_qos_id, 16),
        ttl=request.fr_ttl & 0xFF,
        drop_reason=request.fr_drop_reason,
        extflags=request.fr_extflags & 0xFFFF,
    )
    response = VrFlowResponse(
        fresp_op=FlowOp.FLOW_SET,
        fresp_flags=answer.flags,
        fresp_index=answer.handle & 0xFFFFFFFF,
        fresp_bytes=answer.bytes,
        fresp_packets=answer.packets,
        fresp_stats_oflow=answer.oflow,
        fresp_gen_id=_signed(answer.gen_id, 8),
    )
    return found(response, code=answer.code)


def _signed(value: int, bits: int) -> int:
    """An unsigned field as the signed number that it stands for."""
    return value - (1 << bits) if value >= 1 << (bits - 1) else value


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
            ftable_file_path=str(control.run_dir / rundir.FLOW_TABLE),
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
            btable_file_path=str(control.run_dir / rundir.BRIDGE_TABLE),
        )
    )
