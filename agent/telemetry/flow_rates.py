"""Counts and rates of flows, from what their parts have counted."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from agent.telemetry.sample import FlowSample

_KEPT = 62
"""Rounds that rates are told of."""


class FlowRate(NamedTuple):
    """Of a time: flows (two a pair) added and deleted, and the most and least a second.

    The most and least are those of single rounds of sampling.
    """

    added: int
    most_added: int
    least_added: int
    deleted: int
    most_deleted: int
    least_deleted: int


class _Step(NamedTuple):
    at: float
    seconds: float
    added: int
    deleted: int


class FlowStatistics:
    """All flows of the host. A pair is two flows, one each way."""

    def __init__(self) -> None:
        self.sample = FlowSample()
        self._taken: float | None = None
        self._steps: deque[_Step] = deque(maxlen=_KEPT)

    def take(self, sample: FlowSample, now: float) -> None:
        """The next sample."""
        before, self.sample = self.sample, sample
        if self._taken is not None and now > self._taken:
            added = max(0, self.created - 2 * before.counters.get("pairs_created", 0))
            deleted = max(0, self.ended - 2 * before.counters.get("pairs_ended", 0))
            self._steps.append(_Step(now, now - self._taken, added, deleted))
        self._taken = now

    @property
    def active(self) -> int:
        """Flows that the agent keeps now."""
        return 2 * self.sample.pairs

    @property
    def held(self) -> int:
        """Entries of the table that waited for a decision in its last whole walk."""
        return self.sample.sweep.get("held", 0)

    @property
    def created(self) -> int:
        """Flows made so far."""
        return 2 * self.sample.counters.get("pairs_created", 0)

    @property
    def ended(self) -> int:
        """Flows that ended so far."""
        return 2 * self.sample.counters.get("pairs_ended", 0)

    @property
    def aged(self) -> int:
        """Of them, those that were silent for too long."""
        return 2 * self.sample.scan.get("aged", 0)

    @property
    def rate(self) -> tuple[float, float]:
        """Flows added and deleted a second, in the last round."""
        if not self._steps:
            return 0.0, 0.0
        last = self._steps[-1]
        return last.added / last.seconds, last.deleted / last.seconds

    def over(self, seconds: float, now: float) -> FlowRate:
        """What happened in the last `seconds` before `now`, by whole rounds."""
        steps = [step for step in self._steps if step.at > now - seconds]
        added = [int(step.added / step.seconds) for step in steps] or [0]
        deleted = [int(step.deleted / step.seconds) for step in steps] or [0]
        return FlowRate(
            sum(step.added for step in steps),
            max(added),
            min(added),
            sum(step.deleted for step in steps),
            max(deleted),
            min(deleted),
        )
