"""`dropstats --log` and what changes the log: the last packets that were dropped."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from agent._fast.forwarding import DROP_REASONS
from agent.cli import tool
from agent.cli.changes import order
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_stats import DEBUG, DROPS
from agent.errors import WireError
from agent.sandesh.drop_log import DropNote, counter, decode_notes
from agent.sandesh.vrouter import SandeshOp, VrPktDropLogReq

TYPES = {name: number for number, name in enumerate(DROP_REASONS)} | {"all": 0}
"""Drop reasons by name; 0 stands for every reason where one is chosen."""
_TITLES = {f"vds_{name}": title for group in (*DROPS, DEBUG) for name, title in group}
_CONFIGURE_TYPE, _CONFIGURE_BRIEF = 1, 2
_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMP6", 132: "SCTP"}
_HEADER = f"{'Time (UTC)':<28}{'Reason':<28}{'Vif':>6}{'Vrf':>7}{'Bytes':>7}  Packet"


def reason(text: str) -> int:
    """An argument that is a drop reason: its name, its title or its number."""
    wanted = text.lower().replace(" ", "_").replace("-", "_")
    if wanted in TYPES:
        return TYPES[wanted]
    for number in range(len(DROP_REASONS)):
        if title(number).lower() == text.lower() or str(number) == text:
            return number
    raise argparse.ArgumentTypeError(
        f"{text!r} is no drop reason; some are invalid_if, invalid_nh, flow_action_drop"
    )


def title(number: int) -> str:
    """A drop reason in the words of `dropstats`."""
    if number >= len(DROP_REASONS):
        return f"reason {number}"
    name = DROP_REASONS[number]
    return _TITLES.get(counter(name), name)


def show(client: DatapathClient, options: argparse.Namespace) -> None:
    """`--log CORE [--show TYPE]`."""
    notes = [note for note in _notes(client, options.log) if _wanted(note, options.show)]
    if options.json:
        tool.print_json([as_json(note) for note in notes])
        return
    print(f"Packet drop log of core {options.log}\n")
    print(_HEADER)
    print("-" * len(_HEADER))
    for note in notes:
        print(line(note))


def _wanted(note: DropNote, only: int | None) -> bool:
    return not only or note.reason == only


def _notes(client: DatapathClient, core: int) -> Iterator[DropNote]:
    def request(last: VrPktDropLogReq | None) -> bytes:
        return VrPktDropLogReq(
            h_op=SandeshOp.DUMP, vdl_core=core + 1, vdl_log_idx=last.vdl_log_idx if last else 0
        ).encode()

    for page in client.dump(request, VrPktDropLogReq):
        if page.vdl_pkt_droplog_arr:
            yield from _decoded(page.vdl_pkt_droplog_arr)


def _decoded(data: bytes) -> list[DropNote]:
    try:
        return decode_notes(data)
    except WireError as error:
        raise WireError(f"{error}: use the dropstats that came with it") from None


def line(note: DropNote) -> str:
    """One dropped packet."""
    vif = "-" if note.vif is None else str(note.vif)
    at = _time(note).replace("T", " ").removesuffix("Z")
    what = f"{title(note.reason):<28}{vif:>6}{note.vrf:>7}{note.length:>7}"
    return f"{at:<28}{what}  {_packet(note)}".rstrip()


def _time(note: DropNote) -> str:
    """ISO 8601 with microseconds, in UTC."""
    moment = datetime.fromtimestamp(note.at / 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def _packet(note: DropNote) -> str:
    if note.source is None and note.destination is None:
        return f"type 0x{note.ethertype:04x}" if note.ethertype else ""
    proto = _PROTOCOLS.get(note.proto, f"protocol {note.proto}")
    return f"{proto} {_end(note.source, note.sport)} > {_end(note.destination, note.dport)}"


def _end(address: object, port: int) -> str:
    text = "-" if address is None else str(address)
    if not port:
        return text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def as_json(note: DropNote) -> dict[str, Any]:
    """One dropped packet for programs."""
    return {
        "time": _time(note),
        "reason": DROP_REASONS[note.reason] if note.reason < len(DROP_REASONS) else note.reason,
        "vif": note.vif,
        "vrf": note.vrf,
        "length": note.length,
        "ethertype": note.ethertype,
        "proto": note.proto,
        "source": None if note.source is None else str(note.source),
        "destination": None if note.destination is None else str(note.destination),
        "sport": note.sport,
        "dport": note.dport,
    }


def clear(client: DatapathClient, options: argparse.Namespace) -> None:
    """`--clear-drop-log`."""
    order(client, VrPktDropLogReq(h_op=SandeshOp.RESET))


def choose(client: DatapathClient, options: argparse.Namespace) -> None:
    """`--drop-type TYPE`: log packets with this reason alone."""
    order(
        client,
        VrPktDropLogReq(
            h_op=SandeshOp.ADD,
            vdl_pkt_droplog_config=_CONFIGURE_TYPE,
            vdl_pkt_droplog_type=options.drop_type,
        ),
    )


def shorten(client: DatapathClient, options: argparse.Namespace) -> None:
    """`--min-log 1`: note reason and interface alone; 0: look into the packet too."""
    order(
        client,
        VrPktDropLogReq(
            h_op=SandeshOp.ADD,
            vdl_pkt_droplog_config=_CONFIGURE_BRIEF,
            vdl_pkt_droplog_min_sysctl_en=options.min_log,
        ),
    )
