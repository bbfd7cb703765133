"""Metrics of the sessions with controllers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.telemetry.node import Node
from agent.telemetry.prometheus.family import Group, Samples, counter, gauge
from agent.xmpp import PeerView, State

_LABELS = ("controller",)


def _each(read: Callable[[PeerView], float]) -> Callable[[Node], Samples]:
    def samples(node: Node) -> Samples:
        for view in node.controllers.views():
            yield (str(view.server),), read(view)

    return samples


def _ignored(node: Node) -> Samples:
    for reason, count in node.controllers.counters.items():
        yield (reason,), count


_GAUGES: dict[str, tuple[str, Callable[[PeerView], float]]] = {
    "up": (
        "1 while the session with the controller is established, else 0",
        lambda view: +(view.state is State.ESTABLISHED),
    ),
    "configuration_source": (
        "1 for the controller that configuration comes from, else 0",
        lambda view: +view.config,
    ),
    "complete": (
        "1 when the controller has told all its routes in this session, else 0",
        lambda view: +view.end_of_rib_received,
    ),
    "attempts": (
        "Attempts to connect since the last good session",
        lambda view: view.attempts,
    ),
}
_COUNTERS: dict[str, tuple[str, Callable[[PeerView], float]]] = {
    "flaps": ("Sessions that were lost", lambda view: view.flaps),
    "received_messages": ("Messages from the controller", lambda view: view.messages.received),
    "route_messages": (
        "Messages about routes from the controller",
        lambda view: view.messages.routes,
    ),
    "configuration_messages": (
        "Messages about configuration from the controller",
        lambda view: view.messages.config,
    ),
    "keepalives": ("Keepalives from the controller", lambda view: view.messages.keepalives),
    "received_bytes": ("Bytes from the controller", lambda view: view.messages.received_bytes),
    "sent_messages": ("Messages to the controller", lambda view: view.messages.sent),
    "sent_bytes": ("Bytes to the controller", lambda view: view.messages.sent_bytes),
}


def _groups() -> Iterator[Group]:
    for name, (text, read) in _GAUGES.items():
        yield gauge(f"vrouter_xmpp_{name}", text, _each(read), _LABELS)
    for name, (text, read) in _COUNTERS.items():
        yield counter(f"vrouter_xmpp_{name}_total", text, _each(read), _LABELS)
    yield counter(
        "vrouter_xmpp_ignored_total",
        "What controllers have said to no use, by reason",
        _ignored,
        ("reason",),
    )


GROUPS = tuple(_groups())
