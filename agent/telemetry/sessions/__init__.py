"""Sessions: what passed between whom, out of pairs of flows.

In come flows that ended and flows that run, with their counters, and rows of oper; out go
sessions that are told because chance chose them (`Sampler`), because a logging object wants
each Nth, or because all are wanted, in the forms that collectors, files, syslog and IPFIX take.
It changes nothing that decides on flows, has no clock and no random numbers of its own, and
keeps no Python object for a flow that is not told.
"""

from agent.telemetry.sessions.making import flow_uuid, life
from agent.telemetry.sessions.model import (
    Aggregate,
    Counters,
    Direction,
    Endpoint,
    OutletCounters,
    Session,
    Tags,
)
from agent.telemetry.sessions.sampler import Sampler
from agent.telemetry.sessions.sessions import Sessions

__all__ = [
    "Aggregate",
    "Counters",
    "Direction",
    "Endpoint",
    "OutletCounters",
    "Sampler",
    "Session",
    "Sessions",
    "Tags",
    "flow_uuid",
    "life",
]
