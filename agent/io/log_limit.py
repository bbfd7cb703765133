"""Repeated events are counted instead of logged, so that a flood of one hides no other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 10.0
"""Seconds in which so many lines of one event are let through."""
_MOST_EVENTS = 1024


@dataclass(slots=True)
class _Event:
    ends: float
    lines: int = 0
    left_out: int = 0


Key = tuple[str, int, str]
"""Logger, level and name of an event, without what it tells this time."""


class RateLimit(logging.Filter):
    """Lets `most` lines of an event pass in a window of ten seconds; 0: all.

    How many were left out is told once, when the window is over, by whoever calls `summaries`.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        super().__init__()
        self._most = most
        self._clock = clock
        self._events: dict[Key, _Event] = {}
        self._over: list[tuple[Key, int]] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        if not self._most:
            return True
        known = getattr(record, "rated", None)  # by another handler's look at the same filter
        if known is not None:
            return bool(known)
        record.rated = passes = self._count(_key(record))
        return passes

    def summaries(self) -> list[tuple[str, int, str]]:
        """Logger, level and text for each event of which lines were left out in a past window.

        They are to be logged with `rated` as an extra of the record.
        """
        now = self._clock()
        for key in [key for key, event in self._events.items() if event.ends <= now]:
            self._end(key)
        over, self._over = self._over, []
        return [(*key[:2], f"… {count} more like this: {key[2]}") for key, count in over]

    def _end(self, key: Key) -> None:
        event = self._events.pop(key)
        if event.left_out:
            self._over.append((key, event.left_out))

    def _count(self, key: Key) -> bool:
        now = self._clock()
        event = self._events.get(key)
        if event is not None and event.ends <= now:
            self._end(key)
            event = None
        if event is None:
            if len(self._events) >= _MOST_EVENTS:
                self._end(next(iter(self._events)))
            event = self._events[key] = _Event(now + WINDOW)
        event.lines += 1
        if event.lines <= self._most:
            return True
        event.left_out += 1
        return False


def _key(record: logging.LogRecord) -> Key:
    told = record.msg
    text = told.get("event", "") if isinstance(told, dict) else told
    return record.name, record.levelno, str(text)
