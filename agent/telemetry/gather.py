"""What a round of sampling reads of the agent itself: flows, and how full tables are."""

from __future__ import annotations

from agent.flow import FlowEngine
from agent.objects import Kind
from agent.oper.compiler import Compiler
from agent.sandesh.vrouter import VrouterOps
from agent.telemetry.sample import FlowSample, Use

_COUNTED = {
    Kind.VIF: "vo_interfaces",
    Kind.NEXTHOP: "vo_nexthops",
    Kind.LABEL: "vo_mpls_labels",
    Kind.VRF: "vo_vrfs",
    Kind.MIRROR: "vo_mirror_entries",
}
_TOLD = {
    "flow": ("vo_flow_used_entries", "vo_flow_entries"),
    "flow-overflow": ("vo_flow_used_oentries", "vo_oflow_entries"),
    "bridge": ("vo_bridge_used_entries", "vo_bridge_entries"),
    "bridge-overflow": ("vo_bridge_used_oentries", "vo_oflow_bridge_entries"),
}


def flow_sample(flows: FlowEngine, compiler: Compiler) -> FlowSample:
    """What the parts of flows have counted; empty while there is no table."""
    pairs, scanner = flows.pairs, flows.scanner
    if pairs is None:
        return FlowSample()
    ports = {vmi.vif_index for vmi in compiler.vmis() if vmi.vif_index >= 0}
    counted = {vif: pairs.flows_of(vif) for vif in ports}
    return FlowSample(
        pairs=len(pairs),
        counters=pairs.counters,
        scan={} if scanner is None else scanner.counters,
        sweep={} if scanner is None else scanner.sweep,
        by_vif={vif: count for vif, count in counted.items() if count},
    )


def tables(compiler: Compiler, limits: VrouterOps) -> dict[str, Use]:
    """Objects by table; `limits` is the datapath's answer of this round.

    Hash tables have a main part and an overflow part, which are told apart.
    """
    found = {
        kind.value: Use(compiler.used(kind), max(0, getattr(limits, field)))
        for kind, field in _COUNTED.items()
    }
    for name, (used, limit) in _TOLD.items():
        found[name] = Use(getattr(limits, used), max(0, getattr(limits, limit)))
    return found
