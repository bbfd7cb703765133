"""`dropstats`: why the datapath dropped packets."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_stats import drop_json, drop_lines
from agent.errors import DatapathError
from agent.sandesh.vrouter import SandeshOp, VrDropStatsReq


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("dropstats", "Show how many packets were dropped, by reason.")
    made.add_argument("--core", type=tool.number, metavar="N", help="one core, not the sum")
    made.add_argument("--all", action="store_true", help="also reasons that never occurred")
    made.add_argument("--clear", action="store_true", help="set the counters to 0")
    return made.parse_args(arguments)


def _act(client: DatapathClient, options: argparse.Namespace) -> None:
    core = 0 if options.core is None else options.core + 1
    if options.clear:
        code, _ = client.request(VrDropStatsReq(h_op=SandeshOp.RESET, vds_core=core).encode())
        if code < 0:
            raise DatapathError(-code, "dropstats --clear")
        return
    stats = client.get(VrDropStatsReq(h_op=SandeshOp.GET, vds_core=core).encode(), VrDropStatsReq)
    if options.json:
        tool.print_json(drop_json(stats))
        return
    for line in drop_lines(stats, zeros=options.all):
        print(line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    return tool.run(_options(arguments), _act)
