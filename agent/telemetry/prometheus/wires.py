"""Metrics of pkt0, and of connections to the datapath below their protocols."""

from __future__ import annotations

from collections.abc import Iterator

from agent.telemetry.node import Node
from agent.telemetry.prometheus.family import Group, Samples, counter, one

_PKT0_DROPS = ("not_connected", "queue_full", "send_errors", "foreign")


def _pkt0_drops(node: Node) -> Samples:
    for reason in _PKT0_DROPS:
        yield (reason,), getattr(node.wires.pkt0, reason)


def _unanswered(node: Node) -> Samples:
    for reason in ("late", "refused"):
        yield (reason,), getattr(node.wires.questions, reason)


def _connects(node: Node) -> Samples:
    for name, tries in node.wires.connects.items():
        yield (name, "made"), tries.made
        yield (name, "failed"), tries.failed


def _pkt0() -> Iterator[Group]:
    yield counter(
        "vrouter_pkt0_received_packets_total",
        "Packets that came over pkt0, first packets of flows among them",
        one(lambda node: node.wires.pkt0.received),
    )
    yield counter(
        "vrouter_pkt0_received_batches_total",
        "Times that packets were read from pkt0, several together",
        one(lambda node: node.wires.pkt0.batches),
    )
    yield counter(
        "vrouter_pkt0_sent_packets_total",
        "Packets that the datapath has taken over pkt0",
        one(lambda node: node.wires.pkt0.sent),
    )
    yield counter(
        "vrouter_pkt0_drops_total",
        "Packets of pkt0 that were dropped, by reason; foreign are those of the host's own stack",
        _pkt0_drops,
        ("reason",),
    )
    yield counter(
        "vrouter_pkt0_remade_total",
        "Times that the interface of pkt0 was gone and was made again",
        one(lambda node: node.wires.pkt0.remade),
    )


def _connections() -> Iterator[Group]:
    yield counter(
        "vrouter_datapath_connects_total",
        "Connections to the datapath: made, and attempts that failed",
        _connects,
        ("connection", "result"),
    )
    yield counter(
        "vrouter_netlink_overruns_total",
        "Netlink connections of all kinds that ended because the kernel dropped an answer",
        one(lambda node: node.wires.netlink.overruns),
    )
    yield counter(
        "vrouter_netlink_waits_total",
        "Times that a netlink request waited for room in the datapath's buffer",
        one(lambda node: node.wires.netlink.waits),
    )
    yield counter(
        "vrouter_datapath_questions_total",
        "Questions for counters and tables that the datapath was asked",
        one(lambda node: node.wires.questions.asked),
    )
    yield counter(
        "vrouter_datapath_questions_failed_total",
        "Questions without an answer: late ones, and those refused because too many waited",
        _unanswered,
        ("reason",),
    )


GROUPS = (*_pkt0(), *_connections())
