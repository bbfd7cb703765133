"""`vrmemstats`: what the datapath's memory is used for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.sandesh.vrouter import SandeshOp, VrMemStatsReq

_PREFIX, _SUFFIX = "vms_", "_object"


def counts(stats: VrMemStatsReq) -> dict[str, int]:
    """Allocations by kind of object, without the totals."""
    return {
        field.removeprefix(_PREFIX).removesuffix(_SUFFIX): getattr(stats, field)
        for field in VrMemStatsReq.FIELDS
        if field.endswith(_SUFFIX)
    }


def lines(stats: VrMemStatsReq) -> Iterator[str]:
    """The totals, then each kind of object that there is."""
    yield f"{'Total allocations':<38}{stats.vms_alloced}"
    yield f"{'Total frees':<38}{stats.vms_freed}"
    yield f"{'Total outstanding allocations':<38}{stats.vms_alloced - stats.vms_freed}"
    yield ""
    for name, count in counts(stats).items():
        if count:
            yield f"{name.replace('_', ' ').title():<38}{count}"


def _act(client: DatapathClient, options: argparse.Namespace) -> None:
    stats = client.get(VrMemStatsReq(h_op=SandeshOp.GET).encode(), VrMemStatsReq)
    if options.json:
        totals = {"allocated": stats.vms_alloced, "freed": stats.vms_freed}
        tool.print_json({**totals, "objects": counts(stats)})
        return
    print("\n".join(lines(stats)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    made = tool.parser("vrmemstats", "Show what the datapath's memory is used for.")
    return tool.run(made.parse_args(arguments), _act)
