"""`flow`: the datapath's flows, read from the shared table; and requests that change them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from agent.cli import flow_match, flow_set, flow_watch, render_flow, render_flow_detail, tool
from agent.cli.datapath_client import DatapathClient
from agent.errors import DatapathError, UsageError
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrFlowReq,
    VrFlowTableData,
    VrInterfaceReq,
    VrouterOps,
)
from agent.shm import FlowAction, FlowEntry, FlowFilter, FlowStatistics, FlowTable

ENOENT = 2
_MOST_MIRROR = 254

Request = Callable[[FlowEntry], VrFlowReq]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("flow", "Show and change the datapath's flows.")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("-l", "--list", action="store_true", help="every flow")
    what.add_argument(
        "--match",
        metavar="TEXT",
        help="flows with these ends, VRF and protocol, such as "
        "'10.1.1.3:80,10.1.1.4:* & vrf 2 & proto tcp'",
    )
    _add_looks(what)
    _add_changes(what)
    made.add_argument("--show-evicted", action="store_true", help="with -l: evicted flows too")
    made.add_argument("--mirror", type=_mirror, metavar="N", help="with -f, -d: mirror it to N")
    made.add_argument("--count", type=_count, metavar="N", help="with -s, -r: end after N samples")
    flow_match.add_options(made)
    return made.parse_args(arguments)


def _add_looks(what: argparse._MutuallyExclusiveGroup) -> None:
    _add_index(what, "--get", help="one flow, its nexthops, interfaces and routes")
    what.add_argument(
        "-s", "--stats", action="store_true", help="how many flows there are and of what kind"
    )
    what.add_argument("-r", "--rate", action="store_true", help="how fast flows come and go")


def _add_changes(what: argparse._MutuallyExclusiveGroup) -> None:
    _add_index(what, "-f", "--forward", help="forward this flow")
    _add_index(what, "-d", "--drop", help="drop this flow")
    _add_index(what, "-i", "--invalidate", help="delete this flow")
    _add_index(what, "-e", "--evict", help="take this closed TCP flow out")
    what.add_argument("-F", "--flush", action="store_true", help="delete every flow")


def _add_index(what: argparse._MutuallyExclusiveGroup, *names: str, help: str) -> None:
    what.add_argument(*names, type=tool.number, metavar="INDEX", help=help)


def _mirror(text: str) -> int:
    number = tool.number(text)
    if number > _MOST_MIRROR:
        raise argparse.ArgumentTypeError(f"{text!r} is no mirror: expected 0 to {_MOST_MIRROR}")
    return number


def _count(text: str) -> int:
    number = tool.number(text)
    if number == 0:
        raise argparse.ArgumentTypeError("at least one sample")
    return number


class Source:
    """The datapath's flow table: what it says of it, and the entries themselves.

    Use as a context manager. The file is mapped anew when the datapath has started anew.
    """

    def __init__(self, client: DatapathClient) -> None:
        self._client = client
        self._view: FlowTable | None = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._view is not None:
            self._view.close()

    def table(self) -> VrFlowTableData:
        """What the datapath says of its table now."""
        request = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET)
        return self._client.get(request.encode(), VrFlowTableData)

    def view(self, table: VrFlowTableData) -> FlowTable:
        """The entries. UsageError when the file cannot be read."""
        if self._view is not None and self._view.replaced():
            self._view.close()
            self._view = None
        if self._view is None:
            limits = self._client.get(VrouterOps(h_op=SandeshOp.GET).encode(), VrouterOps)
            self._view = _open(table, limits.vo_flow_entries)
        return self._view

    def sample(self) -> tuple[VrFlowTableData, FlowStatistics]:
        """Counters of the datapath and of the table."""
        table = self.table()
        return table, self.view(table).statistics()


def _open(table: VrFlowTableData, main_entries: int) -> FlowTable:
    path = table.ftable_file_path
    try:
        return FlowTable.open(path, main_entries, table.ftable_size or None)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _where(client: DatapathClient, options: argparse.Namespace) -> FlowFilter:
    """What the options ask for; an interface's flows are those with its nexthop in the key."""
    where = flow_match.of_options(options)
    if options.vif is None:
        return where
    index = flow_match.bounded("vif", options.vif, (1 << 31) - 1)
    request = VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=index)
    vif = client.get(request.encode(), VrInterfaceReq)
    return replace(where, nexthop=vif.vifr_nh_id)


def _list(client: DatapathClient, options: argparse.Namespace) -> None:
    where = _where(client, options)
    with Source(client) as source:
        table = source.table()
        found = source.view(table).select(where)
        flows = (flow for flow in found if options.show_evicted or not flow.evicted)
        if options.json:
            tool.print_json([render_flow.as_json(flow) for flow in flows])
            return
        print("\n".join(render_flow.header(table)))
        for flow in flows:
            print("\n".join(render_flow.lines(flow)))


def _entry(source: Source, index: int) -> FlowEntry:
    view = source.view(source.table())
    if not 0 <= index < len(view):
        raise UsageError(f"flow index {index}: the table has {len(view)} entries")
    flow = view.entry(index)
    if flow is None:
        raise DatapathError(ENOENT, "flow")
    return flow


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    with Source(client) as source:
        flow = _entry(source, options.get)
    if options.json:
        tool.print_json(render_flow.as_json(flow))
    else:
        print("\n".join(render_flow_detail.described(client, flow)))


def _watch(client: DatapathClient, options: argparse.Namespace) -> None:
    with Source(client) as source:
        flow_watch.watch(source.sample, _show(options), _samples(options))


def _show(options: argparse.Namespace) -> flow_watch.Show:
    if options.rate:
        return flow_watch.show_rate_json if options.json else flow_watch.show_rate
    return flow_watch.show_statistics_json if options.json else flow_watch.show_statistics


def _samples(options: argparse.Namespace) -> int | None:
    """How often: as told; else statistics that no terminal shows once, rates for ever."""
    if options.count is not None:
        return int(options.count)
    return 1 if options.stats and (options.json or not sys.stdout.isatty()) else None


def _change(client: DatapathClient, options: argparse.Namespace) -> None:
    index, request = _wanted(options)
    with Source(client) as source:
        flow_set.send(client, request(_entry(source, index)))
    if options.json:
        tool.print_json({"changed": index})


def _wanted(options: argparse.Namespace) -> tuple[int, Request]:
    """The entry that is to be changed, and how."""
    if options.forward is not None:
        return options.forward, lambda flow: flow_set.changed(
            flow, FlowAction.FORWARD, options.mirror
        )
    if options.drop is not None:
        return options.drop, lambda flow: flow_set.changed(flow, FlowAction.DROP, options.mirror)
    if options.invalidate is not None:
        return options.invalidate, flow_set.deleted
    return options.evict, flow_set.evicted


def _flush(client: DatapathClient, options: argparse.Namespace) -> None:
    with Source(client) as source:
        flows = (flow for flow in source.view(source.table()) if not flow.evicted)
        done, refused = flow_set.flush(client, flows)
    if options.json:
        tool.print_json({"deleted": done, "refused": refused})
    else:
        print(f"{done} flows deleted" + (f", {refused} refused" if refused else ""))


def _action(options: argparse.Namespace) -> tool.Run:
    if options.list or options.match is not None:
        return _list
    if options.get is not None:
        return _get
    if options.stats or options.rate:
        return _watch
    return _flush if options.flush else _change


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    action = _action(options)
    return tool.run(options, action, once=action not in (_list, _get))
