"""The first rows of a long list in order, without sorting all of it."""

from __future__ import annotations

from heapq import heappush, heappushpop
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Reversed:
    """Orders the other way round, so that the greatest is at the top of a heap."""

    __slots__ = ("item", "key")

    def __init__(self, key: Any, item: Any) -> None:
        self.key = key
        self.item = item

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.key < self.key)


class Smallest(Generic[T]):
    """Keeps the `most` items with the smallest keys of all that are offered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[_Reversed] = []

    def offer(self, key: Any, item: T) -> None:
        """One more; cheap when it is not among the smallest."""
        heap = self._heap
        if len(heap) < self._most:
            heappush(heap, _Reversed(key, item))
        elif key < heap[0].key:
            heappushpop(heap, _Reversed(key, item))

    def items(self) -> list[tuple[Any, T]]:
        """(key, item), the smallest first."""
        return [(one.key, one.item) for one in sorted(self._heap, key=lambda one: one.key)]
