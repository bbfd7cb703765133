"""`vxlan`: the datapath's VXLAN network identifiers."""

from __future__ import annotations

from collections.abc import Sequence

from agent.cli.table import Edits, Table
from agent.sandesh.vrouter import SandeshOp, VrVxlanReq

_IDENTIFIERS = Table(
    name="vxlan",
    purpose="Show and change the datapath's VXLAN network identifiers.",
    every="every identifier",
    key="VNID",
    one="one identifier",
    kind=VrVxlanReq,
    get=lambda vnid: VrVxlanReq(h_op=SandeshOp.GET, vxlanr_vnid=vnid),
    after=lambda last: VrVxlanReq(h_op=SandeshOp.DUMP, vxlanr_vnid=last.vxlanr_vnid if last else 0),
    lines=lambda row: [f"{row.vxlanr_vnid:7}    {row.vxlanr_nhid}"],
    as_json=lambda row: {"vnid": row.vxlanr_vnid, "nexthop": row.vxlanr_nhid},
    header=("VXLAN Table", "", " VNID    NextHop", "----------------"),
    misuse=1,
    edits=Edits(
        add=lambda vnid, nh: VrVxlanReq(h_op=SandeshOp.ADD, vxlanr_vnid=vnid, vxlanr_nhid=nh),
        remove=lambda vnid: VrVxlanReq(h_op=SandeshOp.DEL, vxlanr_vnid=vnid),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    return _IDENTIFIERS.main(arguments)
