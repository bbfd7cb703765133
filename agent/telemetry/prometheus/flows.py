"""Metrics of flows and of trapped packets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from agent.telemetry.node import Node
from agent.telemetry.prometheus.family import Group, Samples, counter, gauge, histogram, one


def _events(node: Node) -> Samples:
    if node.flows.pairs is not None:
        for name, count in node.flows.pairs.counters.items():
            yield (name,), count


def _scan(node: Node) -> Samples:
    if node.flows.scanner is not None:
        for name, count in node.flows.scanner.counters.items():
            yield (name,), count


def _entries(node: Node) -> Samples:
    if node.flows.scanner is not None:
        for name, count in node.flows.scanner.sweep.items():
            yield (name,), count


def _flows() -> Iterator[Group]:
    yield gauge(
        "vrouter_flows",
        "Flows that the agent keeps, two a session",
        one(lambda node: 0 if node.flows.pairs is None else 2 * len(node.flows.pairs)),
    )
    yield gauge(
        "vrouter_flow_entries",
        "Entries of the flow table in the last whole walk, by state",
        _entries,
        ("state",),
    )
    yield counter("vrouter_flow_events_total", "What happened to flows", _events, ("event",))
    yield counter(
        "vrouter_flow_scan_events_total",
        "What walks over the flow table have found",
        _scan,
        ("event",),
    )
    yield gauge(
        "vrouter_flow_requests_in_flight",
        "Requests for flows that wait for the datapath's answer",
        one(lambda node: 0 if node.flows.pairs is None else node.flows.pairs.in_flight),
    )
    yield histogram(
        "vrouter_flow_setup_seconds",
        "Time from the decision on a flow to the datapath's answer, for flows that lasted until "
        "the next sample",
        lambda node: [((), node.statistics.ports.setup)],
    )
    yield gauge(
        "vrouter_flow_memory_bytes",
        "Memory that the agent keeps flows in",
        one(lambda node: 0 if node.flows.pairs is None else node.flows.pairs.memory),
    )


_TRAPS = "pkt_exceptions"


def _trap_drops(node: Node) -> Samples:
    counters = node.trapped.dispatcher.counters
    for each in fields(counters):
        if each.name not in (_TRAPS, "pkt_dropped"):
            reason = each.name.removeprefix("pkt_").removeprefix("drop_due_to_")
            yield (reason,), getattr(counters, each.name)


def _services(field: str) -> Group:
    texts = {
        "received": "Trapped packets that a service has received",
        "sent": "Packets that a service has sent",
        "q_threshold_exceeded": "Trapped packets that found the queue of their service full",
    }
    name = "queue_full" if field == "q_threshold_exceeded" else field

    def read(node: Node) -> Samples:
        for module, counters in node.trapped.dispatcher.modules.items():
            yield (module.name.lower(),), getattr(counters, field)

    return counter(f"vrouter_service_{name}_total", texts[field], read, ("service",))


def _traps() -> Iterator[Group]:
    yield counter(
        "vrouter_trapped_packets_total",
        "Packets that the datapath has handed to the agent, flows apart",
        one(lambda node: node.trapped.dispatcher.counters.pkt_exceptions),
    )
    yield counter(
        "vrouter_trapped_drops_total",
        "Trapped packets that the agent could not use, by reason",
        _trap_drops,
        ("reason",),
    )
    yield from map(_services, ("received", "sent", "q_threshold_exceeded"))


GROUPS = (*_flows(), *_traps())
