"""`vif`: the datapath's interfaces."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence

from agent.cli import tool, vif_change, vif_rate
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_stats import drop_json, drop_lines
from agent.cli.render_vif import HEADER, SERVICE, lines
from agent.cli.render_vif_counters import Look
from agent.cli.vif_json import as_json
from agent.errors import DatapathError
from agent.sandesh.vrouter import (
    SandeshOp,
    VrDropStatsReq,
    VrInterfaceReq,
    VrVrfAssignReq,
)

DROP_STATS = 1
"""vifr_flags of a GET that asks for drop counters as well."""
_MOST = (1 << 31) - 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    # The original ends with 0 when it is called wrongly; a program had better know.
    json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    status = tool.MISUSE if json else 0
    made = tool.parser("vif", "Show and change the datapath's interfaces.", misuse=status)
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="every interface")
    _add_number(what, "--get", "vif --get", status, "one interface")
    what.add_argument("--add", metavar="NAME", help="add an interface")
    what.add_argument("--create", metavar="NAME", help="make the kernel module's vhost interface")
    what.add_argument("--delete", metavar="ID|NAME", help="remove an interface")
    _add_number(what, "--set", "vif --set", status, "let a tag of this interface lead to a VRF")
    what.add_argument("--clear", action="store_true", help="set counters to 0")
    _add_looks(made)
    _add_number(made, "--vlan", "vif set --vlan", status, "with --set: the tag")
    _add_number(made, "--vrf", "vif set --vrf", status, "with --set, --add: the VRF")
    _add_number(made, "--id", "vif add --id", status, "with --add, --clear: the interface")
    _add_number(made, "--vif", "vif add --vif", status, "with --add: the interface to monitor")
    vif_change.add_options(made)
    options = made.parse_args(arguments)
    if (wrong := vif_change.wrong(options) or _wrong(options)) is not None:
        made.error(wrong)
    return options


def _add_looks(made: argparse.ArgumentParser) -> None:
    made.add_argument("--kernel", action="store_true", help="ID is the host's interface index")
    made.add_argument(
        "--core", type=tool.number, metavar="N", help="counters of one core, not the sum"
    )
    made.add_argument("--rate", action="store_true", help="counters a second, again each second")
    made.add_argument("--count", type=tool.number, metavar="N", help="with --rate: end after N")
    made.add_argument(
        "--get-drop-stats", action="store_true", help="with --get: why packets were dropped"
    )


def _add_number(
    to: argparse._ActionsContainer, name: str, called: str, status: int, text: str
) -> None:
    to.add_argument(name, type=_number(called, status), metavar=_metavar(name), help=text)


def _metavar(name: str) -> str:
    return {"--vlan": "V", "--vrf": "R"}.get(name, "ID")


def _number(called: str, status: int) -> Callable[[str], int]:
    """An argument that is a number; what is none ends the tool in the original's words."""

    def convert(text: str) -> int:
        if text.isascii() and text.isdecimal() and int(text) <= _MOST:
            return int(text)
        print(f"Invalid arguments for {called} ", file=sys.stderr if status else sys.stdout)
        raise SystemExit(status)

    return convert


def _wrong(options: argparse.Namespace) -> str | None:
    if options.rate and not (options.list or options.get is not None):
        return "--rate goes with --list or --get"
    if options.get_drop_stats and options.get is None:
        return "--get-drop-stats goes with --get"
    return None


def _core(options: argparse.Namespace) -> int:
    """0 asks for the sum of all cores, k for core k - 1."""
    return 0 if options.core is None else int(options.core) + 1


def _look(client: DatapathClient, options: argparse.Namespace) -> Look:
    """The original shows the device below a physical interface only where it reads its place."""
    fabric = not client.kernel and options.sock_dir is None
    return Look(core=options.core, kernel=client.kernel, fabric=fabric, rate=options.rate)


