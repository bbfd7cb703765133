"""What the agent tells of itself: statistics, health, traces, UVEs, session records, metrics.

In come the parts of a running agent, to be read (`Node`), samples of the datapath's counters,
and the time; out go numbers, records and texts for people, Prometheus and collectors. It never
changes what it reads, and opens nothing: `agent.io` carries what it makes.
"""

from __future__ import annotations

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
