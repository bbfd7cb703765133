"""vrouter_ops and vr_hugepage_config: the datapath as a whole."""

from __future__ import annotations

import json

from agent import __version__
from agent.forwarder.control import Control
from agent.forwarder.handlers.nexthop import discard
from agent.forwarder.replies import EEXIST, EOPNOTSUPP, Replies, ack, found
from agent.sandesh.vrouter import SandeshOp, VrHugepageConfig, VrouterOps

UNCHANGED = -1
HUGEPAGES_ALREADY_THERE = 0xFFFFFFFC
"""-4 in the u32 that vhp_resp is: the tables exist since the start."""

_SETTABLE = (
    "vo_perfr", "vo_perfs", "vo_from_vm_mss_adj", "vo_to_vm_mss_adj", "vo_perfr1",
    "vo_perfr2", "vo_perfr3", "vo_perfp", "vo_perfq1", "vo_perfq2", "vo_perfq3",
    "vo_udp_coff", "vo_flow_hold_limit", "vo_mudp", "vo_burst_tokens", "vo_burst_interval",
    "vo_burst_step", "vo_memory_alloc_checks", "vo_packet_dump",
)  # fmt: skip
"""Numbers that an ADD changes unless they are -1."""

_HOLD_LIMITS = {"vo_flow_hold_limit", "vo_burst_tokens", "vo_burst_interval", "vo_burst_step"}


def handle_ops(control: Control, request: VrouterOps) -> Replies:
    """GET limits and tunables, ADD tunables, RESET everything."""
    match request.h_op:
        case SandeshOp.GET:
            return found(_limits(control))
        case SandeshOp.ADD:
            return ack(_set(control, request))
        case SandeshOp.RESET:
            reset(control)
            return ack()
    return ack(EOPNOTSUPP)


def _set(control: Control, request: VrouterOps) -> int:
    changes = {name: value for name in _SETTABLE if (value := getattr(request, name)) != UNCHANGED}
    if request.vo_log_level:
        changes["vo_log_level"] = request.vo_log_level
    changes["vo_priority_tagging"] = request.vo_priority_tagging
    control.tunables = control.tunables.replace(**changes)
    control.datapath.set_mss_adjust(control.tunables.vo_from_vm_mss_adj != 0)
    if _HOLD_LIMITS & changes.keys():
        _limit_holds(control)
    return 0


def _limit_holds(control: Control) -> None:
    """How many flows may wait for the agent; the interval is in milliseconds."""
    now = control.tunables
    control.datapath.set_hold_limits(
        max(now.vo_flow_hold_limit, 0),
        max(now.vo_burst_tokens, 0),
        max(now.vo_burst_interval, 0),
        max(now.vo_burst_step, 0),
    )


def reset(control: Control) -> None:
    """Forget every object; sizes, tunables and mapped files stay."""
    control.datapath.reset()
    control.ports.clear()
    control.records.clear()
    control.records.nexthops.put(0, discard())


def _limits(control: Control) -> VrouterOps:
    sizes = control.sizes
    flows = control.datapath.flow_table_stats()
    usage = control.datapath.usage()
    return control.tunables.replace(
        vo_mpls_labels=sizes.labels,
        vo_nexthops=sizes.nexthops,
        vo_bridge_entries=sizes.bridge_entries,
        vo_oflow_bridge_entries=sizes.bridge_overflow_entries,
        vo_flow_entries=sizes.flow_entries,
        vo_oflow_entries=sizes.flow_overflow_entries,
        vo_interfaces=sizes.interfaces,
        vo_mirror_entries=sizes.mirrors,
        vo_vrfs=sizes.vrfs,
        vo_build_info=_build_info(),
        vo_flow_used_entries=flows.used,
        vo_flow_used_oentries=flows.oflow_entries,
        vo_bridge_used_entries=usage.bridge_entries,
        vo_bridge_used_oentries=usage.bridge_overflow,
        vo_vif_bridge_entries=1024,
        vo_vif_oflow_bridge_entries=512,
    )


def _build_info() -> str:
    facts = {"build-name": "vrouter-forwarder", "build-version": __version__}
    return json.dumps({"build-info": [facts]})


def handle_hugepages(control: Control, request: VrHugepageConfig) -> Replies:
    """It comes too late: the tables are there (see `agent.forwarder.module` for when not)."""
    if request.vhp_op != SandeshOp.ADD:
        return ack(EOPNOTSUPP)
    return found(request.replace(vhp_resp=HUGEPAGES_ALREADY_THERE), code=EEXIST)
