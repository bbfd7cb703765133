"""How `vrouter --info` prints version, limits and settings. Layout of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agent.sandesh.vrouter import VrouterOps

LIMITS = (
    ("interfaces", "Interfaces limit"),
    ("vrfs", "VRF tables limit"),
    ("nexthops", "NextHops limit"),
    ("mpls_labels", "MPLS Labels limit"),
    ("bridge_entries", "Bridge Table limit"),
    ("oflow_bridge_entries", "Bridge Table Overflow limit"),
    ("bridge_used_entries", "Bridge Table used"),
    ("bridge_used_oentries", "Bridge Table Overflow used"),
    ("flow_entries", "Flow Table limit"),
    ("oflow_entries", "Flow Table overflow limit"),
    ("flow_used_entries", "Flow Table used"),
    ("flow_used_oentries", "Flow Table Overflow used"),
    ("mirror_entries", "Mirror entries limit"),
    ("vif_bridge_entries", "Vif Bridge Table limit"),
    ("vif_oflow_bridge_entries", "Vif Bridge Table Overflow limit"),
)
"""Fields without `vo_`, and their titles."""
SETTINGS = (
    ("perfr", "GRO for received packets (perfr)"),
    ("perfs", "Segmentation in software (perfs)"),
    ("from_vm_mss_adj", "TCP MSS adjust from VM"),
    ("to_vm_mss_adj", "TCP MSS adjust to VM"),
    ("perfr1", "RPS before GRO (perfr1)"),
    ("perfr2", "RPS of VM interfaces (perfr2)"),
    ("perfr3", "RPS after GRO (perfr3)"),
    ("perfp", "Pull inner headers (perfp)"),
    ("perfq1", "CPU for perfr1 (perfq1)"),
    ("perfq2", "CPU for perfr2 (perfq2)"),
    ("perfq3", "CPU for perfr3 (perfq3)"),
    ("udp_coff", "UDP checksum offload"),
    ("flow_hold_limit", "Flow hold limit"),
    ("mudp", "MPLS over UDP globally"),
    ("burst_tokens", "Total tokens in burst"),
    ("burst_interval", "Interval for tokens (ms)"),
    ("burst_step", "Tokens added each interval"),
    ("memory_alloc_checks", "Memory allocation checks"),
    ("priority_tagging", "NIC tagging of priority"),
    ("packet_dump", "Packet dump"),
)
_WIDTH = 34


def build(limits: VrouterOps) -> dict[str, str]:
    """Name and version of the datapath, from the JSON it sends; empty if it sends none."""
    try:
        parsed = json.loads(limits.vo_build_info)
        facts = parsed["build-info"][0]
        return {str(name): str(value) for name, value in facts.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def lines(limits: VrouterOps) -> Iterator[str]:
    """The version, the limits, then the settings."""
    facts = build(limits)
    version = facts.get("build-version", "unknown")
    yield f"vRouter module version {version} ({facts.get('build-name', 'no build name')})"
    for name, title in LIMITS:
        yield f"{title:<{_WIDTH}}{getattr(limits, f'vo_{name}')}"
    yield f"{'Log level':<{_WIDTH}}{limits.vo_log_level}"
    for name, title in SETTINGS:
        yield f"{title:<{_WIDTH}}{getattr(limits, f'vo_{name}')}"


def as_json(limits: VrouterOps) -> dict[str, Any]:
    """The same for programs."""
    return {
        "build": build(limits),
        "limits": {name: getattr(limits, f"vo_{name}") for name, _ in LIMITS},
        "log_level": limits.vo_log_level,
        "settings": {name: getattr(limits, f"vo_{name}") for name, _ in SETTINGS},
    }
