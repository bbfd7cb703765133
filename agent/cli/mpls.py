"""`mpls`: the datapath's incoming labels."""

from __future__ import annotations

from collections.abc import Sequence

from agent.cli.table import Edits, Table
from agent.sandesh.vrouter import SandeshOp, VrMplsReq

_LABELS = Table(
    name="mpls",
    purpose="Show and change the datapath's incoming labels.",
    every="every label",
    key="LABEL",
    one="one label",
    kind=VrMplsReq,
    get=lambda label: VrMplsReq(h_op=SandeshOp.GET, mr_label=label),
    after=lambda last: VrMplsReq(h_op=SandeshOp.DUMP, mr_marker=last.mr_label if last else -1),
    lines=lambda row: [f"{row.mr_label:8}    {row.mr_nhid:6}"],
    as_json=lambda row: {"label": row.mr_label, "nexthop": row.mr_nhid},
    header=("MPLS Input Label Map", "", "   Label    NextHop", "-------------------"),
    misuse=1,
    edits=Edits(
        add=lambda label, nh: VrMplsReq(h_op=SandeshOp.ADD, mr_label=label, mr_nhid=nh),
        remove=lambda label: VrMplsReq(h_op=SandeshOp.DEL, mr_label=label),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    return _LABELS.main(arguments)