def _asked(options: argparse.Namespace) -> VrInterfaceReq:
    return VrInterfaceReq(
        h_op=SandeshOp.GET,
        vifr_idx=-1 if options.kernel else options.get,
        vifr_os_idx=options.get if options.kernel else -1,
        vifr_core=_core(options),
        vifr_flags=DROP_STATS if options.get_drop_stats else 0,
    )


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    if not options.json:
        print("\n".join(HEADER))
    code, objects = client.request(_asked(options).encode())
    if code < 0:
        raise DatapathError(-code, "vr_interface_req")
    if options.json:
        _print_json(client, objects)
        return
    for found in objects:
        if isinstance(found, VrInterfaceReq):
            _print(found, client, options)
        elif isinstance(found, VrDropStatsReq):
            print("".join(f"{line}\n" for line in drop_lines(found, zeros=False)), end="")


def _print(vif: VrInterfaceReq, client: DatapathClient, options: argparse.Namespace) -> None:
    print("\n".join(lines(vif, _look(client, options))))
    if vif.vifr_flags & SERVICE:
        print("VRF table(vlan:vrf):")
        rows = _vlans(client, vif.vifr_idx)
        print("".join(f"{row.var_vlan_id}:{row.var_vif_vrf}, " for row in rows), end="")


def _print_json(client: DatapathClient, objects: Sequence[object]) -> None:
    shown: dict[str, object] = {}
    for found in objects:
        if isinstance(found, VrInterfaceReq):
            shown |= as_json(found)
            if found.vifr_flags & SERVICE:
                rows = _vlans(client, found.vifr_idx)
                shown["vlans"] = [{"vlan": r.var_vlan_id, "vrf": r.var_vif_vrf} for r in rows]
        elif isinstance(found, VrDropStatsReq):
            counts = drop_json(found)
            shown["drop_reasons"] = {name: count for name, count in counts.items() if count}
    tool.print_json(shown)


def _vlans(client: DatapathClient, index: int) -> Iterator[VrVrfAssignReq]:
    """The VRFs of a service interface's tags."""

    def request(last: VrVrfAssignReq | None) -> bytes:
        marker = -1 if last is None else last.var_vlan_id
        return VrVrfAssignReq(h_op=SandeshOp.DUMP, var_vif_index=index, var_marker=marker).encode()

    return client.dump(request, VrVrfAssignReq)


def _all(client: DatapathClient, options: argparse.Namespace) -> Iterator[VrInterfaceReq]:
    def request(last: VrInterfaceReq | None) -> bytes:
        marker = -1 if last is None else last.vifr_idx
        return VrInterfaceReq(
            h_op=SandeshOp.DUMP, vifr_marker=marker, vifr_core=_core(options)
        ).encode()

    return client.dump(request, VrInterfaceReq)


def _list(client: DatapathClient, options: argparse.Namespace) -> None:
    vifs = _all(client, options)
    if options.json:
        tool.print_json_rows(as_json(vif) for vif in vifs)
        return
    print("\n".join(HEADER))
    look = _look(client, options)
    for vif in vifs:
        print("\n".join(lines(vif, look)))


def _rate(client: DatapathClient, options: argparse.Namespace) -> None:
    if options.list:
        vif_rate.watch(lambda: list(_all(client, options)), json=options.json, count=options.count)
        return
    asked, look = _asked(options).replace(vifr_flags=0), _look(client, options)

    def one(vif: VrInterfaceReq) -> Iterator[str]:
        yield from HEADER
        yield from lines(vif, look)

    vif_rate.watch(
        lambda: [client.get(asked.encode(), VrInterfaceReq)],
        json=options.json,
        count=options.count,
        one=one,
    )


def _change(options: argparse.Namespace) -> tool.Run | None:
    if options.add is not None:
        return vif_change.add
    if options.delete is not None:
        return vif_change.delete
    if options.set is not None:
        return vif_change.set_vlan
    return vif_change.clear if options.clear else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    if options.create is not None:
        return vif_change.create(options)
    if (change := _change(options) or (_rate if options.rate else None)) is not None:
        return tool.run(options, change, once=True)
    return tool.run(options, _list if options.list else _get)
