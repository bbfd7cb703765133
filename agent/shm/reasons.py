"""Why the datapath was told to drop a flow: fe_drop_reason by number.

Facts: shared-memory.md section 6.
"""

from __future__ import annotations

FLOW_DROP_REASONS: tuple[str, ...] = (
    "UNKNOWN",
    "UNAVAILABLE_INTF",
    "IPv4_FWD_DIS",
    "UNAVAILABLE_VRF",
    "NO_SRC_ROUTE",
    "NO_DST_ROUTE",
    "AUDIT_ENTRY",
    "VRF_CHANGE",
    "NO_REVERSE_FLOW",
    "REVERSE_FLOW_CHANGE",
    "NAT_CHANGE",
    "FLOW_LIMIT",
    "LINKLOCAL_SRC_NAT",
    "FAILED_VROUTER_INSTALL",
    "INVALID_L2_FLOW",
    "FLOW_ON_TSN",
    "NO_MIRROR_ENTRY",
    "SAME_FLOW_RFLOW_KEY",
    "PORT_MAP_DROP",
    "NO_SRC_ROUTE_L2RPF",
    "FAT_FLOW_NAT_CONFLICT",
    "POLICY",
    "OUT_POLICY",
    "SG",
    "OUT_SG",
    "REVERSE_SG",
    "REVERSE_OUT_SG",
    "FW_POLICY",
    "OUT_FW_POLICY",
    "REVERSE_FW_POLICY",
    "REVERSE_OUT_FW_POLICY",
    "FWAAS_POLICY",
    "OUT_FWAAS_POLICY",
    "REVERSE_FWAAS_POLICY",
    "REVERSE_OUT_FWAAS_POLICY",
)
