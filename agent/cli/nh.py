"""`nh`: the datapath's nexthops."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from agent.cli import nh_change, tool
from agent.cli.datapath_client import DatapathClient
from agent.cli.nh_json import as_json
from agent.cli.render_nh import COMPOSITE, INDIRECT, text
from agent.sandesh.vrouter import SandeshOp, VrNexthopReq


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser(
        "nh", "Show and change the datapath's nexthops.", misuse=tool.MISUSE_NEGATIVE_EINVAL
    )
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="every nexthop")
    what.add_argument(
        "--get", type=tool.number, metavar="ID", help="one nexthop and its components"
    )
    what.add_argument("--create", type=tool.number, metavar="ID", help="make a nexthop")
    what.add_argument("--delete", type=tool.number, metavar="ID", help="end a nexthop")
    what.add_argument(
        "--cmd", action="store_true", help="list the options of --create and --delete"
    )
    nh_change.add_options(made)
    options = made.parse_args(arguments)
    if options.cmd:
        made.print_help()
        made.exit(tool.MISUSE_NEGATIVE_EINVAL)
    if (wrong := nh_change.wrong(options)) is not None:
        made.error(wrong)
    return options


def _fetch(
    client: DatapathClient, nh_id: int, above: frozenset[int] = frozenset()
) -> Iterator[VrNexthopReq]:
    """A nexthop, then what it leads to: the components of a composite that exist, and what an
    indirect one stands for; `above`: those it is part of."""
    request = VrNexthopReq(h_op=SandeshOp.GET, nhr_id=nh_id)
    nexthop = client.get(request.encode(), VrNexthopReq)
    yield nexthop
    for component in _next(nexthop):
        if component >= 0 and component not in above | {nh_id}:
            yield from _fetch(client, component, above | {nh_id})


def _next(nexthop: VrNexthopReq) -> tuple[int, ...]:
    if nexthop.nhr_type == COMPOSITE:
        return nexthop.nhr_nh_list
    return nexthop.nhr_nh_list[:1] if nexthop.nhr_flags & INDIRECT else ()


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    found = _fetch(client, options.get)
    if options.json:
        tool.print_json([as_json(nexthop) for nexthop in found])
        return
    for nexthop in found:
        print(text(nexthop), end="")


def _list(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrNexthopReq | None) -> bytes:
        marker = -1 if last is None else last.nhr_id
        return VrNexthopReq(h_op=SandeshOp.DUMP, nhr_marker=marker).encode()

    nexthops = client.dump(request, VrNexthopReq)
    if options.json:
        tool.print_json_rows(as_json(nexthop) for nexthop in nexthops)
        return
    for nexthop in nexthops:
        print(text(nexthop), end="")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    if options.create is not None or options.delete is not None:
        return tool.run(options, nh_change.change, once=True)
    return tool.run(options, _list if options.list else _get)
