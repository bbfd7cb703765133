"""`vrouter`: the datapath as a whole, and every other tool as a command of this one.

`vrouter vif --list` is `vif --list`, also where another program of that name comes first.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from agent.cli import render_info, tool
from agent.cli.changes import order
from agent.cli.datapath_client import DatapathClient
from agent.sandesh.vrouter import SandeshOp, VrouterOps

PROGRAM = "vrouter"
TOOLS = {
    "vif": "interfaces",
    "nh": "nexthops",
    "rt": "routes",
    "mpls": "incoming labels",
    "vxlan": "VXLAN networks",
    "flow": "flows",
    "mirror": "mirrors",
    "vrftable": "VRFs",
    "dropstats": "why packets were dropped",
    "vrfstats": "packet counters of VRFs",
    "vrmemstats": "memory",
    "vrinfo": "texts of the datapath about itself",
    "qosmap": "quality of service",
}
"""Modules of this package, and what each shows."""
SETTINGS = {
    "perfr": "segmentation offload of received packets",
    "perfs": "segmentation offload of sent packets",
    "from_vm_mss_adj": "lower the MSS of TCP connections that VMs open",
    "to_vm_mss_adj": "lower the MSS of TCP connections to VMs",
    "perfr1": "steer received packets to a processor, before GRO",
    "perfr2": "steer received packets to a processor, of VMs",
    "perfr3": "steer received packets to a processor, after GRO",
    "perfp": "pull the inner header of received packets",
    "perfq1": "processor for perfr1",
    "perfq2": "processor for perfr2",
    "perfq3": "processor for perfr3",
    "udp_coff": "offload of the outer UDP checksum",
    "flow_hold_limit": "how many flows may wait for the agent",
    "mudp": "MPLS over UDP towards gateways that offer both",
    "burst_tokens": "flows that may wait beyond the limit",
    "burst_interval": "milliseconds until tokens come back",
    "burst_step": "tokens that come back at a time",
    "packet_dump": "log the headers of packets",
}
"""Names without `vo_` of what ADD changes; -1 leaves one as it is."""
_OPTION_OF = {"packet_dump": "--packet-dump"}
_BYTES = (
    "vo_pkt_droplog_bufsz", "vo_pkt_droplog_buf_en", "vo_pkt_droplog_en",
    "vo_pkt_droplog_min_en", "vo_uncond_close_flow_on_tcp_rst", "vo_priority_tagging",
)  # fmt: skip
"""What has no value for "as it is" and is sent as it was read."""
UNCHANGED = -1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    made = tool.parser(PROGRAM, "Show and change what concerns the datapath as a whole.")
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.epilog = "commands, each with its own --help:\n" + "\n".join(
        f"  {name:<12}{what}" for name, what in TOOLS.items()
    )
    made.add_argument("--info", action="store_true", help="version, limits and settings")
    settings = made.add_argument_group("settings")
    for name, what in SETTINGS.items():
        option = _OPTION_OF.get(name, f"--{name}")
        settings.add_argument(option, dest=name, type=tool.number, metavar="N", help=what)
    settings.add_argument(
        "--set-priority-tagging",
        dest="priority_tagging",
        type=int,
        choices=(0, 1),
        help="tag packets of VLAN 0 with their priority",
    )
    options = made.parse_args(arguments)
    if not options.info and not _changes(options):
        made.error("one of --info, a setting or a command is needed")
    return options


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    names = [*SETTINGS, "priority_tagging"]
    values = {name: getattr(options, name) for name in names}
    return {f"vo_{name}": value for name, value in values.items() if value is not None}


def _limits(client: DatapathClient) -> VrouterOps:
    return client.get(VrouterOps(h_op=SandeshOp.GET).encode(), VrouterOps)


def _set(client: DatapathClient, options: argparse.Namespace) -> None:
    now = _limits(client)
    unchanged: dict[str, Any] = {f"vo_{name}": UNCHANGED for name in SETTINGS}
    unchanged |= {name: getattr(now, name) for name in _BYTES}
    request = VrouterOps(h_op=SandeshOp.ADD, vo_memory_alloc_checks=UNCHANGED).replace(**unchanged)
    order(client, request.replace(**_changes(options)))
    if options.info:
        _info(client, options)


def _info(client: DatapathClient, options: argparse.Namespace) -> None:
    limits = _limits(client)
    if options.json:
        tool.print_json(render_info.as_json(limits))
    else:
        print("\n".join(render_info.lines(limits)))


def _tool(name: str) -> Callable[[Sequence[str]], int]:
    main: Callable[[Sequence[str]], int] = importlib.import_module(f"agent.cli.{name}").main
    return main


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in TOOLS:
        with tool.called_by(PROGRAM):
            return _tool(words[0])(words[1:])
    options = _options(words)
    changing = bool(_changes(options))
    return tool.run(options, _set if changing else _info, once=changing)
