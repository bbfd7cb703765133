"""`dropstats`: why the datapath dropped packets, and which it dropped last."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from agent.cli import drop_log, tool
from agent.cli.changes import order
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_stats import debug_lines, drop_json, drop_lines
from agent.sandesh.vrouter import SandeshOp, VrDropStatsReq

_OF_NICS = -1
"""`vds_core` for what NICs dropped of the traffic that they forward by themselves."""


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("dropstats", "Show how many packets were dropped, by reason.")
    whose = made.add_mutually_exclusive_group()
    whose.add_argument("-c", "--core", type=tool.number, metavar="N", help="one core, not the sum")
    whose.add_argument(
        "-o", "--offload", action="store_true", help="drops of NICs that forward by themselves"
    )
    made.add_argument("--all", action="store_true", help="also reasons that never occurred")
    made.add_argument(
        "--debug", action="store_true", help="counters that are of use to developers alone"
    )
    made.add_argument("--clear", action="store_true", help="set the counters to 0")
    log = made.add_argument_group("the last packets that were dropped")
    log.add_argument("-l", "--log", type=tool.number, metavar="CORE", help="show them")
    log.add_argument(
        "--show", type=drop_log.reason, metavar="TYPE", help="with --log: one reason alone"
    )
    log.add_argument(
        "--drop-type", type=drop_log.reason, metavar="TYPE",
        help="log packets with one reason alone, or all",
    )  # fmt: skip
    log.add_argument("--clear-drop-log", action="store_true", help="forget them")
    log.add_argument(
        "--min-log", type=int, choices=(0, 1), help="1: log reason and interface alone"
    )
    options = made.parse_args(arguments)
    if options.show is not None and options.log is None:
        made.error("--show needs --log")
    return options


def _core(options: argparse.Namespace) -> int:
    """0 asks for the sum of all cores, k for core k - 1."""
    if options.offload:
        return _OF_NICS
    return 0 if options.core is None else int(options.core) + 1


def _clear(client: DatapathClient, options: argparse.Namespace) -> None:
    order(client, VrDropStatsReq(h_op=SandeshOp.RESET, vds_core=_core(options)))


def _show(client: DatapathClient, options: argparse.Namespace) -> None:
    request = VrDropStatsReq(h_op=SandeshOp.GET, vds_core=_core(options))
    stats = client.get(request.encode(), VrDropStatsReq)
    if options.json:
        tool.print_json(drop_json(stats))
        return
    shown = debug_lines(stats) if options.debug else drop_lines(stats, zeros=options.all)
    for line in shown:
        print(line)


def _change(options: argparse.Namespace) -> tool.Run | None:
    """What the options want changed, if anything."""
    if options.clear:
        return _clear
    if options.clear_drop_log:
        return drop_log.clear
    if options.drop_type is not None:
        return drop_log.choose
    return drop_log.shorten if options.min_log is not None else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    change = _change(options)
    if change is not None:
        return tool.run(options, change, once=True)
    return tool.run(options, drop_log.show if options.log is not None else _show)
