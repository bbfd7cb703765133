"""`rt`: the datapath's routes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network

from agent.cli import render_route, rt_monitor, tool
from agent.cli.datapath_client import DatapathClient
from agent.cli.render import mac_unpadded
from agent.cli.render_route import BRIDGE, INET, INET6
from agent.errors import UsageError
from agent.io.table_device import BRIDGE_DEVICE, table_path
from agent.sandesh.vrouter import SandeshOp, VrBridgeTableData, VrouterOps, VrRouteReq
from agent.shm import BridgeTable
from agent.values import Mac, Prefix

MISUSE = 1
FAMILIES = {"inet": INET, "inet6": INET6, "bridge": BRIDGE}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("rt", "Show the datapath's routes.", misuse=MISUSE)
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--dump", type=tool.number, metavar="VRF", help="every route of a VRF")
    what.add_argument("--get", metavar="PREFIX", help="the route that ADDRESS/LENGTH or MAC takes")
    what.add_argument(
        "--monitor", action="store_true", help="each change as it is made (the kernel module's)"
    )
    made.add_argument("--vrf", type=tool.number, metavar="VRF", help="the VRF of --get")
    made.add_argument(
        "--routes",
        action="store_true",
        help="with --dump: each route once, not each leaf of the datapath's trie",
    )
    made.add_argument("--family", choices=FAMILIES, help="default: inet, or what PREFIX is")
    options = made.parse_args(arguments)
    if options.get is not None and options.vrf is None:
        made.error("--get needs --vrf")
    return options


def _query(text: str, family: str | None, vrf: int) -> VrRouteReq:
    """The GET request for what the user typed. UsageError."""
    try:
        if family == "bridge" or (family is None and _looks_like_mac(text)):
            return VrRouteReq(
                h_op=SandeshOp.GET, rtr_vrf_id=vrf, rtr_family=BRIDGE, rtr_mac=Mac.parse(text),
                rtr_index=-1,
            )  # fmt: skip
        prefix = ip_network(text, strict=False)
    except ValueError as error:
        raise UsageError(f"--get {text}: {error}") from None
    wanted = INET if prefix.version == 4 else INET6
    if family is not None and FAMILIES[family] != wanted:
        raise UsageError(f"--get {text}: not an address of family {family}")
    return VrRouteReq(
        h_op=SandeshOp.GET,
        rtr_vrf_id=vrf,
        rtr_family=wanted,
        rtr_prefix=prefix.network_address.packed,
        rtr_prefix_len=prefix.prefixlen,
    )


def _looks_like_mac(text: str) -> bool:
    """Six groups, none empty: an IPv6 address with five colons has a `::`."""
    groups = text.split(":")
    return len(groups) == 6 and all(groups)


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    query = _query(options.get, options.family, options.vrf)
    family = query.rtr_family
    if not options.json:
        asked = mac_unpadded(query.rtr_mac) if family == BRIDGE else render_route.destination(query)
        print(f"Match {asked} in {render_route.table_name(family, options.vrf)}\n")
        print("\n".join(render_route.header(family, options.vrf)))
    found = client.get(query.encode(), VrRouteReq)
    if family == BRIDGE:
        row = (
            found.rtr_index, found.rtr_mac, found.rtr_label_flags, found.rtr_label,
            found.rtr_nh_id, 0,
        )  # fmt: skip
        if options.json:
            tool.print_json(render_route.bridge_json(*row))
        else:
            print(render_route.bridge_line(*row))
    elif options.json:
        tool.print_json(render_route.route_json(_masked(found), found.rtr_replace_plen))
    else:
        print(render_route.route_line(_masked(found), found.rtr_replace_plen))


def _masked(found: VrRouteReq) -> VrRouteReq:
    """The route without the bits of the address that was asked for."""
    matched = render_route.network(found, found.rtr_prefix_len)
    return found.replace(rtr_prefix=matched.network_address.packed)


def _dump(client: DatapathClient, options: argparse.Namespace) -> None:
    family = FAMILIES[options.family or "inet"]
    if family == BRIDGE:
        _dump_bridge(client, options)
        return
    size = 4 if family == INET else 16

    def request(last: VrRouteReq | None) -> bytes:
        marker = bytes(size) if last is None else last.rtr_prefix
        return VrRouteReq(
            h_op=SandeshOp.DUMP,
            rtr_vrf_id=options.dump,
            rtr_family=family,
            rtr_prefix=marker,
            rtr_marker=b"" if last is None else marker,
            rtr_marker_plen=0 if last is None else last.rtr_prefix_len,
        ).encode()

    leaves = client.dump(request, VrRouteReq)
    routes: Iterable[VrRouteReq] = _programmed(leaves) if options.routes else leaves
    if options.json:
        tool.print_json_rows(render_route.route_json(row, row.rtr_replace_plen) for row in routes)
        return
    print("\n".join(render_route.header(family, options.dump)))
    for row in routes:
        print(render_route.route_line(row, row.rtr_replace_plen))


def _programmed(leaves: Iterable[VrRouteReq]) -> Iterator[VrRouteReq]:
    """Each route once, as it was added: a datapath shows one in every leaf that it covers."""
    seen: set[Prefix] = set()
    for leaf in leaves:
        length = leaf.rtr_replace_plen
        if not (length or leaf.rtr_nh_id or leaf.rtr_label_flags):
            continue  # a leaf without a route
        route = render_route.network(leaf, length)
        if route not in seen:
            seen.add(route)
            yield leaf.replace(rtr_prefix=route.network_address.packed, rtr_prefix_len=length)


def _dump_bridge(client: DatapathClient, options: argparse.Namespace) -> None:
    """Bridge routes are read where they are used: in the shared table."""
    table = client.get(VrBridgeTableData(btable_op=SandeshOp.GET).encode(), VrBridgeTableData)
    limits = client.get(VrouterOps(h_op=SandeshOp.GET).encode(), VrouterOps)
    try:
        path = table_path(table.btable_file_path, table.btable_dev, BRIDGE_DEVICE)
        view = BridgeTable.open(path, limits.vo_bridge_entries, table.btable_size or None)
    except OSError as error:
        name = table.btable_file_path or BRIDGE_DEVICE.path
        raise UsageError(f"cannot read {name}: {error.strerror}") from None
    with view:
        rows = view.select(options.dump)
        if options.json:
            tool.print_json_rows(render_route.entry_json(entry) for entry in rows)
            return
        print("\n".join(render_route.header(BRIDGE, options.dump)))
        for entry in rows:
            print(render_route.entry_line(entry))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    if options.monitor:
        return tool.run(options, rt_monitor.monitor, once=True)
    return tool.run(options, _get if options.get is not None else _dump)
