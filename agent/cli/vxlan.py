"""`vxlan`: the datapath's VXLAN network identifiers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.sandesh.vrouter import SandeshOp, VrVxlanReq

_HEADER = ["VXLAN Table", "", " VNID    NextHop", "----------------"]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("vxlan", "Show the datapath's VXLAN network identifiers.")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--dump", action="store_true", help="every identifier")
    what.add_argument("--get", type=int, metavar="VNID", help="one identifier")
    return made.parse_args(arguments)


def _line(row: VrVxlanReq) -> str:
    return f"{row.vxlanr_vnid:7}{row.vxlanr_nhid:5}"


def _json(row: VrVxlanReq) -> dict[str, Any]:
    return {"vnid": row.vxlanr_vnid, "nexthop": row.vxlanr_nhid}


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    if not options.json:
        print("\n".join(_HEADER))
    request = VrVxlanReq(h_op=SandeshOp.GET, vxlanr_vnid=options.get)
    row = client.get(request.encode(), VrVxlanReq)
    if options.json:
        tool.print_json(_json(row))
    else:
        print(_line(row))


def _dump(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrVxlanReq | None) -> bytes:
        marker = 0 if last is None else last.vxlanr_vnid
        return VrVxlanReq(h_op=SandeshOp.DUMP, vxlanr_vnid=marker).encode()

    rows = client.dump(request, VrVxlanReq)
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
