"""`qosmap`: forwarding classes, the markings that lead to them, and the queues of NICs."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from agent.cli import dcb, netlink, render_qos, tool
from agent.cli.changes import order
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_qos import classes
from agent.errors import DatapathError, UsageError
from agent.sandesh.vrouter import SandeshOp, VrFcMapReq, VrQosMapReq

_MISUSE = 22
_MOST = {"dscp": 63, "mpls_qos": 7, "dotonep": 7, "queue": 255, "fc": 255}
_MARKINGS = ("dscp", "mpls_qos", "dotonep")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser(
        "qosmap",
        "Show and change forwarding classes, QoS maps and the queues of NICs.",
        misuse=_MISUSE,
    )
    what = made.add_mutually_exclusive_group(required=True)
    for name, of in (("get-fc", "forwarding class"), ("get-qos", "QoS map")):
        what.add_argument(f"--{name}", type=tool.number, metavar="ID", help=f"one {of}")
    what.add_argument("--dump-fc", action="store_true", help="every forwarding class")
    what.add_argument("--dump-qos", action="store_true", help="every QoS map")
    what.add_argument(
        "--set-fc", type=tool.number, metavar="ID",
        help="give a forwarding class its markings and queue",
    )  # fmt: skip
    what.add_argument(
        "--set-qos", type=tool.number, metavar="ID", help="let markings lead to the class --fc"
    )
    what.add_argument("--delete-qos", type=tool.number, metavar="ID", help="delete a QoS map")
    what.add_argument("--get-queue", metavar="INTERFACE", help="the queues of a NIC")
    what.add_argument("--set-queue", metavar="INTERFACE", help="change the queues of a NIC")
    _add_values(made)
    options = made.parse_args(arguments)
    _check(made, options)
    return options


def _add_values(made: argparse.ArgumentParser) -> None:
    values = made.add_argument_group("values")
    for name, help in (
        ("dscp", "DSCP, 0 to 63"),
        ("mpls_qos", "EXP bits of a label, 0 to 7"),
        ("dotonep", "802.1p priority, 0 to 7"),
        ("queue", "with --set-fc: queue of the NIC"),
        ("fc", "with --set-qos: forwarding class"),
    ):
        values.add_argument(f"--{name}", type=_up_to(_MOST[name]), metavar="V", help=help)
    queues = made.add_argument_group("queues (with --set-queue)")
    queues.add_argument("--dcbx", choices=dcb.MODES, default="ieee", help="default: ieee")
    queues.add_argument("--pg", type=_eight(7), metavar="G,G,...", help="group of each priority")
    queues.add_argument(
        "--bw", type=_eight(100), metavar="P,P,...", help="percent of the bandwidth of each group"
    )
    queues.add_argument(
        "--strict", type=_bits, default=(False,) * dcb.COUNT, metavar="BITS",
        help="1 for each group with strict priority, such as 11000000",
    )  # fmt: skip


def _up_to(most: int) -> Callable[[str], int]:
    def value(text: str) -> int:
        number = tool.number(text)
        if number > most:
            raise argparse.ArgumentTypeError(f"{text!r} is more than {most}")
        return number

    return value


def _eight(most: int) -> Callable[[str], tuple[int, ...]]:
    value = _up_to(most)

    def values(text: str) -> tuple[int, ...]:
        found = tuple(value(word) for word in text.split(","))
        if len(found) != dcb.COUNT:
            raise argparse.ArgumentTypeError(f"{text!r} has {len(found)} numbers, expected 8")
        return found

    return values


def _bits(text: str) -> tuple[bool, ...]:
    bits = text.replace(",", "")
    if len(bits) != dcb.COUNT or not set(bits) <= {"0", "1"}:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 8 times 0 or 1")
    return tuple(bit == "1" for bit in bits)


def _check(made: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.set_qos is not None:
        if options.fc is None:
            made.error("--set-qos needs --fc")
        if all(getattr(options, name) is None for name in _MARKINGS):
            made.error("--set-qos needs --dscp, --mpls_qos or --dotonep")
    if options.set_queue is not None:
        if options.pg is None or options.bw is None:
            made.error("--set-queue needs --pg and --bw")
        if sum(options.bw) != 100:
            made.error(f"--bw: the percentages sum up to {sum(options.bw)}, not to 100")


def _get_class(client: DatapathClient, options: argparse.Namespace) -> None:
    row = client.get(VrFcMapReq(h_op=SandeshOp.GET, fmr_id=(options.get_fc,)).encode(), VrFcMapReq)
    _show_classes(options, [row])


def _dump_classes(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrFcMapReq | None) -> bytes:
        marker = -1 if last is None else max(last.fmr_id, default=0)
        return VrFcMapReq(h_op=SandeshOp.DUMP, fmr_marker=marker).encode()

    _show_classes(options, client.dump(request, VrFcMapReq))


def _show_classes(
    options: argparse.Namespace, rows: Iterator[VrFcMapReq] | list[VrFcMapReq]
) -> None:
    if options.json:
        tool.print_json([found for row in rows for found in render_qos.classes_json(row)])
        return
    print("\n".join(render_qos.CLASS_HEADER))
    for row in rows:
        print("\n".join(render_qos.class_lines(row)))


def _get_map(client: DatapathClient, options: argparse.Namespace) -> None:
    row = client.get(VrQosMapReq(h_op=SandeshOp.GET, qmr_id=options.get_qos).encode(), VrQosMapReq)
    _show_maps(options, [row])


def _dump_maps(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrQosMapReq | None) -> bytes:
        marker = -1 if last is None else last.qmr_id
        return VrQosMapReq(h_op=SandeshOp.DUMP, qmr_marker=marker).encode()

    _show_maps(options, client.dump(request, VrQosMapReq))


def _show_maps(
    options: argparse.Namespace, rows: Iterator[VrQosMapReq] | list[VrQosMapReq]
) -> None:
    if options.json:
        tool.print_json([render_qos.map_json(row) for row in rows])
        return
    print("\n".join(render_qos.MAP_HEADER))
    for row in rows:
        print("\n".join(render_qos.map_lines(row)))


def _set_class(client: DatapathClient, options: argparse.Namespace) -> None:
    """What is not named stays as it is; in a new class it is 0."""
    number = options.set_fc
    _, objects = client.request(VrFcMapReq(h_op=SandeshOp.GET, fmr_id=(number,)).encode())
    known = [row for found in objects if isinstance(found, VrFcMapReq) for row in classes(found)]
    now = next((row for row in known if row[0] == number), (number, 0, 0, 0, 0))
    named = (options.dscp, options.mpls_qos, options.dotonep, options.queue)
    values = [new if new is not None else old for old, new in zip(now[1:], named, strict=True)]
    dscp, exp, dotonep, queue = map(_byte, values)
    order(
        client,
        VrFcMapReq(
            h_op=SandeshOp.ADD, fmr_id=(number,), fmr_dscp=dscp, fmr_mpls_qos=exp,
            fmr_dotonep=dotonep, fmr_queue_id=queue,
        ),
    )  # fmt: skip


def _set_map(client: DatapathClient, options: argparse.Namespace) -> None:
    fields: dict[str, Any] = {}
    for name in _MARKINGS:
        value = getattr(options, name)
        if value is not None:
            fields[f"qmr_{name}"] = _byte(value)
            fields[f"qmr_{name}_fc_id"] = _byte(options.fc)
    order(client, VrQosMapReq(h_op=SandeshOp.ADD, qmr_id=options.set_qos, **fields))


def _delete_map(client: DatapathClient, options: argparse.Namespace) -> None:
    order(client, VrQosMapReq(h_op=SandeshOp.DEL, qmr_id=options.delete_qos))


def _byte(value: int) -> bytes:
    return bytes((value,))


@contextmanager
def _nic(interface: str) -> Iterator[socket.socket]:
    """A socket to the kernel's queue configuration; UsageError when that fails."""
    try:
        with netlink.connect(netlink.ROUTE) as connected:
            connected.settimeout(10)
            yield connected
    except DatapathError as error:
        raise UsageError(f"queues of {interface}: {os.strerror(error.errno)}") from None
    except OSError as error:
        raise UsageError(f"queues of {interface}: {netlink.reason(error)}") from None


