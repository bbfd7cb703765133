"""Working in slices, so that the loop goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

SLICE = 0.001
"""Seconds for which an answer is made before others have their turn."""


class Pace:
    """When to stop for a while. `clock` gives seconds, `pause` lets the others work."""

    __slots__ = ("_clock", "_pause", "_until")

    def __init__(self, clock: Callable[[], float], pause: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._pause = pause
        self._until = clock() + SLICE

    @property
    def due(self) -> bool:
        """Whether the slice is used up."""
        return self._clock() >= self._until

    async def rest(self) -> None:
        """Let the others work; a new slice begins after that."""
        await self._pause()
        self._until = self._clock() + SLICE
