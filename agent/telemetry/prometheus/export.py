"""Metrics of what is told to others: collectors, and those who want sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from agent.telemetry.node import Node
from agent.telemetry.prometheus.family import Group, Samples, counter, gauge, one
from agent.telemetry.sessions.model import Counters, OutletCounters
from agent.telemetry.uve import State

_OUTLET_EVENTS = tuple(field.name for field in fields(OutletCounters) if field.name != "problem")


def _up(node: Node) -> Samples:
    """Nothing while no collector is configured."""
    view = node.uves.generator.view()
    if view.server is not None:
        yield (str(view.server),), +(view.state is State.ESTABLISHED)


def _messages(node: Node) -> Samples:
    total = node.uves.outbox.stats.total
    yield ("sent",), total.sent.messages
    yield ("received",), total.received.messages


def _bytes(node: Node) -> Samples:
    total = node.uves.outbox.stats.total
    yield ("sent",), total.sent.size
    yield ("received",), total.received.size


def _drops(node: Node) -> Samples:
    for reason, tally in node.uves.outbox.stats.total.dropped.items():
        yield (reason.value,), tally.messages


def _sessions(node: Node) -> Samples:
    for field in fields(Counters):
        yield (field.name,), getattr(node.sessions.counters, field.name)


def _outlets(node: Node) -> Samples:
    for name, counters in node.sessions.outlets.items():
        for event in _OUTLET_EVENTS:
            yield (name, event), getattr(counters, event)


def _outlets_up(node: Node) -> Samples:
    for name, counters in node.sessions.outlets.items():
        yield (name,), +(not counters.problem)


def _groups() -> Iterator[Group]:
    yield gauge(
        "vrouter_collector_up",
        "1 while the collector is connected, else 0; nothing where none is configured",
        _up,
        ("collector",),
    )
    yield counter(
        "vrouter_collector_messages_total",
        "Messages to and from collectors",
        _messages,
        ("direction",),
    )
    yield counter(
        "vrouter_collector_bytes_total",
        "Bytes of messages to and from collectors",
        _bytes,
        ("direction",),
    )
    yield counter(
        "vrouter_collector_drops_total",
        "Messages that were not sent to a collector, by reason, for reasons that occurred",
        _drops,
        ("reason",),
    )
    yield gauge(
        "vrouter_collector_queue",
        "Messages that wait to be sent to a collector",
        one(lambda node: len(node.uves.outbox.queue)),
    )
    yield counter("vrouter_sessions_total", "What became of sessions", _sessions, ("event",))
    yield gauge(
        "vrouter_session_destination_up",
        "1 while records of sessions leave for the destination, else 0",
        _outlets_up,
        ("destination",),
    )
    yield counter(
        "vrouter_session_exports_total",
        "Records of sessions by destination and what became of them",
        _outlets,
        ("destination", "event"),
    )


GROUPS = tuple(_groups())
