"""ksync: making the datapath equal to what is desired.

In come `Desired` objects by key, bytes from the datapath's socket, and the time; out go
bytes for the socket and events (`Dumped`, `InSync`, `Refused`, `Released`, `LinkChanged`,
`Lost`). One `Session` for each datapath: after every connect it dumps what is there, adopts what is
right, writes only differences, each object after what it refers to and each delete after
what refers to it, and sweeps leftovers once the owner said `complete`.

It never opens a socket, reads a clock, or decides what is desired. The indexes inside
messages come from `oper`; `compare.content` recognises dumped objects for it.
"""

from agent.ksync.compare import content, same, uses
from agent.ksync.counters import Backlog, Counters
from agent.ksync.dump import Opening
from agent.ksync.events import Dumped, Event, InSync, LinkChanged, Lost, Refused, Released
from agent.ksync.objects import identity_of
from agent.ksync.record import RecordView, State
from agent.ksync.session import Session
from agent.objects import Identity

__all__ = [
    "Backlog",
    "Counters",
    "Dumped",
    "Event",
    "Identity",
    "InSync",
    "LinkChanged",
    "Lost",
    "Opening",
    "RecordView",
    "Refused",
    "Released",
    "Session",
    "State",
    "content",
    "identity_of",
    "same",
    "uses",
]
