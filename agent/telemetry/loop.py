"""How promptly the event loop turns, from a heart that beats on it; sans-I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.telemetry.health import Finding, State, stamp
from agent.telemetry.meters import STALL, Meters

RECENT = 300.0
"""Seconds for which health tells of a stall."""
WINDOW = 60.0
"""Seconds over which the worst lag is told: between one and two of them."""
STANDSTILL = 2.0
"""Seconds without a turn after which stacks are written."""
_KEPT = 16


@dataclass(frozen=True, slots=True)
class Stall:
    """The loop stood still for so many seconds, until `ended` (seconds since 1970)."""

    seconds: float
    ended: float


class LoopWatch:
    """Takes the lag of each beat. `clock`: monotonic seconds; `wall`: seconds since 1970.

    `stacks`: where stacks of a standstill are written, for people. `standstill`: seconds without
    a turn that are one.
    """

    def __init__(
        self,
        meters: Meters,
        clock: Callable[[], float],
        wall: Callable[[], float],
        stacks: str = "",
        *,
        standstill: float = STANDSTILL,
    ) -> None:
        self.standstill = standstill
        self.stalls: deque[Stall] = deque(maxlen=_KEPT)
        """The last ones that were a standstill, oldest first."""
        self.standstills = 0
        self.last = 0.0
        """The lag of the last beat, seconds."""
        self._meters = meters
        self._clock = clock
        self._wall = wall
        self._stacks = stacks
        self._worst = (0.0, 0.0)
        """Of the window before, and of this one."""
        self._window_ends = clock() + WINDOW

    @property
    def worst(self) -> float:
        """The greatest lag within the last `WINDOW` seconds, or a bit before."""
        return max(self._worst)

    def beat(self, due: float) -> Stall | None:
        """A beat that was due at that (monotonic) time comes now; the standstill that it ends."""
        now = self._clock()
        if now >= self._window_ends:
            self._worst = (self._worst[1], 0.0)
            self._window_ends = now + WINDOW
        self.last = lag = max(0.0, now - due)
        self._worst = (self._worst[0], max(self._worst[1], lag))
        self._meters.lagged(lag)
        if lag < self.standstill:
            return None
        self.standstills += 1
        stall = Stall(lag, self._wall())
        self.stalls.append(stall)
        return stall

    def check(self) -> list[Finding]:
        """For `Health.add`."""
        numbers = {"worst lag": round(self.worst, 4), "standstills": self.standstills}
        state, reason = self._judge()
        return [Finding(state, reason, numbers=numbers)]

    def _judge(self) -> tuple[State, str]:
        last = self.stalls[-1] if self.stalls else None
        if last is not None and self._wall() - last.ended < RECENT:
            reason = f"stood still for {last.seconds:.1f} s until {stamp(last.ended)}"
            return State.DEGRADED, f"{reason}; stacks in {self._stacks}" if self._stacks else reason
        if self.worst >= STALL:
            return State.DEGRADED, f"up to {self.worst:.2f} s late within the last minute"
        return State.OK, ""
