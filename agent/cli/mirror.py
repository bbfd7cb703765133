"""`mirror`: where the datapath sends copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.cli.render import flag_names
from agent.cli.table import Table
from agent.sandesh.vrouter import SandeshOp, VrMirrorReq

NO_VNI = -1
FLAGS = ((1, "D"), (4, "Hw"))


def line(row: VrMirrorReq) -> str:
    """One row; the VNI is left out where there is none."""
    flags = "".join(flag_names(row.mirr_flags, FLAGS))
    vni = "" if row.mirr_vni == NO_VNI else f"{row.mirr_vni:11}"
    return f"{row.mirr_index:5}{row.mirr_nhid:11}{flags:>8}{vni}{row.mirr_vlan:8}"


def as_json(row: VrMirrorReq) -> dict[str, Any]:
    """One row for programs."""
    return {
        "index": row.mirr_index,
        "nexthop": row.mirr_nhid,
        "flags": flag_names(row.mirr_flags, FLAGS),
        "vni": None if row.mirr_vni == NO_VNI else row.mirr_vni,
        "vlan": row.mirr_vlan,
        "users": row.mirr_users,
    }


_MIRRORS = Table(
    name="mirror",
    purpose="Show where the datapath sends copies of packets.",
    every="every mirror",
    key="INDEX",
    one="one mirror",
    kind=VrMirrorReq,
    get=lambda index: VrMirrorReq(h_op=SandeshOp.GET, mirr_index=index),
    after=lambda last: VrMirrorReq(
        h_op=SandeshOp.DUMP, mirr_marker=last.mirr_index if last else -1
    ),
    lines=lambda row: [line(row)],
    as_json=as_json,
    header=(
        "Mirror Table", "", "Flags:D=Dynamic Mirroring, Hw=NIC Assisted Mirroring ", "",
        "Index    NextHop    Flags       VNI    Vlan", "-" * 48,
    ),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    return _MIRRORS.main(arguments)
