"""What the agent counts of its own work; whoever does the work tells it here.

Only what no part counts by itself: ksync, XMPP, flows and services have counters of their own,
which `prometheus.py` reads where they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from agent.histogram import Histogram

INTROSPECT = "introspect"
"""What answers of the introspect port are counted under."""
STALL = 0.5
"""Seconds without a turn of the event loop that count as a stall."""
_MOST_HTTP = 256
"""Different answers that are told apart; more would be somebody's guesses."""


@dataclass(slots=True)
class FileMeter:
    """How it goes with files of one kind: written in a worker, read on the loop.

    `failures`: tries that failed; `waiting`: files that are not as they should be and are tried
    again; `reason`: why the latest try failed.
    """

    failures: int = 0
    waiting: int = 0
    reason: str = ""


@dataclass(slots=True)
class Meters:
    """Counters since the agent began, and durations in seconds.

    `loop_lag`: how late timers of the event loop fired. `turn`: one turn of the core.
    `statistics`: one round of asking the datapath for its counters. `scrape`: the working time
    of one answer to /metrics. `http`: answers by (surface, status), surface "introspect" or
    "rest"; `http_time`: how long they took. `ports` and `backup`: the files of ports and of
    numbers.
    """

    loop_lag: Histogram = field(default_factory=Histogram)
    turn: Histogram = field(default_factory=Histogram)
    statistics: Histogram = field(default_factory=Histogram)
    scrape: Histogram = field(default_factory=Histogram)
    http_time: Histogram = field(default_factory=Histogram)
    http: Counter[tuple[str, int]] = field(default_factory=Counter)
    stalls: int = 0
    ports: FileMeter = field(default_factory=FileMeter)
    backup: FileMeter = field(default_factory=FileMeter)

    def lagged(self, seconds: float) -> None:
        """A timer of the event loop fired so much too late."""
        self.loop_lag.observe(seconds)
        if seconds >= STALL:
            self.stalls += 1

    def answered(self, surface: str, status: int, seconds: float) -> None:
        """An HTTP request was answered after so many seconds."""
        key = (surface, status)
        if key in self.http or len(self.http) < _MOST_HTTP:
            self.http[key] += 1
        self.http_time.observe(seconds)
