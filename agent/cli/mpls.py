"""`mpls`: the datapath's incoming labels."""

from __future__ import annotations

from collections.abc import Sequence

from agent.cli.table import Table
from agent.sandesh.vrouter import SandeshOp, VrMplsReq

_LABELS = Table(
    name="mpls",
    purpose="Show the datapath's incoming labels.",
    every="every label",
    key="LABEL",
    one="one label",
    kind=VrMplsReq,
    get=lambda label: VrMplsReq(h_op=SandeshOp.GET, mr_label=label),
    after=lambda last: VrMplsReq(h_op=SandeshOp.DUMP, mr_marker=last.mr_label if last else -1),
    lines=lambda row: [f"{row.mr_label:8}{row.mr_nhid:10}"],
    as_json=lambda row: {"label": row.mr_label, "nexthop": row.mr_nhid},
    header=("MPLS Input Label Map", "", "   Label    NextHop", "-------------------"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    return _LABELS.main(arguments)
