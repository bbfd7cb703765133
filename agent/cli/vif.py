"""`vif`: the datapath's interfaces."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_vif import HEADER, SERVICE, as_json, lines
from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq, VrVrfAssignReq


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("vif", "Show the datapath's interfaces.")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="every interface")
    what.add_argument("--get", type=tool.number, metavar="ID", help="one interface")
    made.add_argument("--kernel", action="store_true", help="ID is the host's interface index")
    made.add_argument(
        "--core", type=tool.number, metavar="N", help="counters of one core, not the sum"
    )
    return made.parse_args(arguments)


def _core(options: argparse.Namespace) -> int:
    """0 asks for the sum of all cores, k for core k - 1."""
    return 0 if options.core is None else int(options.core) + 1


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    request = VrInterfaceReq(
        h_op=SandeshOp.GET,
        vifr_idx=-1 if options.kernel else options.get,
        vifr_os_idx=options.get if options.kernel else -1,
        vifr_core=_core(options),
    )
    if not options.json:
        print("\n".join(HEADER))
    vif = client.get(request.encode(), VrInterfaceReq)
    if options.json:
        tool.print_json(as_json(vif))
        return
    print("\n".join(lines(vif, options.core)))
    if vif.vifr_flags & SERVICE:
        _print_vlan_table(client, vif.vifr_idx)


def _print_vlan_table(client: DatapathClient, index: int) -> None:
    def request(last: VrVrfAssignReq | None) -> bytes:
        marker = -1 if last is None else last.var_vlan_id
        return VrVrfAssignReq(h_op=SandeshOp.DUMP, var_vif_index=index, var_marker=marker).encode()

    print("VRF table(vlan:vrf):")
    rows = client.dump(request, VrVrfAssignReq)
    print("".join(f"{row.var_vlan_id}:{row.var_vif_vrf}, " for row in rows))


def _list(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrInterfaceReq | None) -> bytes:
        marker = -1 if last is None else last.vifr_idx
        return VrInterfaceReq(
            h_op=SandeshOp.DUMP, vifr_marker=marker, vifr_core=_core(options)
        ).encode()

    vifs = client.dump(request, VrInterfaceReq)
    if options.json:
        tool.print_json([as_json(vif) for vif in vifs])
        return
    print("\n".join(HEADER))
    for vif in vifs:
        print("\n".join(lines(vif, options.core)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    return tool.run(options, _list if options.list else _get)
