"""`vrftable`: the datapath's VRFs and the interfaces of their host-based firewall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.cli.render import flag_names
from agent.cli.table import Table
from agent.sandesh.vrouter import SandeshOp, VrVrfReq

FLAGS = ((1, "V"), (2, "Hl"), (4, "Hr"))
_LEFT, _RIGHT = 2, 4


def line(row: VrVrfReq) -> str:
    """One row; `-` where no interface is named."""
    left, right = _firewall(row)
    flags = "".join(flag_names(row.vrf_flags, FLAGS)) or "-"
    return f"{row.vrf_idx:5}    {flags:<8}{_shown(left):>12}{_shown(right):>12}"


def _shown(vif: int | None) -> str:
    return "-" if vif is None else str(vif)


def _firewall(row: VrVrfReq) -> tuple[int | None, int | None]:
    """The left and the right interface; a bit may be set and name none."""
    named = ((_LEFT, row.vrf_hbfl_vif_idx), (_RIGHT, row.vrf_hbfr_vif_idx))
    left, right = (vif if row.vrf_flags & bit and vif >= 0 else None for bit, vif in named)
    return left, right


def as_json(row: VrVrfReq) -> dict[str, Any]:
    """One row for programs."""
    left, right = _firewall(row)
    return {
        "vrf": row.vrf_idx,
        "flags": flag_names(row.vrf_flags, FLAGS),
        "hbf_left_vif": left,
        "hbf_right_vif": right,
    }


_VRFS = Table(
    name="vrftable",
    purpose="Show the datapath's VRFs.",
    every="every VRF",
    key="VRF",
    one="one VRF",
    kind=VrVrfReq,
    get=lambda vrf: VrVrfReq(h_op=SandeshOp.GET, vrf_idx=vrf),
    after=lambda last: VrVrfReq(h_op=SandeshOp.DUMP, vrf_marker=last.vrf_idx if last else -1),
    lines=lambda row: [line(row)],
    as_json=as_json,
    header=(
        "Vrf Table", "", "Flags: V=Valid, Hl=HBF Left Valid, Hr=HBF Right Valid", "",
        "  Vrf    Flags    HBF-L Vif   HBF-R Vif", "-" * 41,
    ),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    return _VRFS.main(arguments)
