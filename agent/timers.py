"""A deadline heap with the time passed in: the core's only notion of time."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """At most one deadline (monotonic seconds) a key; arming again replaces it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._armed: dict[K, tuple[float, int]] = {}
        self._order = count()

    def __len__(self) -> int:
        return len(self._armed)

    def __contains__(self, key: K) -> bool:
        return key in self._armed

    def arm(self, key: K, at: float) -> None:
        """Wake `key` at monotonic second `at`."""
        entry = (at, next(self._order))
        self._armed[key] = entry
        heapq.heappush(self._heap, (*entry, key))
        if len(self._heap) > 2 * len(self._armed) + 64:
            self._rebuild()

    def disarm(self, key: K) -> None:
        """Forget the deadline of `key`, if it has one."""
        self._armed.pop(key, None)

    def next(self) -> float | None:
        """The earliest deadline, or None when nothing is armed."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[K]:
        """Disarm and return every key whose deadline is at or before `now`, earliest first."""
        keys: list[K] = []
        while (at := self.next()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._armed[key]
            keys.append(key)
        return keys

    def _drop_stale(self) -> None:
        while self._heap and self._armed.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)

    def _rebuild(self) -> None:
        self._heap = [(at, order, key) for key, (at, order) in self._armed.items()]
        heapq.heapify(self._heap)
