"""What is counted on the way to the datapath and back, below the protocols.

Whoever does the work counts here; those who tell of it find it in `Node`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Pkt0Counters:
    """Frames by what became of them.

    `batches`: how many times some were read together. `not_connected`: the datapath was not
    there. `foreign`: what another than the datapath sent, the host's own stack on a tap.
    `remade`: how many times the tap had to be made again. `fault`: why there is no pkt0 now, "".
    """

    received: int = 0
    batches: int = 0
    sent: int = 0
    not_connected: int = 0
    queue_full: int = 0
    send_errors: int = 0
    foreign: int = 0
    remade: int = 0
    fault: str = ""


@dataclass(slots=True)
class NetlinkCounters:
    """What became of netlink connections, over all of them.

    `overruns`: answers were lost for want of room; `waits`: the peer's own buffer was full.
    """

    overruns: int = 0
    waits: int = 0


@dataclass(slots=True)
class QuestionCounters:
    """Questions for what the datapath has, apart from what ksync asks.

    `late`: not answered in time; `refused`: there was no room to wait for a turn.
    """

    asked: int = 0
    late: int = 0
    refused: int = 0


@dataclass(slots=True)
class ConnectCounters:
    """Connections that were made to the datapath, and attempts that failed."""

    made: int = 0
    failed: int = 0


@dataclass(slots=True)
class Wires:
    """All of them; `connects` by what is connected for: ksync, flows, questions."""

    pkt0: Pkt0Counters = field(default_factory=Pkt0Counters)
    netlink: NetlinkCounters = field(default_factory=NetlinkCounters)
    questions: QuestionCounters = field(default_factory=QuestionCounters)
    connects: dict[str, ConnectCounters] = field(default_factory=dict)
