"""`flow`: the datapath's flows, read from the shared table; and requests that change them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from agent.cli import (
    flow_match,
    flow_profile,
    flow_set,
    flow_watch,
    render_flow,
    render_flow_detail,
    tool,
)
from agent.cli.datapath_client import DatapathClient
from agent.cli.flow_source import Source, chain, reverse
from agent.errors import DatapathError
from agent.sandesh.vrouter import SandeshOp, VrFlowReq, VrInterfaceReq
from agent.shm import FlowAction, FlowEntry, FlowFilter

REFUSED = 254
"""Exit status when the datapath refuses: the original's."""
OUT_OF_TABLE = 255
"""Exit status for an index, or a count, that cannot be: the original's."""
_MOST_MIRROR = 254

Request = Callable[[FlowEntry], VrFlowReq]


class Unsuitable(Exception):
    """An entry that cannot be shown or changed, said in the original's words."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser(
        "flow", "Show and change the datapath's flows.", misuse=tool.MISUSE_NEGATIVE_EINVAL
    )
    what = made.add_mutually_exclusive_group(required=True)
    _add_looks(what)
    _add_changes(what)
    made.add_argument(
        "--match",
        metavar="TEXT",
        help="flows with these ends, VRF and protocol, such as "
        "'10.1.1.3:80,10.1.1.4:* & vrf 2 & proto tcp'; lists them",
    )
    made.add_argument(
        "--show-evicted", action="store_true", help="with -l, --match, --get: evicted flows too"
    )
    made.add_argument("--mirror", type=_mirror, metavar="N", help="with -f, -d: mirror it to N")
    made.add_argument("--count", type=_count, metavar="N", help="with -s, -r: end after N samples")
    made.add_argument(
        "-b", "--bunch", type=_bunch, default=1, metavar="N",
        help="with -p: so many requests in one message (default: %(default)s, at most 15)",
    )  # fmt: skip
    flow_match.add_options(made)
    options = made.parse_args(_listing(sys.argv[1:] if arguments is None else arguments))
    if options.show_evicted and not options.list and options.get is None:
        made.error("--show-evicted goes with -l, --match or --get")
    return options


def _listing(arguments: Sequence[str]) -> list[str]:
    """`--match` alone lists, as in the original."""
    given = list(arguments)
    matched = any(word.split("=")[0] == "--match" for word in given)
    listed = any(word in ("-l", "--list") for word in given)
    return [*given, "--list"] if matched and not listed else given


def _add_looks(what: argparse._MutuallyExclusiveGroup) -> None:
    what.add_argument("-l", "--list", action="store_true", help="every flow")
    _add_index(what, "-g", "--get", help="one flow, its nexthops, interfaces and routes")
    what.add_argument(
        "-s", "--stats", action="store_true", help="how many flows there are and of what kind"
    )
    what.add_argument("-r", "--rate", action="store_true", help="how fast flows come and go")


def _add_changes(what: argparse._MutuallyExclusiveGroup) -> None:
    _add_index(what, "-f", "--forward", help="forward this flow")
    _add_index(what, "-d", "--drop", help="drop this flow")
    _add_index(what, "-i", "--invalidate", help="delete this flow")
    _add_index(what, "-e", "--evict", "--force-evict", help="take this closed TCP flow out")
    what.add_argument("-F", "--flush", action="store_true", help="delete every flow")
    what.add_argument(
        "-p", "--profile", type=_profile_size, metavar="N",
        help="how long it takes to add N flows and their reverse flows, and to delete them",
    )  # fmt: skip


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


def _profile_size(text: str) -> int:
    number = _count(text)
    if number > flow_profile.MOST_FLOWS:
        print(f"Invalid perf count {number}. Max value {flow_profile.MOST_FLOWS}")
        raise SystemExit(OUT_OF_TABLE)
    return number


def _bunch(text: str) -> int:
    number = max(tool.number(text), 1)
    if number > flow_profile.MOST_IN_A_BUNCH:
        print(f"Max NETLINK messages in a bunch cannot exceed {flow_profile.MOST_IN_A_BUNCH}.")
    return min(number, flow_profile.MOST_IN_A_BUNCH)


# --- looking


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
        view = source.view(table)
        flows = (flow for flow in view.select(where) if options.show_evicted or not flow.evicted)
        if options.json:
            tool.print_json_rows(render_flow.as_json(flow) for flow in flows)
            return
        print("\n".join(render_flow.header(table, flow_match.described(where))))
        for flow in flows:
            print("\n".join(render_flow.lines(flow, chain(view, flow))))


def _entry(source: Source, index: int) -> FlowEntry:
    view = source.view(source.table())
    if index >= len(view):
        raise Unsuitable(
            f"Flow index {index} is greater than available indices ({len(view) - 1})", OUT_OF_TABLE
        )
    flow = view.entry(index)
    if flow is None:
        raise Unsuitable(f"Flow index {index} is not active")
    return flow


def _get(client: DatapathClient, options: argparse.Namespace) -> None:
    with Source(client) as source:
        flow = _entry(source, options.get)
        back = reverse(source.view(source.table()), flow)
    if flow.evicted and not options.show_evicted:
        raise Unsuitable(f"Flow at index {flow.index} is EVICTED. Use --show-evicted")
    if options.json:
        tool.print_json(render_flow.as_json(flow))
    else:
        print("".join(render_flow_detail.described(client, flow, back)), end="")


def _watch(client: DatapathClient, options: argparse.Namespace) -> None:
    with Source(client) as source:
        flow_watch.watch(source.sample, _show(options), _samples(options))


def _show(options: argparse.Namespace) -> flow_watch.Show:
    if options.rate:
        return flow_watch.show_rate_json if options.json else flow_watch.show_rate
    return flow_watch.show_statistics_json if options.json else flow_watch.show_statistics()


def _samples(options: argparse.Namespace) -> int | None:
    """How often: as told; else statistics that no terminal shows once, rates for ever."""
    if options.count is not None:
        return int(options.count)
    return 1 if options.stats and (options.json or not sys.stdout.isatty()) else None


# --- changing


def _change(client: DatapathClient, options: argparse.Namespace) -> None:
    index, request = _wanted(options)
    with Source(client) as source:
        flow = _entry(source, index)
        if flow.evicted:
            raise Unsuitable(f"Flow {index} is evicted!")
        flow_set.send(client, request(flow))
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
        flow_set.flush(client, source.view(source.table()), json=options.json)


def _profile(client: DatapathClient, options: argparse.Namespace) -> None:
    flow_profile.run(client, options.profile, options.bunch, json=options.json)


def _action(options: argparse.Namespace) -> tool.Run:
    if options.list:
        return _list
    if options.get is not None:
        return _get
    if options.stats or options.rate:
        return _watch
    if options.profile is not None:
        return _profile
    return _flush if options.flush else _change


def _as_the_original(action: tool.Run) -> tool.Run:
    """Failures in the words of `flow`, which are not those of the other tools."""

    def act(client: DatapathClient, options: argparse.Namespace) -> int | None:
        try:
            return action(client, options)
        except Unsuitable as error:
            print(error, file=sys.stderr if options.json else sys.stdout)
            return error.status or int(options.json)
        except DatapathError as error:
            text = f"response_process: {os.strerror(error.errno)}"
            print(text, file=sys.stderr if options.json else sys.stdout)
            return REFUSED

    return act


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    action = _action(options)
    return tool.run(options, _as_the_original(action), once=action not in (_list, _get))
