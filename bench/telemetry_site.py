"""An agent with thousands of ports and a full flow table, to be looked at without I/O."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent import topology
from agent.objects import Kind
from agent.sandesh.vrouter import VrDropStatsReq, VrInterfaceReq, VrouterOps, VrVrfStatsReq
from agent.telemetry.gather import tables
from agent.telemetry.sample import FlowSample, Process, Sample
from tests.unit.telemetry.node_world import NodeWorld

NETWORKS = 20
LABELS = 1 << 16
"""More than a datapath has by default: two a port, and the same number for trees."""


def world(ports: int) -> NodeWorld:
    """All ports of one host are plugged, in `NETWORKS` networks."""
    vms = {
        f"vm{number}": {
            "network": f"net{number % NETWORKS}",
            "address": f"10.{number % NETWORKS}.{1 + number // NETWORKS // 200}"
            f".{3 + number // NETWORKS % 200}",
        }
        for number in range(ports)
    }
    text: dict[str, Any] = {
        "name": "many",
        "hosts": {"host1": {"fabric": "10.200.0.1/24"}},
        "networks": {f"net{at}": {"subnet": f"10.{at}.0.0/16"} for at in range(NETWORKS)},
        "vms": vms,
    }
    made = NodeWorld(parsed=topology.parse(text))
    made.core.compiler.limit(Kind.LABEL, LABELS)
    made.plug()
    return made


def sample(made: NodeWorld, round_: int) -> Sample:
    """One round of counters of all ports; every port has moved packets since the last one."""
    rows = [
        VrInterfaceReq(
            vifr_idx=vmi.vif_index,
            vifr_name=vmi.name,
            vifr_type=3,
            vifr_ibytes=round_ * 1_234_567 + vmi.vif_index,
            vifr_ipackets=round_ * 12_345,
            vifr_obytes=round_ * 7_654_321,
            vifr_opackets=round_ * 76_543,
            vifr_dpackets=round_ * 3,
        )
        for vmi in made.node.compiler.vmis()
    ]
    limits = VrouterOps(vo_interfaces=4352, vo_nexthops=65536, vo_flow_entries=1 << 20)
    return Sample(
        vifs=rows,
        vif_drops={
            row.vifr_idx: VrDropStatsReq(vds_ttl_exceeded=round_, vds_invalid_arp=round_ * 2)
            for row in rows
        },
        vrfs=[VrVrfStatsReq(vsr_vrf=index, vsr_encaps=round_ * 9) for index in range(NETWORKS)],
        drops=VrDropStatsReq(vds_discard=round_ * 4),
        flows=FlowSample(by_vif={row.vifr_idx: 500 for row in rows}),
        used=tables(made.node.compiler, limits),
        process=Process(1.0 * round_, 1 << 30, 1 << 30, 1 << 28, 2, 30, 1024),
    )
