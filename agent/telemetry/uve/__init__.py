"""UVEs: what collectors are told of ports, networks, VMs and this host, and how they are told.

In come the rows of a running agent and what became different of them, statistics, bytes of a
collector, and the time. Out go UVEs (a cache of the latest ones, which introspect shows too)
and the bytes for the collector: the handshake, what it lacks, what changes, and the messages
that others have to send. It never opens a socket, reads a clock or changes what it reads;
nothing is built while no collector is configured and nobody asks.
"""

from __future__ import annotations

from agent.telemetry.uve.cache import Uve, UveCache, Values
from agent.telemetry.uve.check import collector
from agent.telemetry.uve.frames import Header, Hint, Identity, Level, Type, frame
from agent.telemetry.uve.generator import Generator, State, View
from agent.telemetry.uve.message_stats import Drop, MessageStats
from agent.telemetry.uve.outbox import Outbox
from agent.telemetry.uve.send_queue import SendQueue
from agent.telemetry.uve.uves import Uves, build

__all__ = [
    "Drop",
    "Generator",
    "Header",
    "Hint",
    "Identity",
    "Level",
    "MessageStats",
    "Outbox",
    "SendQueue",
    "State",
    "Type",
    "Uve",
    "UveCache",
    "Uves",
    "Values",
    "View",
    "build",
    "collector",
    "frame",
]
