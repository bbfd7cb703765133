"""Garbage collection that does not stop the loop.

A full collection walks every object: with 100,000 routes that is a fifth of a second, and by
default it comes most often while a full table arrives. Almost nothing here forms cycles
(mostly control connections that are gone), so full collections are made rarely and by the
clock; the cheap ones of young objects go on.
"""

from __future__ import annotations

import asyncio
import gc

YOUNG_OBJECTS = 10_000
YOUNG_COLLECTIONS = 10
NEVER = 1 << 30
FULL_SECONDS = 3600.0


class GarbageCollector:
    """The collector of this process; for whoever owns the process."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._before = gc.get_threshold()

    def start(self) -> None:
        """From now on collect everything once an hour, on the running loop."""
        gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, NEVER)
        self._arm()

    def close(self) -> None:
        """Leave it to the interpreter again, with its own thresholds."""
        if self._timer is not None:
            self._timer.cancel()
        gc.set_threshold(*self._before)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(FULL_SECONDS, self._collect)

    def _collect(self) -> None:
        gc.collect()
        self._arm()
