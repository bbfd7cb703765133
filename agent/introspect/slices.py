"""Long work in slices: whoever shares the loop gets it back after a millisecond or two."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import TypeVar

from agent.introspect.pace import Pace

PACE: ContextVar[Pace] = ContextVar("pace")
"""That of the answer which is being made; each request runs in a context of its own."""
_LOOKS = 4
_PART = 256

T = TypeVar("T")
R = TypeVar("R")


async def pause() -> None:
    """Let everything else that is due run first, if it has waited long enough."""
    pace = PACE.get()
    if pace.due:
        await pace.rest()


async def sliced(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with pauses. They must bear that what they tell of changes meanwhile."""
    pace = PACE.get()
    for count, item in enumerate(items):
        if count % _LOOKS == 0 and pace.due:
            await pace.rest()
        yield item


async def made(items: Iterable[T], make: Callable[[T], R]) -> list[R]:
    """What `make` makes of each item, with pauses."""
    return [make(item) async for item in sliced(items)]


async def walk(items: Sequence[T], take: Callable[[Sequence[T]], object]) -> None:
    """Give `take` all items, some at a time, with pauses: for tables of 10^5 and more."""
    for start in range(0, len(items), _PART):
        take(items[start : start + _PART])
        await pause()
