"""What controllers said that could not be used: told once, counted by who reads it."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from agent.xmpp.routes import DecoderCounters

log = structlog.get_logger(__name__)


class LeftOut:
    """Logs each kind of what was left out once: who repeats himself does not fill the log."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def routes(self, counters: DecoderCounters) -> None:
        """Route items that were skipped; the newest stands for all."""
        if counters.skipped and self._first("route item"):
            log.warning(
                "left out of a route message", what=counters.last_fault or "a misplaced item"
            )

    def configuration(self, reasons: Iterable[str]) -> None:
        """Reasons for which parts of configuration stanzas were left out so far."""
        for reason in reasons:
            if self._first(reason):
                log.warning("left out of the configuration", what=reason)

    def _first(self, kind: str) -> bool:
        first = kind not in self._told
        self._told.add(kind)
        return first
