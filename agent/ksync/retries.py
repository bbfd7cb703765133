"""When to try again what the datapath refused."""

from __future__ import annotations

from collections.abc import Callable

from agent._fast.records import Record
from agent.timers import Deadlines

FIRST = 0.5
MOST = 60.0
"""Seconds; each refusal in a row doubles the pause."""


class Retries:
    """The held records. `jitter` gives numbers in [0, 1): pauses are spread by a half each way."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._deadlines: Deadlines[Record] = Deadlines()

    def __len__(self) -> int:
        return len(self._deadlines)

    def clear(self) -> None:
        self._deadlines = Deadlines()

    def hold(self, record: Record, error: int, now: float) -> None:
        """Keep a record from being sent until its next attempt."""
        pause = min(MOST, FIRST * 2.0 ** min(record.attempts, 16))
        record.errno = error
        record.attempts += 1
        record.held = True
        self._deadlines.arm(record, now + pause * (0.5 + self._jitter()))

    def free(self, record: Record) -> bool:
        """Let a record be sent now. False if it was not held."""
        if not record.held:
            return False
        record.held = False
        self._deadlines.disarm(record)
        return True

    def next(self) -> float | None:
        return self._deadlines.next()

    def due(self, now: float) -> list[Record]:
        """Free and return the records whose pause is over."""
        records = self._deadlines.due(now)
        for record in records:
            record.held = False
        return records
