"""`vrfstats`: what happened to packets, by VRF."""

from __future__ import annotations

from collections.abc import Sequence

from agent.cli import tool
from agent.cli.render_stats import vrf_json, vrf_lines
from agent.cli.table import Table
from agent.sandesh.vrouter import SandeshOp, VrVrfStatsReq

AF_INET = 2

_VRFS = Table(
    name="vrfstats",
    purpose="Show the packet counters of VRFs.",
    every="every VRF that saw a packet",
    key="VRF",
    one="one VRF",
    kind=VrVrfStatsReq,
    get=lambda vrf: VrVrfStatsReq(h_op=SandeshOp.GET, vsr_family=AF_INET, vsr_vrf=vrf),
    after=lambda last: VrVrfStatsReq(
        h_op=SandeshOp.DUMP, vsr_family=AF_INET, vsr_marker=last.vsr_vrf if last else -1
    ),
    lines=vrf_lines,
    as_json=vrf_json,
    misuse=tool.MISUSE_NEGATIVE_EINVAL,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    return _VRFS.main(arguments)
