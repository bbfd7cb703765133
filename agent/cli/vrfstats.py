"""`vrfstats`: what happened to packets, by VRF."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_stats import vrf_json, vrf_lines
from agent.sandesh.vrouter import SandeshOp, VrVrfStatsReq

AF_INET = 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("vrfstats", "Show the packet counters of VRFs.")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--dump", action="store_true", help="every VRF that saw a packet")
    what.add_argument("--get", type=int, metavar="VRF", help="one VRF")
    return made.parse_args(arguments)


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    request = VrVrfStatsReq(h_op=SandeshOp.GET, vsr_family=AF_INET, vsr_vrf=options.get)
    stats = client.get(request.encode(), VrVrfStatsReq)
    if options.json:
        tool.print_json(vrf_json(stats))
    else:
        print("\n".join(vrf_lines(stats)))


def _dump(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrVrfStatsReq | None) -> bytes:
        marker = -1 if last is None else last.vsr_vrf
        return VrVrfStatsReq(h_op=SandeshOp.DUMP, vsr_family=AF_INET, vsr_marker=marker).encode()

    rows = client.dump(request, VrVrfStatsReq)
    if options.json:
        tool.print_json([vrf_json(stats) for stats in rows])
        return
    for stats in rows:
        print("\n".join(vrf_lines(stats)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    return tool.run(options, _dump if options.dump else _get)
