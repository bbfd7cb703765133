"""When the configuration of a session is complete, and when what is stale may go."""

from __future__ import annotations

from enum import Enum, auto

from agent.xmpp.timings import Timings


class Step(Enum):
    """What a watch found due."""

    COMPLETE = auto()
    """The configuration was sent whole."""
    SWEEP = auto()
    """What was not sent again may be dropped."""


class ConfigWatch:
    """Watches one controller's configuration arrive (facts xmpp-ifmap.md 4).

    Complete: it came and then fell silent, judged at polls, or enough was waited. A
    controller that sent nothing at all is no source to sweep by: only the fallback counts.
    """

    def __init__(self, timings: Timings, now: float) -> None:
        self._timings = timings
        self._since = now
        self._seen: float | None = None
        self._complete = False
        self.deadline: float | None = now + timings.config_poll

    def seen(self, now: float) -> None:
        """A stanza came."""
        self._seen = now

    def tick(self, now: float, quiet: float) -> Step | None:
        """What is due, if anything; `quiet` seconds without a stanza end the configuration.

        They are given anew each time, as the configuration itself may change them.
        """
        if self.deadline is None or now < self.deadline:
            return None
        timings = self._timings
        if self._complete:
            self.deadline = None
            return Step.SWEEP
        silent = self._seen is not None and now - self._seen >= quiet
        if silent or now - self._since >= timings.config_fallback:
            self._complete = True
            self.deadline = now + timings.stale_config_cleanup
            return Step.COMPLETE
        self.deadline = now + timings.config_poll
        return None
