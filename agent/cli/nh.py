"""`nh`: the datapath's nexthops."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_nh import COMPOSITE, as_json, lines
from agent.sandesh.vrouter import SandeshOp, VrNexthopReq


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("nh", "Show the datapath's nexthops.")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="every nexthop")
    what.add_argument(
        "--get", type=tool.number, metavar="ID", help="one nexthop and its components"
    )
    return made.parse_args(arguments)


def _fetch(
    client: DatapathClient, nh_id: int, above: frozenset[int] = frozenset()
) -> Iterator[VrNexthopReq]:
    """A nexthop, then the components of a composite that exist; `above`: those it is part of."""
    request = VrNexthopReq(h_op=SandeshOp.GET, nhr_id=nh_id)
    nexthop = client.get(request.encode(), VrNexthopReq)
    yield nexthop
    if nexthop.nhr_type == COMPOSITE:
        for component in nexthop.nhr_nh_list:
            if component >= 0 and component not in above | {nh_id}:
                yield from _fetch(client, component, above | {nh_id})


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    found = _fetch(client, options.get)
    if options.json:
        tool.print_json([as_json(nexthop) for nexthop in found])
        return
    for nexthop in found:
        print("\n".join(lines(nexthop)))


def _list(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrNexthopReq | None) -> bytes:
        marker = -1 if last is None else last.nhr_id
        return VrNexthopReq(h_op=SandeshOp.DUMP, nhr_marker=marker).encode()

    nexthops = client.dump(request, VrNexthopReq)
    if options.json:
        tool.print_json([as_json(nexthop) for nexthop in nexthops])
        return
    for nexthop in nexthops:
        print("\n".join(lines(nexthop)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    return tool.run(options, _list if options.list else _get)
