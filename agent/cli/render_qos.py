"""How `qosmap` prints maps, forwarding classes and queues. Layout of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from agent.cli.dcb import Queues
from agent.sandesh.vrouter import VrFcMapReq, VrQosMapReq

CLASS_HEADER = (
    "Forwarding Class Map", "", "   FC    DSCP    EXP    .1p    Queue", "-" * 36,
)  # fmt: skip
MAP_HEADER = ("QoS Map", "")

Class = tuple[int, int, int, int, int]
"""Number, DSCP, EXP, 802.1p, queue."""


def classes(row: VrFcMapReq) -> list[Class]:
    """The forwarding classes of a message, which holds them in parallel lists."""
    columns = (row.fmr_id, row.fmr_dscp, row.fmr_mpls_qos, row.fmr_dotonep, row.fmr_queue_id)
    return list(zip(*columns, strict=False))


def class_lines(row: VrFcMapReq) -> Iterator[str]:
    """One line for each class."""
    for number, dscp, exp, dotonep, queue in classes(row):
        yield f"{number:5}{dscp:8}{exp:7}{dotonep:7}{queue:9}"


def classes_json(row: VrFcMapReq) -> list[dict[str, int]]:
    """The classes for programs."""
    names = ("fc", "dscp", "mpls_qos", "dotonep", "queue")
    return [dict(zip(names, found, strict=True)) for found in classes(row)]


def markings(row: VrQosMapReq) -> dict[str, dict[int, int]]:
    """The forwarding class by marking, for each kind of marking."""
    return {
        "dscp": _pairs(row.qmr_dscp, row.qmr_dscp_fc_id),
        "mpls_qos": _pairs(row.qmr_mpls_qos, row.qmr_mpls_qos_fc_id),
        "dotonep": _pairs(row.qmr_dotonep, row.qmr_dotonep_fc_id),
    }


def _pairs(keys: Iterable[int], values: Iterable[int]) -> dict[int, int]:
    return dict(zip(keys, values, strict=False))


def map_lines(row: VrQosMapReq) -> Iterator[str]:
    """The number of a map, then its markings side by side."""
    yield f"Id: {row.qmr_id}"
    yield "    DSCP    FC      EXP    FC      .1p    FC"
    columns = (list(found.items()) for found in markings(row).values())
    for cells in zip_longest(*columns):
        yield "".join(f"{cell[0]:8}{cell[1]:6}" if cell else " " * 14 for cell in cells).rstrip()
    yield ""


def map_json(row: VrQosMapReq) -> dict[str, Any]:
    """A map for programs; JSON has text keys."""
    return {"id": row.qmr_id, **markings(row)}


def queue_lines(interface: str, mode: str, queues: Queues) -> Iterator[str]:
    """Groups of priorities, then what each group may use."""
    yield f"Queues of {interface} ({mode})"
    yield ""
    yield _row("Priority", range(8))
    yield _row("Group", queues.groups)
    yield ""
    yield _row("Group", range(8))
    yield _row("Bandwidth %", queues.bandwidth)
    yield _row("Strict", [int(strict) for strict in queues.strict])


def _row(title: str, cells: Sequence[int]) -> str:
    return f"{title:<12}" + "".join(f"{cell:5}" for cell in cells)


def queue_json(interface: str, mode: str, queues: Queues) -> dict[str, Any]:
    """The queues for programs."""
    return {
        "interface": interface,
        "dcbx": mode,
        "group_of_priority": list(queues.groups),
        "bandwidth_percent": list(queues.bandwidth),
        "strict": list(queues.strict),
    }
