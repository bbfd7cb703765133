"""`flow`: the datapath's flows, read from the shared table."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from agent.cli import render_flow, tool
from agent.cli.datapath_client import DatapathClient
from agent.errors import DatapathError, UsageError
from agent.sandesh.vrouter import FlowOp, SandeshOp, VrFlowTableData, VrouterOps
from agent.shm import FlowAction, FlowEntry, FlowTable

ENOENT = 2
REFRESH_SECONDS = 0.5
_CLEAR_SCREEN = "\x1b[H\x1b[2J\x1b[3J"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("flow", "Show the datapath's flows.")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("-l", "--list", action="store_true", help="every flow")
    what.add_argument("--get", type=tool.number, metavar="INDEX", help="one flow")
    what.add_argument(
        "-s",
        "--stats",
        action="store_true",
        help="how many flows of each action; on a terminal until interrupted",
    )
    made.add_argument("--show-evicted", action="store_true", help="with -l: evicted flows too")
    return made.parse_args(arguments)


def _table(client: DatapathClient) -> tuple[VrFlowTableData, FlowTable]:
    request = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET)
    table = client.get(request.encode(), VrFlowTableData)
    limits = client.get(VrouterOps(h_op=SandeshOp.GET).encode(), VrouterOps)
    try:
        return table, FlowTable.open(table.ftable_file_path, limits.vo_flow_entries)
    except OSError as error:
        raise UsageError(f"cannot read {table.ftable_file_path}: {error.strerror}") from None


def _list(client: DatapathClient, options: argparse.Namespace) -> None:
    table, view = _table(client)
    with view:
        flows = (flow for flow in view if options.show_evicted or not flow.evicted)
        if options.json:
            tool.print_json([render_flow.as_json(flow) for flow in flows])
            return
        print("\n".join(render_flow.header(table)))
        for flow in flows:
            print("\n".join(render_flow.lines(flow)))


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    _, view = _table(client)
    with view:
        if not 0 <= options.get < len(view):
            raise UsageError(f"flow index {options.get}: the table has {len(view)} entries")
        flow = view.entry(options.get)
    if flow is None:
        raise DatapathError(ENOENT, "flow")
    if options.json:
        tool.print_json(render_flow.as_json(flow))
    else:
        print("\n".join(_described(flow)))


def _described(flow: FlowEntry) -> Iterator[str]:
    key = flow.key
    yield _field("Flow Index", flow.index)
    yield _field("Flow Generation ID", flow.gen_id)
    yield _field("Reverse Flow Index", -1 if flow.rflow is None else flow.rflow)
    yield _field("VRF", flow.vrf)
    yield _field("Destination VRF", flow.dvrf)
    yield _field("Flow Source", f"[{key.source}]:{key.sport}")
    yield _field("Flow Destination", f"[{key.destination}]:{key.dport}")
    yield _field("Flow Protocol", _PROTOCOLS.get(key.proto, str(key.proto)))
    yield _field("Flow Action", FlowAction(flow.action).name)
    yield _field("Key NextHop", key.nh_id)
    yield _field("Expected Source NextHop", flow.src_nh_index)
    yield _field("Flow Flags", " ".join(_state(flow)))
    yield _field("UDP Source Port", flow.udp_src_port)
    yield ""
    yield _field("Flow Statistics", f"{flow.packets}/{flow.bytes}")


_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}


def _field(title: str, value: object) -> str:
    return f"{title + ':':<30}{value}".rstrip()


def _state(flow: FlowEntry) -> list[str]:
    named = render_flow.as_json(flow)
    return [*named["flags"], *named["tcp"]]


def _stats(client: DatapathClient, options: argparse.Namespace) -> None:
    _, view = _table(client)
    with view:
        while True:
            counts = Counter(FlowAction(flow.action).name.lower() for flow in view)
            if options.json:
                tool.print_json({"flows": counts.total(), "actions": dict(counts)})
                return
            live = sys.stdout.isatty()
            print((_CLEAR_SCREEN if live else "") + f"Flows: {counts.total()}")
            for action in FlowAction:
                print(f"  {action.name.capitalize():<8} {counts[action.name.lower()]}")
            if not live:
                return
            sys.stdout.flush()
            time.sleep(REFRESH_SECONDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    action = _list if options.list else _stats if options.stats else _get
    return tool.run(options, action)
