"""`mpls`: the datapath's incoming labels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.sandesh.vrouter import SandeshOp, VrMplsReq

_HEADER = ["MPLS Input Label Map", "", "   Label    NextHop", "-------------------"]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("mpls", "Show the datapath's incoming labels.")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--dump", action="store_true", help="every label")
    what.add_argument("--get", type=int, metavar="LABEL", help="one label")
    return made.parse_args(arguments)


def _line(row: VrMplsReq) -> str:
    return f"{row.mr_label:8}{row.mr_nhid:10}"


def _json(row: VrMplsReq) -> dict[str, Any]:
    return {"label": row.mr_label, "nexthop": row.mr_nhid}


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    if not options.json:
        print("\n".join(_HEADER))
    row = client.get(VrMplsReq(h_op=SandeshOp.GET, mr_label=options.get).encode(), VrMplsReq)
    if options.json:
        tool.print_json(_json(row))
    else:
        print(_line(row))


def _dump(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrMplsReq | None) -> bytes:
        marker = -1 if last is None else last.mr_label
        return VrMplsReq(h_op=SandeshOp.DUMP, mr_marker=marker).encode()

    rows = client.dump(request, VrMplsReq)
    if options.json:
        tool.print_json([_json(row) for row in rows])
        return
    print("\n".join(_HEADER))
    for row in rows:
        print(_line(row))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    return tool.run(options, _dump if options.dump else _get)
