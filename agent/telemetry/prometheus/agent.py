"""Metrics of the agent as a process: health, event loop, HTTP, memory, what it keeps."""

from __future__ import annotations

from collections.abc import Iterator

from agent.telemetry.health import State
from agent.telemetry.node import Node
from agent.telemetry.prometheus.family import (
    Family,
    Group,
    Kind,
    Samples,
    counter,
    gauge,
    histogram,
    labelled,
    one,
)

_STATES = {State.OK: 0, State.DEGRADED: 1, State.DOWN: 2}


def _info(node: Node) -> Samples:
    yield (node.host, node.version), 1


_HEALTH = Family("vrouter_agent_health", Kind.GAUGE, "State of the agent: 0 ok, 1 degraded, 2 down")
_READY = Family(
    "vrouter_agent_ready",
    Kind.GAUGE,
    "1 when the datapath is as the whole configuration wants it, else 0",
)
_PARTS = Family(
    "vrouter_agent_part_health",
    Kind.GAUGE,
    "State of each part: 0 ok, 1 degraded, 2 down",
    ("part", "instance"),
)


def _health(node: Node) -> Iterator[str]:
    """Everything is judged once."""
    report = node.health.report()
    yield f"{_HEALTH.head()}{_HEALTH.name} {_STATES[report.state]}\n"
    yield f"{_READY.head()}{_READY.name} {+report.ready}\n"
    yield _PARTS.head()
    for part in report.parts:
        labels = labelled(_PARTS.labels, (part.name, part.instance))
        yield f"{_PARTS.name}{labels} {_STATES[part.state]}\n"


def _ports(node: Node) -> Samples:
    active = sum(vmi.active for vmi in node.compiler.vmis())
    yield ("active",), active
    yield ("inactive",), len(node.compiler.vmis()) - active


def _http(node: Node) -> Samples:
    for (surface, status), count in node.meters.http.items():
        yield (surface, str(status)), count


def _files(node: Node) -> Samples:
    yield ("ports",), node.meters.ports.failures
    yield ("backup",), node.meters.backup.failures


def _load(node: Node) -> Samples:
    for minutes, load in zip(("1", "5", "15"), node.statistics.machine.load, strict=True):
        yield (minutes,), load


def _state() -> Iterator[Group]:
    yield gauge(
        "vrouter_agent_info", "1, with the host's name and the version", _info, ("host", "version")
    )
    yield Group((_HEALTH, _READY, _PARTS), _health)
    yield gauge("vrouter_agent_ports", "Plugged ports", _ports, ("state",))
    yield gauge(
        "vrouter_agent_networks",
        "Virtual networks in use",
        one(lambda node: len(node.compiler.networks())),
    )
    yield gauge(
        "vrouter_agent_routes",
        "Routes that controllers have told",
        one(lambda node: len(node.compiler.rib)),
    )
    yield counter(
        "vrouter_agent_route_updates_total",
        "Routes that controllers have told, changed or withdrawn",
        one(lambda node: node.compiler.rib.counters.updates),
    )
    yield gauge(
        "vrouter_agent_failures",
        "Objects that could not be made for an error of the agent",
        one(lambda node: len(node.compiler.failures())),
    )


def _work() -> Iterator[Group]:
    yield histogram(
        "vrouter_agent_loop_lag_seconds",
        "How late timers of the event loop fired",
        lambda node: [((), node.meters.loop_lag)],
    )
    yield counter(
        "vrouter_agent_loop_stalls_total",
        "Times that the event loop stood still for half a second or more",
        one(lambda node: node.meters.stalls),
    )
    yield histogram(
        "vrouter_agent_turn_seconds",
        "Turns of the core",
        lambda node: [((), node.meters.turn)],
    )
    yield counter(
        "vrouter_agent_http_requests_total",
        "Answers of the HTTP ports",
        _http,
        ("surface", "status"),
    )
    yield histogram(
        "vrouter_agent_http_seconds",
        "Time until an HTTP request was answered",
        lambda node: [((), node.meters.http_time)],
    )
    yield histogram(
        "vrouter_agent_scrape_seconds",
        "Working time of earlier answers to /metrics",
        lambda node: [((), node.meters.scrape)],
    )
    yield counter(
        "vrouter_agent_file_failures_total",
        "Times that files of ports, or the backup of numbers, could not be written",
        _files,
        ("files",),
    )
    yield gauge(
        "vrouter_agent_threads",
        "Threads of the agent",
        one(lambda node: node.statistics.process.threads),
    )


def _memory(node: Node) -> Samples:
    machine = node.statistics.machine
    yield ("total",), machine.total
    yield ("free",), machine.free
    yield ("buffers",), machine.buffers
    yield ("cached",), machine.cached


def _host() -> Iterator[Group]:
    yield gauge("vrouter_host_load", "Load average of the host", _load, ("minutes",))
    yield gauge("vrouter_host_memory_bytes", "Memory of the host", _memory, ("state",))


def _process() -> Iterator[Group]:
    """Under the names that every process has."""
    yield counter(
        "process_cpu_seconds_total",
        "CPU time of the agent in seconds",
        one(lambda node: node.statistics.process.cpu_seconds),
    )
    yield gauge(
        "process_resident_memory_bytes",
        "Resident memory of the agent",
        one(lambda node: node.statistics.process.resident),
    )
    yield gauge(
        "process_virtual_memory_bytes",
        "Virtual memory of the agent",
        one(lambda node: node.statistics.process.virtual),
    )
    yield gauge(
        "process_open_fds",
        "Open file descriptors of the agent",
        one(lambda node: node.statistics.process.descriptors),
    )
    yield gauge(
        "process_max_fds",
        "File descriptors that the agent may have",
        one(lambda node: node.statistics.process.descriptor_limit),
    )
    yield gauge(
        "process_start_time_seconds",
        "When the agent began, in seconds since 1970",
        one(lambda node: node.started),
    )


GROUPS = (*_state(), *_work(), *_host(), *_process())
