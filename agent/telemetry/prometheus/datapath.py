"""Metrics of the datapath as a whole, and of ksync, which writes to it."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from agent.telemetry.node import Node
from agent.telemetry.prometheus.family import Group, Samples, counter, gauge, histogram, one
from agent.telemetry.statistics import DROP_REASONS
from agent.telemetry.watermarks import Level

_LEVELS = {Level.NORMAL: 0, Level.HIGH: 1, Level.FULL: 2}


def _drops(node: Node) -> Samples:
    """All reasons from the beginning, so that the first drop is an increase."""
    if node.statistics.taken is None:
        return
    drops = node.statistics.drops
    for reason in DROP_REASONS:
        yield (reason,), drops.get(reason, 0)


def _vrfs(node: Node) -> Samples:
    names = {vrf.index: vrf.name for vrf in node.compiler.vrfs()}
    for index in node.statistics.vrfs():
        counts = node.statistics.vrf(index) or {}
        name = names.get(index, str(index))
        for kind, count in counts.items():
            if count:
                yield (name, kind), count


def _age(node: Node) -> Samples:
    if node.statistics.taken is not None:
        yield (), max(0.0, node.clock() - node.statistics.taken)


def _table(field: str) -> Group:
    texts = {
        "count": ("objects", "Objects in a table of the datapath"),
        "limit": ("limit", "Objects that a table of the datapath has room for"),
        "peak": ("peak", "Most objects that a table of the datapath has had"),
    }
    name, text = texts[field]

    def read(node: Node) -> Samples:
        for mark in node.statistics.watermarks.values():
            yield (mark.name,), getattr(mark, field)

    return gauge(f"vrouter_datapath_table_{name}", text, read, ("table",))


def _levels(node: Node) -> Samples:
    for mark in node.statistics.watermarks.values():
        yield (mark.name,), _LEVELS[mark.level]


def _datapath() -> Iterator[Group]:
    yield counter(
        "vrouter_datapath_drops_total",
        "Packets that the datapath dropped, by reason",
        _drops,
        ("reason",),
    )
    yield counter(
        "vrouter_vrf_packets_total",
        "Packets by VRF and what was done with them, for what occurred",
        _vrfs,
        ("vrf", "kind"),
    )
    yield from map(_table, ("count", "limit", "peak"))
    yield gauge(
        "vrouter_datapath_table_level",
        "How full a table is: 0 normal, 1 above the high watermark, 2 full",
        _levels,
        ("table",),
    )
    yield gauge(
        "vrouter_datapath_statistics_age_seconds",
        "Age of the counters that came from the datapath",
        _age,
    )
    yield counter(
        "vrouter_datapath_statistics_rounds_total",
        "Times that the datapath's counters were read",
        one(lambda node: node.statistics.rounds),
    )
    yield counter(
        "vrouter_datapath_statistics_failures_total",
        "Times that the datapath's counters could not be read",
        one(lambda node: node.statistics.failed),
    )
    yield histogram(
        "vrouter_datapath_statistics_seconds",
        "Time that it took to read the datapath's counters",
        lambda node: [((), node.meters.statistics)],
    )


def _writes(node: Node) -> Samples:
    return node.session.counters.writes.items()


def _refusals(node: Node) -> Samples:
    for number, count in node.session.counters.nacks.items():
        yield (errno.errorcode.get(number, str(number)),), count


def _ksync() -> Iterator[Group]:
    yield gauge(
        "vrouter_ksync_connected",
        "1 while the datapath is connected and was read, else 0",
        one(lambda node: +node.session.running),
    )
    yield gauge(
        "vrouter_ksync_in_sync",
        "1 while the datapath is as it should be, else 0",
        one(lambda node: +node.session.in_sync),
    )
    yield from _written()
    yield from _worked()


def _written() -> Iterator[Group]:
    yield counter(
        "vrouter_ksync_writes_total",
        "Objects written to the datapath",
        _writes,
        ("kind", "verb"),
    )
    yield counter(
        "vrouter_ksync_acks_total",
        "Writes that the datapath has accepted",
        one(lambda node: node.session.counters.acks),
    )
    yield counter(
        "vrouter_ksync_refusals_total",
        "Writes that the datapath has refused, by its error",
        _refusals,
        ("error",),
    )
    yield gauge(
        "vrouter_ksync_refused",
        "Objects that the datapath refuses now; they are tried again",
        one(lambda node: node.session.refused(0)[1]),
    )


def _worked() -> Iterator[Group]:
    for name, text in _EVENTS.items():
        yield counter(
            f"vrouter_ksync_{name}_total",
            text,
            one(lambda node, name=name: getattr(node.session.counters, name)),  # type: ignore[misc]
        )
    for place, (name, text) in enumerate(_BACKLOG.items()):
        yield gauge(
            f"vrouter_ksync_{name}",
            text,
            one(lambda node, place=place: node.session.backlog[place]),  # type: ignore[misc]
        )
    yield histogram(
        "vrouter_ksync_answer_seconds",
        "Time from a frame of requests to the end of the datapath's answer",
        lambda node: [((), node.session.counters.latency)],
    )


_EVENTS = {
    "timeouts": "Requests that the datapath did not answer in time",
    "resyncs": "Times that the connection was given up and the datapath read anew",
    "overruns": "Connections that ended because the kernel dropped an answer for want of room",
    "adopted": "Objects of an earlier agent that were right as they were",
    "swept": "Objects of an earlier agent that were removed",
    "unsendable": "Objects too large to be sent",
}
_BACKLOG = {
    "queued": "Objects that wait to be sent",
    "in_flight": "Objects that were sent and wait for an answer",
    "unsettled": "Objects that are not as they should be, for whatever reason",
    "frames": "Frames that wait for an answer",
}

GROUPS = (*_datapath(), *_ksync())