def _get_queue(options: argparse.Namespace) -> None:
    with _nic(options.get_queue) as connected:
        mode, queues = dcb.get(connected, options.get_queue)
    if options.json:
        tool.print_json(render_qos.queue_json(options.get_queue, mode, queues))
    else:
        print("\n".join(render_qos.queue_lines(options.get_queue, mode, queues)))


def _set_queue(options: argparse.Namespace) -> None:
    queues = dcb.Queues(options.pg, options.bw, options.strict)
    with _nic(options.set_queue) as connected:
        dcb.put(connected, options.set_queue, options.dcbx, queues)


_SHOWING: dict[str, tool.Run] = {
    "get_fc": _get_class, "dump_fc": _dump_classes, "get_qos": _get_map, "dump_qos": _dump_maps,
}  # fmt: skip
_CHANGING: dict[str, tool.Run] = {
    "set_fc": _set_class, "set_qos": _set_map, "delete_qos": _delete_map,
}  # fmt: skip


def _chosen(options: argparse.Namespace, actions: dict[str, tool.Run]) -> tool.Run | None:
    for name, action in actions.items():
        if getattr(options, name) not in (None, False):
            return action
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    options = _options(arguments)
    if show := _chosen(options, _SHOWING):
        return tool.run(options, show)
    if change := _chosen(options, _CHANGING):
        return tool.run(options, change, once=True)
    if options.get_queue is not None:
        return tool.run_local(options, _get_queue)
    return tool.run_local(options, _set_queue, once=True)
