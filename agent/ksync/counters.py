"""What ksync has done so far, for tools and metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.histogram import Histogram


@dataclass(slots=True)
class Counters:
    """What happened since the start. Keys of `writes`: (kind's name, "add", "change", "del").

    `overruns`: connections that ended because the kernel had to drop an answer, counted by
    the shell. `latency`: from a frame of requests to the end of its reply, by the times of
    the calls.
    """

    writes: Counter[tuple[str, str]] = field(default_factory=Counter)
    acks: int = 0
    nacks: Counter[int] = field(default_factory=Counter)
    timeouts: int = 0
    resyncs: int = 0
    overruns: int = 0
    adopted: int = 0
    swept: int = 0
    unsendable: int = 0
    latency: Histogram = field(default_factory=Histogram)


class Backlog(NamedTuple):
    """What is not done now: objects that wait to be sent, that are under way, that are not
    as desired (these included); frames without a reply."""

    queued: int
    in_flight: int
    unsettled: int
    frames: int
