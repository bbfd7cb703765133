"""Metrics of ports and of the host's own interfaces: thousands of lines, made by the column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from agent.oper.rows import Vmi
from agent.telemetry.node import Node
from agent.telemetry.prometheus.family import SLICE, Family, Group, Kind, escaped, labelled
from agent.telemetry.statistics import HOST, PHYSICAL, VifStatistics

T = TypeVar("T")

_AGENT = 1
_OWN = {PHYSICAL: "physical", HOST: "vhost", _AGENT: "agent"}
"""vifr_type of the interfaces that are the host's own."""
_COUNTERS = (
    ("in_bytes", "Bytes received from it"),
    ("in_packets", "Packets received from it"),
    ("in_errors", "Packets received from it that were faulty"),
    ("out_bytes", "Bytes sent to it"),
    ("out_packets", "Packets sent to it"),
    ("out_errors", "Packets that could not be sent to it"),
    ("dropped_packets", "Packets of it that were dropped, for whatever reason"),
)
"""As `agent.telemetry.statistics.Traffic` has them."""
_PORT, _INTERFACE = ("port",), ("interface", "type")

INFO = Family(
    "vrouter_port_info",
    Kind.GAUGE,
    "1 for each plugged port, with what it is; address is empty until it is known",
    ("port", "uuid", "network", "vm", "vrf", "address"),
)
ACTIVE = Family(
    "vrouter_port_active", Kind.GAUGE, "1 for a plugged port that forwards, else 0", _PORT
)
FLOWS = Family("vrouter_port_flows", Kind.GAUGE, "Flows of the port, two a session", _PORT)
REASONS = Family(
    "vrouter_port_drops_total",
    Kind.COUNTER,
    "Dropped packets of the port by reason, for reasons that occurred",
    ("port", "reason"),
)
SPEED = Family(
    "vrouter_interface_speed_bits_per_second",
    Kind.GAUGE,
    "Speed of the interface where the datapath knows it",
    _INTERFACE,
)


def _traffic(prefix: str, what: str, labels: tuple[str, ...]) -> tuple[Family, ...]:
    return tuple(
        Family(f"{prefix}_{name}_total", Kind.COUNTER, f"{text}; {what}", labels)
        for name, text in _COUNTERS
    )


PORT_TRAFFIC = _traffic("vrouter_port", "of a port, in is from the VM", _PORT)
OWN_TRAFFIC = _traffic("vrouter_interface", "of an interface of the host", _INTERFACE)


def _rows_of_ports(node: Node) -> Iterator[str]:
    vmis = node.compiler.vmis()
    yield from _column(INFO, vmis, _info)
    yield from _column(
        ACTIVE, vmis, lambda vmi: f'vrouter_port_active{{port="{escaped(vmi.name)}"}} {+vmi.active}'
    )


def _info(vmi: Vmi) -> str:
    """The line of INFO; UUIDs and addresses have nothing to escape."""
    network = "" if vmi.vn is None else escaped(vmi.vn.name)
    vrf = "" if vmi.vrf is None else escaped(vmi.vrf.name)
    return (
        f'vrouter_port_info{{port="{escaped(vmi.name)}",uuid="{vmi.uuid}",network="{network}",'
        f'vm="{escaped(vmi.vm_name)}",vrf="{vrf}",address="{vmi.ip or vmi.ip6 or ""}"}} 1'
    )


def _column(family: Family, rows: Sequence[T], line: Callable[[T], str]) -> Iterator[str]:
    yield family.head()
    for start in range(0, len(rows), SLICE):
        yield "\n".join(map(line, rows[start : start + SLICE])) + "\n"


def _traffic_of_ports(node: Node) -> Iterator[str]:
    vifs = [vif for vif in node.statistics.vifs() if vif.type not in _OWN]
    labels = [f'{{port="{escaped(vif.name)}"}}' for vif in vifs]
    yield from _columns(PORT_TRAFFIC, vifs, labels)
    yield from _numbers(FLOWS, labels, [vif.flows for vif in vifs])
    yield from _reasons(vifs)


def _traffic_of_own(node: Node) -> Iterator[str]:
    vifs = [vif for vif in node.statistics.vifs() if vif.type in _OWN]
    labels = [labelled(_INTERFACE, (vif.name, _OWN[vif.type])) for vif in vifs]
    yield from _columns(OWN_TRAFFIC, vifs, labels)
    known = [(label, vif) for label, vif in zip(labels, vifs, strict=True) if vif.speed > 0]
    speeds = [vif.speed * 1_000_000 for _, vif in known]
    yield from _numbers(SPEED, [label for label, _ in known], speeds)


def _columns(
    families: Sequence[Family], vifs: Sequence[VifStatistics], labels: Sequence[str]
) -> Iterator[str]:
    counters = [vif.counters for vif in vifs]
    for place, family in enumerate(families):
        yield from _numbers(family, labels, [each[place] for each in counters])


def _numbers(family: Family, labels: Sequence[str], numbers: Sequence[int]) -> Iterator[str]:
    yield family.head()
    name = family.name
    for start in range(0, len(labels), SLICE):
        some = zip(labels[start : start + SLICE], numbers[start : start + SLICE], strict=True)
        yield "".join([f"{name}{label} {number}\n" for label, number in some])


def _reasons(vifs: Sequence[VifStatistics]) -> Iterator[str]:
    yield REASONS.head()
    for start in range(0, len(vifs), SLICE):
        lines = []
        for vif in vifs[start : start + SLICE]:
            for reason, count in (vif.drops or {}).items():
                lines.append(
                    f'vrouter_port_drops_total{{port="{escaped(vif.name)}",reason="{reason}"}}'
                    f" {count}\n"
                )
        yield "".join(lines)


GROUPS = (
    Group((INFO, ACTIVE), _rows_of_ports),
    Group((*PORT_TRAFFIC, FLOWS, REASONS), _traffic_of_ports),
    Group((*OWN_TRAFFIC, SPEED), _traffic_of_own),
)
