"""Sessions of one host: out of pairs of flows, a bounded piece at a time."""

from __future__ import annotations

from typing import Protocol

from agent.flow.engine import View as FlowView
from agent.telemetry.sessions.model import Counters
from agent.telemetry.sessions.sampler import Sampler, wanted_rate


class View(FlowView, Protocol):
    """The rows of oper that sessions read."""


class Sessions:
    """What is told of sessions: `counters` so far, and how it is chosen (`sampler`)."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.counters = Counters()
        self.sampler = Sampler()

    def begin(self, now: float) -> None:
        """A second has passed: look at the configuration and at the rate."""
        self.sampler.rate = wanted_rate(self._view.global_properties())
        self.sampler.update(now)
