"""What the agent tells of itself: statistics, health, traces, UVEs, session records, metrics.

In come the parts of a running agent, to be read (`Node`), samples of the datapath's counters,
and the time; out go numbers, records and texts for people, Prometheus and collectors. It never
changes what it reads, and opens nothing: `agent.io` carries what it makes.

Its modules are loaded when they are first needed: some are wanted long before there is a `Node`,
which imports all parts of an agent.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.telemetry.datapath import Datapath
    from agent.telemetry.health import Finding, Health, Part, Report, State
    from agent.telemetry.meters import Meters
    from agent.telemetry.node import Node
    from agent.telemetry.statistics import Statistics

__all__ = [
    "Datapath",
    "Finding",
    "Health",
    "Meters",
    "Node",
    "Part",
    "Report",
    "State",
    "Statistics",
]
_HEALTH = dict.fromkeys(("Finding", "Health", "Part", "Report", "State"), "health")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HEALTH.get(name, name.lower())}")
    return globals().setdefault(name, getattr(module, name))
